"""The README's streaming example does what it says: it is cut out of the text and run against a server, only the address changed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from app.core import pcm
from tests.integration.server import Server
from tests.toy import voice

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_streaming_example(server: Server, tmp_path: Path) -> None:
    found = re.search(r"<!-- example: stream -->\n```python\n(.*?)```", README.read_text("utf-8"), re.S)
    assert found
    (tmp_path / "example.py").write_text(found[1].replace("ws://127.0.0.1:8000", server.ws("").removesuffix("/")), "utf-8")
    levels = pcm.decode(bytes(range(256)), "mulaw", 1)[0]
    nearest = np.abs(voice(4.0, "spoof", 8000).reshape(-1, 1) - levels).argmin(axis=1)
    (tmp_path / "call.ulaw").write_bytes(nearest.astype(np.uint8).tobytes())
    ran = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    lines = ran.stdout.splitlines()
    assert any("spoof" in line and "provisional" in line for line in lines[:-1]), ran.stdout
    assert lines[-1].startswith("spoof ")
