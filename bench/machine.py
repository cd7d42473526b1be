"""What the figures belong to: machine, software, commit, date, and what else was running."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.server import ROOT


def record() -> dict[str, Any]:
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("onnxruntime", "numpy", "uvicorn", "websockets", "starlette")},
        "load_before": os.getloadavg()[0],
    }


def commit() -> str:
    """`git describe` of the checkout, `-dirty` when it has changes (files git does not know count too)."""

    def git(*args: str) -> str:
        done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, timeout=20)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        name = git("describe", "--always", "--tags") or "no commit yet"
        return name + ("-dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return f"{facts.get('model name', platform.machine())} at {float(facts.get('cpu MHz', 0)) / 1000:.2f} GHz"
