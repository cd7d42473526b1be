"""The schema's steps, by Alembic. `Database` calls `bring_up` at its first use; `voxproof db` calls the rest.

All of it is blocking: it is called from a thread or a command, never on an event loop. One step up or down is one transaction that holds a
lock, so that of two servers starting together one waits and finds the work done.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from app.core.errors import StoreUnavailable
from app.store import engines
from app.store.urls import Place

log = logging.getLogger(__name__)

LOCK = 0x766F7870  # PostgreSQL's advisory lock: any number, the same in every server
LOCK_WAIT_S = 60.0


def bring_up(place: Place, only_check: bool = False) -> None:
    """Brings the schema to the newest revision; with `only_check`, raises StoreUnavailable unless it is there."""

    def work(connection: Connection) -> None:
        found, newest = _revision(connection), head()
        if found == newest:
            return
        if found is not None and not _known(found):
            log.warning("the database's schema %s is of a newer version of this program", found)  # while servers are replaced one by one
        elif only_check:
            raise StoreUnavailable("The database's schema is not this version's: run `voxproof db upgrade`.")
        else:
            command.upgrade(_config(connection), "head")
            log.info("brought the database's schema from %s to %s", found or "nothing", newest)

    _locked(place, work)


class NoSuchRevision(Exception):
    """Asked for by a person; the text is for them."""


def upgrade(place: Place, revision: str = "head") -> None:
    _asked(command.upgrade, place, revision)


def downgrade(place: Place, revision: str) -> None:
    _asked(command.downgrade, place, revision)


def _asked(step: Callable[[Config, str], None], place: Place, revision: str) -> None:
    try:
        _locked(place, lambda connection: step(_config(connection), revision))
    except CommandError as exc:
        raise NoSuchRevision(str(exc)) from exc


def current(place: Place) -> str | None:
    """The revision the database is at; None when it has no schema."""
    found: list[str | None] = []
    _locked(place, lambda connection: found.append(_revision(connection)))
    return found[0]


def head() -> str:
    return str(_scripts().get_current_head())


def _locked(place: Place, work: Callable[[Connection], None]) -> None:
    asyncio.run(_run(place, work))


async def _run(place: Place, work: Callable[[Connection], None]) -> None:
    engine = engines.single(place, LOCK_WAIT_S)
    try:
        if place.file is not None:
            _write_ahead(place.file)
        async with engine.begin() as connection:
            if place.file is None:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            await connection.run_sync(work)
    finally:
        await engine.dispose()


def _write_ahead(file: Path) -> None:
    """Lets readers and one writer go on side by side. The mode stays with the file, so this once is enough."""
    with closing(sqlite3.connect(file)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.DatabaseError as exc:
            # Locked, and SQLite does not wait here: somebody else is at work on the file, and has set the mode or finds it set.
            if exc.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreUnavailable("The database cannot be reached.") from exc


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known(revision: str) -> bool:
    return revision in {each.revision for each in _scripts().walk_revisions()}


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_folder()))


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    return config


def _folder() -> Path:
    return Path(__file__).parent / "migrations"
