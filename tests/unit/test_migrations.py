"""The migrations lead exactly to `app/store/tables.py`, and back to nothing; a second opening changes nothing.

Until the first release there is one revision: `python -m tests.unit.test_migrations` writes it again after a change of the tables.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from app.core.errors import StoreUnavailable
from app.store import migrate
from app.store.db import Database, prepare_file
from app.store.tables import metadata
from app.store.urls import Place

FIRST = Path(migrate.__file__).parent / "migrations" / "versions" / "first.py"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    file = tmp_path / "x.db"
    prepare_file(file)
    return Place(file=file)


def tables_in(place: Place) -> set[str]:
    assert place.file
    with sqlite3.connect(place.file) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'index')")}


def test_the_revisions_lead_to_the_tables(place: Place) -> None:
    migrate.bring_up(place)
    engine = create_engine(f"sqlite:///{place.file}")
    with engine.connect() as connection:
        differing = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    engine.dispose()
    assert not differing, f"{differing}\nrun: python -m tests.unit.test_migrations"


def test_the_one_revision_is_written_from_the_tables() -> None:
    assert FIRST.read_text("utf-8") == first_revision(), "run: python -m tests.unit.test_migrations"


def test_up_down_and_up_again(place: Place) -> None:
    migrate.upgrade(place)
    full = tables_in(place)
    assert set(metadata.tables) <= full
    assert migrate.current(place) == migrate.head()
    migrate.downgrade(place, "base")
    assert not tables_in(place) & set(metadata.tables)
    assert migrate.current(place) is None
    migrate.upgrade(place)
    assert tables_in(place) == full


def test_a_second_opening_keeps_what_is_there(place: Place) -> None:
    migrate.bring_up(place)
    assert place.file
    with sqlite3.connect(place.file) as connection:
        connection.execute("INSERT INTO webhooks (id, owner, url, events, secret, enabled, created_at) VALUES ('a', 'b', 'c', 'd', 'e', 1, 0)")
    migrate.bring_up(place)
    with sqlite3.connect(place.file) as connection:
        assert connection.execute("SELECT id FROM webhooks").fetchall() == [("a",)]


def test_a_server_that_may_not_migrate_says_what_to_do(place: Place) -> None:
    with pytest.raises(StoreUnavailable, match="voxproof db upgrade"):
        migrate.bring_up(place, only_check=True)
    assert not tables_in(place)
    migrate.upgrade(place)
    migrate.bring_up(place, only_check=True)


def test_a_schema_of_a_newer_version_is_left_alone(place: Place) -> None:
    """Servers are replaced one by one: the older ones go on while the newer schema is there."""
    migrate.upgrade(place)
    assert place.file
    with sqlite3.connect(place.file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of_the_future'")
    migrate.bring_up(place)
    migrate.bring_up(place, only_check=True)
    assert migrate.current(place) == "of_the_future"


async def test_a_failed_migration_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is one transaction, on SQLite too; and the next opening starts afresh."""
    database = Database(None, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.drop_table", None)
        patch.setattr("alembic.op.create_index", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            async with database.begin():
                pass
    assert database.place.file
    assert not tables_in(database.place)
    async with database.begin():
        pass
    assert set(metadata.tables) <= tables_in(database.place)
    await database.close()


def first_revision() -> str:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        steps = produce_migrations(MigrationContext.configure(connection), metadata)
    assert steps.upgrade_ops and steps.downgrade_ops
    text = f'''"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
{_code(render_python_code(steps.upgrade_ops))}


def downgrade() -> None:
{_code(render_python_code(steps.downgrade_ops))}
'''
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FIRST), "-"]
    return subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout


def _code(rendered: str) -> str:
    return "\n".join("    " + line.strip() for line in rendered.splitlines() if line.strip() and not line.lstrip().startswith("#"))


if __name__ == "__main__":
    FIRST.write_text(first_revision(), "utf-8")
