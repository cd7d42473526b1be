"""Parts `files`, `startup` and `memory`: uploads, starts and leaks of the server process."""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from bench.audio import RATE, coded
from bench.drive import drive
from bench.figures import median, slope
from bench.loads import Spec
from bench.options import Options
from bench.server import BenchError, Server
from bench.table import Table

UPLOAD_PATIENCE_S = 300
# Sessions of the leak check come as fast as they can, so admission by load is switched off for it.
LET_ALL_IN = {"VOXPROOF_MAX_BUSY": "1", "VOXPROOF_MAX_LAG_MS": "60000", "VOXPROOF_MAX_STREAMS": "10000"}
BASELINE_IMPORTS = "import starlette, uvicorn, numpy, onnxruntime"

# --- files --------------------------------------------------------------------------------------------------


def files(options: Options) -> list[dict[str, Any]]:
    """Uploads to /v1/detect, one and two at a time; CPU of the server and its decoders."""
    samples = np.fromfile(options.audio, np.int16)
    rows: list[dict[str, Any]] = []
    with Server(options.server_command(), options.settings) as server:
        for seconds in options.file_seconds:
            whole = np.tile(samples, -(-seconds * RATE // len(samples)))[: seconds * RATE]
            for kind in options.file_kinds if seconds == min(options.file_seconds) else options.file_kinds[:1]:
                data = coded(whole, kind)
                for at_once in (1, 2):
                    options.say(f"files: {seconds} s {kind}, {at_once} at a time")
                    row = {"seconds": seconds, "kind": kind, "bytes": len(data), "at_once": at_once}
                    rows.append({**row, **_uploads(server, data, at_once, options)})
    return rows


def _uploads(server: Server, data: bytes, at_once: int, options: Options) -> dict[str, Any]:
    post(server, data)  # decoders start with their first file
    times: list[float] = []
    audio_ms = 0
    began, cpu, loop = time.monotonic(), server.cpu_seconds(), server.loop_seconds()
    with ThreadPoolExecutor(at_once) as pool:
        while not times or (time.monotonic() - began < options.files_budget_s and len(times) < 200):
            for answer, took in pool.map(lambda _: post(server, data), range(at_once)):
                times.append(took)
                audio_ms += answer["duration_ms"]
    wall, used = time.monotonic() - began, server.cpu_seconds() - cpu
    return {
        "uploads": len(times), "seconds_each": median(times), "audio_s_per_s": audio_ms / 1000 / wall,
        "audio_s_per_core_s": audio_ms / 1000 / used,
        "cores": used / wall,
        "loop_cores": (server.loop_seconds() - loop) / wall,
        "rss_mb": server.rss_mb(),
        "rss_all_mb": server.rss_mb(children=True),
    }


def post(server: Server, data: bytes) -> tuple[dict[str, Any], float]:
    """One upload: its answer and how long it took. BenchError unless it is 200."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=UPLOAD_PATIENCE_S)
    began = time.monotonic()
    try:
        connection.request("POST", "/v1/detect", data, {"Content-Type": "application/octet-stream"})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as exc:
        raise BenchError(f"An upload failed: {exc!r}. The server said:\n{server.said()}") from None
    finally:
        connection.close()
    if response.status != 200:
        raise BenchError(f"An upload was answered {response.status}: {body[:300]!r}")
    return json.loads(body), time.monotonic() - began


def files_table(rows: list[dict[str, Any]]) -> Table:
    columns = ["file", "at once", "uploads", "s each", "audio s per s", "audio s per core s", "server cores", "of it loop", "RSS MB", "with decoders"]
    table = Table("Files, POST /v1/detect", columns)
    for r in rows:
        table.rows.append([
            f"{r['seconds']} s {r['kind']}, {r['bytes'] / 1e6:.1f} MB", r["at_once"], r["uploads"], r["seconds_each"], r["audio_s_per_s"],
            r["audio_s_per_core_s"], r["cores"], r["loop_cores"], r["rss_mb"], r["rss_all_mb"],
        ])  # fmt: skip
    table.notes.append("audio s per core s: audio seconds over CPU seconds of the server and its decoder processes.")
    return table


# --- startup ------------------------------------------------------------------------------------------------


def startup(options: Options) -> dict[str, Any]:
    """Process start to the first /readyz 200, and as a yardstick the imports nobody can do without, in turn."""
    ready, rss, imports = [], [], []
    for n in range(options.starts):
        options.say(f"startup: {n + 1} of {options.starts}")
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", BASELINE_IMPORTS], check=True, timeout=60)
        imports.append(time.monotonic() - began)
        with Server(options.server_command(), options.settings) as server:
            ready.append(server.ready_s)
            rss.append(server.rss_mb())
    return {"ready_s": ready, "imports_s": imports, "rss_mb": rss}


def startup_table(result: dict[str, Any]) -> Table:
    ready, imports = result["ready_s"], result["imports_s"]
    table = Table("Startup", ["what", "median", "least", "most"])
    table.rows = [
        ["process start to /readyz 200, s", statistics.median(ready), min(ready), max(ready)],
        [f"python -c '{BASELINE_IMPORTS}', s", statistics.median(imports), min(imports), max(imports)],
        ["ratio", statistics.median(ready) / statistics.median(imports), None, None],
        ["RSS when ready, MB", statistics.median(result["rss_mb"]), min(result["rss_mb"]), max(result["rss_mb"])],
    ]
    return table


# --- memory -------------------------------------------------------------------------------------------------


def memory(options: Options) -> dict[str, Any]:
    """Memory of a live stream, and whether sessions that are over leave anything behind."""
    out: dict[str, Any] = {"streams": _per_stream(options)}
    window = {"VOXPROOF_RESUME_WINDOW_SECONDS": "1"}
    out["leak"] = {"settings": {**LET_ALL_IN, **window}, **_leak(options, {**LET_ALL_IN, **window})}
    out["leak_default_window"] = {"settings": LET_ALL_IN, **_leak(options, LET_ALL_IN)}
    return out


def _per_stream(options: Options) -> dict[str, Any]:
    many, seconds = options.memory_streams, options.memory_seconds
    options.say(f"memory: {many} streams of {seconds:g} s")
    with Server(options.server_command(), {**LET_ALL_IN, **options.settings}) as server:
        points = [(0, server.rss_mb())]
        for count in (max(1, many // 10), many):
            result = drive(server, Spec("steady", server.port, str(options.audio), streams=count, seconds=seconds), limit_s=seconds + 90)
            points.append((count, result["server"]["rss_mb"]))
    first, further = slope(points[0], points[-1]), slope(points[1], points[-1])
    return {"points": points, "mb_per_stream": first, "mb_per_further_stream": further, "seconds": seconds}


def _leak(options: Options, settings: dict[str, str]) -> dict[str, Any]:
    first, last = options.sessions
    readings: list[dict[str, Any]] = []
    with Server(options.server_command(), {**settings, **options.settings}) as server:
        for count in (first, last - first):
            options.say(f"memory: {count} short sessions, resume window {settings.get('VOXPROOF_RESUME_WINDOW_SECONDS', 'default')}")
            spec = Spec("churn", server.port, str(options.audio), streams=count, seconds=options.session_seconds)
            result = drive(server, spec, limit_s=60 + count * 2)
            left = _settled(server, parked="VOXPROOF_RESUME_WINDOW_SECONDS" in settings)
            readings.append({"sessions": result["sessions"], "rss_mb": server.rss_mb(), "parked": left.get("parked")})
    return {"after": (first, last), "readings": readings, "growth_mb": readings[1]["rss_mb"] - readings[0]["rss_mb"]}


def _settled(server: Server, *, parked: bool, patience_s: float = 5.0) -> dict[str, Any]:
    """/readyz once no stream is open and, if `parked` ones are soon forgotten, none of those is left."""
    until = time.monotonic() + patience_s
    while True:
        state = server.get("/readyz") or {}
        if not (state.get("streams") or (parked and state.get("parked"))) or time.monotonic() > until:
            return state
        time.sleep(0.25)


def memory_table(result: dict[str, Any]) -> Table:
    live = result["streams"]
    table = Table("Memory of the server process", ["what", "figure"])
    table.rows = [
        *([f"RSS with {count} streams, {live['seconds']:g} s each, MB", rss] for count, rss in live["points"]),
        ["a stream, MB", live["mb_per_stream"]],
        ["a further stream, once warm, MB", live["mb_per_further_stream"]],
    ]
    for name, leak in (("resume window 1 s", result["leak"]), ("default resume window", result["leak_default_window"])):
        (first, last), (low, high) = leak["after"], leak["readings"]
        table.rows.append([f"RSS after {first} / {last} sessions, {name}, MB", f"{low['rss_mb']:.1f} / {high['rss_mb']:.1f}"])
        table.rows.append([f"growth, {name} ({high['parked']} still parked), MB", leak["growth_mb"]])
        ended = {kind: low["sessions"].get(kind, 0) + high["sessions"].get(kind, 0) for kind in {**low["sessions"], **high["sessions"]}}
        table.notes.append(f"{name}: {ended}")
    settings = " ".join(f"{key}={value}" for key, value in result["leak"]["settings"].items())
    table.notes.append(f"the session rows ran with {settings}; their audio was sent at once, and half of them broke off, half of those came back.")
    return table


