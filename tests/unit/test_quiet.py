"""The detector reports to nobody: onnxruntime's own telemetry, on by default, makes neither its device id nor its store of events."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_loading_the_detector_leaves_no_trace_at_home(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from app.scoring.load import load
load("light", Path({str(ROOT / "models")!r}))
"""
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env, check=True, timeout=60)
    assert not list(tmp_path.rglob("*"))
