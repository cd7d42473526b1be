"""Runs a generator against a server and watches both: the events of the one give the moments to read the other's /proc."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from bench.figures import fell_behind
from bench.loads import Spec
from bench.server import ROOT, TICKS, BenchError, Server, generator


def drive(server: Server, spec: Spec, limit_s: float, on_event: Callable[[str], None] = lambda event: None) -> dict[str, Any]:
    """The generator's result, with the server's CPU and memory between its `go` and `sent` added under `server`."""
    marks: dict[str, dict[str, float]] = {}
    result: dict[str, Any] | None = None
    with generator(asdict(spec)) as process:
        watchdog = threading.Timer(limit_s, process.kill)
        watchdog.start()
        try:
            assert process.stdout
            for line in process.stdout:
                message = json.loads(line)
                if message["event"] == "result":
                    result = message["result"]
                else:
                    marks[message["event"]] = _reading(server)
                    on_event(message["event"])
            process.wait()
        finally:
            watchdog.cancel()
    if result is None:
        alive = "still runs" if server.get("/livez") else "no longer answers"
        raise BenchError(
            f"The generator gave no result within {limit_s:.0f} s (status {process.returncode}); the server {alive}. It said:\n{server.said()}"
        )
    first, last = marks["go"], marks["sent"]
    seconds = last["at"] - first["at"]
    result["server"] = {
        "cpu_cores": (last["cpu"] - first["cpu"]) / seconds,
        "loop_cores": (last["loop"] - first["loop"]) / seconds,
        "others_cores": max(0.0, (last["busy"] - first["busy"] - last["cpu"] + first["cpu"]) / seconds - result["generator"]["cpu_share"]),
        "rss_mb": last["rss"],
        "rss_before_mb": first["rss"],
    }
    pacing = result["generator"]["pacing_ms"]
    result["invalid"] = fell_behind(pacing["p99"], pacing["max"], result["generator"]["cpu_share"]) if spec.load != "churn" else None
    return result


def _reading(server: Server) -> dict[str, float]:
    return {"at": time.monotonic(), "cpu": server.cpu_seconds(), "loop": server.loop_seconds(), "rss": server.rss_mb(), "busy": busy_seconds()}


def busy_seconds() -> float:
    """CPU time all processes of the machine have used."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _wait, irq, soft, *_ = (int(field) for field in file.readline().split()[1:])
    return (user + nice + system + irq + soft) / TICKS


def others_running(seconds: float = 0.5) -> float:
    """Cores in use right now, before we begin: figures taken beside other work are not the machine's."""
    before, began = busy_seconds(), time.monotonic()
    time.sleep(seconds)
    return (busy_seconds() - before) / (time.monotonic() - began)


def run_python(arguments: list[str], stdin: str = "", timeout_s: float = 300, env: dict[str, str] | None = None) -> str:
    """Output of this interpreter; BenchError with its last words when it fails."""
    done = subprocess.run([sys.executable, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout_s, cwd=ROOT, env=env)
    if done.returncode:
        raise BenchError(f"{' '.join(arguments)} failed:\n{done.stderr.strip()[-1500:]}")
    return done.stdout
