"""The page's pure modules, tested by node's own runner: `tests/js/*.test.mjs`. Skipped where there is no node."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NODE_MAJOR = 20  # CustomEvent, node --test with a list of files


def test_js() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node: the page's modules are not tested by themselves (Debian: apt-get install nodejs)")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < NODE_MAJOR:
        pytest.skip(f"node {version} is older than {NODE_MAJOR}: the page's modules are not tested by themselves")
    files = sorted(str(path) for path in (ROOT / "tests" / "js").glob("*.test.mjs"))
    assert files
    done = subprocess.run([node, "--test", *files], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
