"""SQLAlchemy's engines over a `Place`, with what each database needs, and the one border where a driver's errors become ours.

`served` is the pool a server works with; `single` is one connection for migrations, which may take as long as they need. Called by `db` and
`migrate`, never at import: SQLAlchemy takes a while to load.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.core.errors import StoreUnavailable
from app.store.urls import Place

CONNECT_S = 10.0
# SQLSTATE classes and codes that mean "not now" and not "not so": connection, resources, shutdown, authentication, no such database, read-only,
# deadlock, lock or statement timeout.
NOT_NOW = ("08", "53", "57", "58", "28", "3D", "25006", "40", "55P03")
SQLITE_NOT_NOW = frozenset(
    (
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM,
    )
)  # fmt: skip


def served(place: Place, pool: int, timeout_s: float) -> AsyncEngine:
    engine = _engine(place, timeout_s, command_timeout_s=timeout_s, pool_size=pool, max_overflow=0, pool_timeout=timeout_s)
    if place.file is not None:
        _on_sqlite(engine, timeout_s, foreign_keys=True)
    return engine


def single(place: Place, lock_wait_s: float) -> AsyncEngine:
    """Foreign keys are not looked at here: SQLite can only alter a table by making it anew."""
    engine = _engine(place, CONNECT_S, command_timeout_s=None, poolclass=NullPool)
    if place.file is not None:
        _on_sqlite(engine, lock_wait_s, foreign_keys=False)
    return engine


def _engine(place: Place, timeout_s: float, command_timeout_s: float | None, **options: Any) -> AsyncEngine:
    # Parameters stay out of messages: they are hashes, addresses, reports.
    if place.file is not None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{place.file}", hide_parameters=True, **options)
    else:
        import asyncpg  # type: ignore[import-untyped]

        async def connect() -> Any:
            # The driver reads the URL itself, so that everything libpq knows (sslmode, several hosts, sockets) works.
            return await asyncpg.connect(
                place.dsn, timeout=timeout_s, command_timeout=command_timeout_s, server_settings={"application_name": "voxproof"}
            )

        if "poolclass" not in options:
            options["pool_pre_ping"] = True  # a connection the server has closed is replaced before it is used
        engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, hide_parameters=True, **options)
    event.listen(engine.sync_engine, "handle_error", _translate)
    return engine


def _on_sqlite(engine: AsyncEngine, lock_wait_s: float, foreign_keys: bool) -> None:
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins no transaction of its own: `begun` does
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(lock_wait_s * 1000)}")
        cursor.execute(f"PRAGMA foreign_keys = {int(foreign_keys)}")
        cursor.execute("PRAGMA synchronous = NORMAL")  # with the write-ahead log: no corruption, at worst the last commits of a power cut
        cursor.close()

    def begun(connection: Connection) -> None:
        # A writer takes its lock at once: one that reads first and writes then is refused without waiting when another wrote in between.
        read = connection.get_execution_options().get("voxproof_read")
        connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", begun)


def _translate(context: ExceptionContext) -> StoreUnavailable | None:
    exc = context.original_exception
    if context.is_pre_ping:  # the pool replaces the connection and says nothing
        return None
    if not isinstance(exc, Exception):  # a cancelled task is no failing database
        return None
    if context.is_disconnect or isinstance(exc, OSError) or not_now(exc):
        return StoreUnavailable("The database cannot be reached.")
    return None


def not_now(exc: BaseException) -> bool:
    """Whether the driver says that the same might succeed later."""
    if code := getattr(exc, "sqlstate", None):
        return str(code).startswith(NOT_NOW)
    if isinstance(exc, sqlite3.Error):
        return (getattr(exc, "sqlite_errorcode", None) or 0) & 0xFF in SQLITE_NOT_NOW
    return False
