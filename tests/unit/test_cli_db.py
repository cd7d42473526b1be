"""`voxproof db`: what it prints, where it puts the schema, how it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli.main import app
from app.store import migrate
from app.store.urls import Place


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXPROOF_DATA_DIR", str(tmp_path / "data"))

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(app, ["db", *words])

    return invoke


def test_up_down_and_where_it_is(run: object, tmp_path: Path) -> None:
    assert callable(run)
    assert run("current").output == "no database yet\n"
    assert run("downgrade", "base").output == "no database yet\n"
    assert not list(tmp_path.iterdir())
    assert run("upgrade").output == f"{migrate.head()} (newest)\n"
    file = tmp_path / "data" / "voxproof.db"
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    assert run("upgrade").output == f"{migrate.head()} (newest)\n"
    assert run("downgrade", "-1").output == f"no schema (newest: {migrate.head()})\n"
    assert run("upgrade", "+1").exit_code == 0
    assert migrate.current(Place(file=file)) == migrate.head()


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["upgrade", "no-such"], 2, "no-such"),
        (["upgrade", "--database-url", "mysql://u:hunter2@h/d"], 2, "mysql is no database we know"),
        (["upgrade", "--database-url", "postgresql://u:hunter2@127.0.0.1:1/d"], 1, "cannot be reached"),
        (["upgrade", "--database-url", "sqlite:////proc/nowhere/x.db"], 1, "cannot be reached"),
        (["current", "--database-url", "postgresql://u:hunter2@127.0.0.1:1/d"], 1, "cannot be reached"),
    ],
)
def test_what_cannot_be_done_is_one_line(run: object, words: list[str], status: int, text: str) -> None:
    assert callable(run)
    done = run(*words)
    assert done.exit_code == status and text in done.output and done.output.count("\n") == 1
    assert "hunter2" not in done.output and "Traceback" not in done.output
