"""`voxproof keys` by hand and by pipe: a key alone on stdout, once; everything else on stderr; mistakes are one line and an exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli.keys import seconds_of
from app.cli.main import app
from app.service.keys import is_key

runner = CliRunner()


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXPROOF_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("VOXPROOF_DATABASE_URL", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)


def keys(*arguments: str) -> Result:
    done = runner.invoke(app, ["keys", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def line(*arguments: str) -> dict[str, Any]:
    done = keys(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_the_life_of_a_key(tmp_path: Path) -> None:
    assert "no keys" in keys("list").stderr and not (tmp_path / "data").exists(), "looking makes no database"

    made = keys("create", "the call centre")
    secret = made.stdout.strip()
    assert is_key(secret) and "not shown again" in made.stderr and secret not in made.stderr

    second = line("create", "office", "--scope", "detect,stream", "--scope", "reports", "--expires", "90d", "--owner", "acme")
    assert is_key(second["key"]) and second["owner"] == "acme" and second["scopes"] == ["detect", "reports", "stream"]

    listed = [json.loads(each) for each in keys("list", "--json").stdout.splitlines()]
    assert [each["name"] for each in listed] == ["the call centre", "office"]
    assert listed[0]["scopes"] == ["detect", "enroll", "stream", "tasks"], "reports and admin are never given by themselves"
    table = keys("list").stdout
    assert "the call centre" in table and "until 2" in table and secret not in table and secret not in json.dumps(listed)

    rotated = line("rotate", second["prefix"], "--keep", "1h")
    assert is_key(rotated["key"]) and rotated["owner"] == "acme" and rotated["replaces"]["id"] == second["id"]
    assert rotated["scopes"] == second["scopes"] and rotated["expires_at"] >= second["expires_at"] > rotated["replaces"]["expires_at"]

    assert "within a minute" in keys("revoke", secret).stdout, "the whole key names it too"
    assert [each["state"] for each in map(json.loads, keys("list", "--json").stdout.splitlines())] == ["revoked", "active", "active"]
    again = keys("rotate", listed[0]["id"])
    assert again.exit_code == 1 and "ended already" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["create", "x", "--scope", "root"], 2),
        (["create", "x", "--scope", ","], 2),
        (["create", "x", "--expires", "soon"], 2),
        (["create", "x", "--expires", "0"], 2),
        (["create", "x", "--expires", "999999999w"], 2),
        (["create", ""], 2),
        (["create", "x" * 201], 2),
        (["create", "a\x1b[31mb"], 2),
        (["create", "x", "--owner", "a b"], 2),
        (["revoke", "nope"], 1),
        (["rotate", "nope"], 1),
        (["rotate", "nope", "--keep", "-1"], 2),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], status: int, tmp_path: Path) -> None:
    done = keys(*arguments)
    assert (done.exit_code, done.stdout) == (status, "")
    assert re.fullmatch(r"voxproof: [^\x00-\x1f\x7f]+\.\n", done.stderr), done.stderr
    assert not (tmp_path / "data").exists()


def test_a_database_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXPROOF_DATABASE_URL", "postgresql://u:hidden@127.0.0.1:1/x")
    done = keys("create", "x")
    assert done.exit_code == 1 and "hidden" not in done.output and len(done.stderr.splitlines()) == 1
    monkeypatch.setenv("VOXPROOF_DATABASE_URL", "mysql://u:hidden@127.0.0.1:1/x")
    done = keys("list")
    assert done.exit_code == 2 and "hidden" not in done.output


@pytest.mark.parametrize(
    ("text", "seconds"), [("45", 45), ("45s", 45), ("30m", 1800), ("24h", 86_400), ("90D", 7_776_000), ("2w", 1_209_600), ("0", 0)]
)
def test_times(text: str, seconds: int) -> None:
    assert seconds_of(text, "--keep", least=0) == seconds
