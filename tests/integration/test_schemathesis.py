"""Schemathesis, with every check on, finds nothing: what it makes of `/openapi.json` is taken or refused as that says, by a server with keys."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.integration.server import Server

CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_operation_holds_every_check(documented: tuple[Server, str], tmp_path: Path) -> None:
    server, key = documented
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{server.http}/openapi.json"]
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    ran = subprocess.run(
        [*command, "--checks", "all", "--mode", "all", "--no-color", "-H", f"Authorization: Bearer {key}"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=380, check=False,
    )  # fmt: skip
    print(ran.stdout[ran.stdout.find("SUMMARY") :])
    assert ran.returncode == 0, ran.stdout[-12_000:] + ran.stderr[-2000:]
    paths = httpx2.get(f"{server.http}/openapi.json").json()["paths"]
    assert f"Tested: {sum(len(methods) for methods in paths.values()) - 1}\n" in ran.stdout  # all but the document itself
    generated = re.search(r"(\d+) generated, (\d+) passed", ran.stdout)
    assert generated and int(generated[1]) > 400 and "failed" not in ran.stdout
