"""The SQL database: one engine, opened when it is first needed, brought to the newest schema then. SQLite by default, PostgreSQL by URL.

async with database.begin() as connection:  # one transaction; SQLAlchemy Core on the tables of `store.tables`
    await connection.execute(insert(cases).values(...))

Every failure to reach the database leaves here as StoreUnavailable; what SQL itself refuses (IntegrityError) passes.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.errors import StoreUnavailable
from app.store.urls import place_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

log = logging.getLogger(__name__)


class Database:
    """`pool` connections at most; connecting, waiting for one of them or for a lock, and each statement may take `timeout_s`."""

    def __init__(self, url: str | None, data_dir: Path, *, pool: int = 10, timeout_s: float = 10.0, migrate: bool = True) -> None:
        """Raises BadSetting for a URL that names no database."""
        self.place = place_of(url, data_dir)
        self._pool, self._timeout_s, self._migrate = pool, timeout_s, migrate
        self._engine: AsyncEngine | None = None
        self._opening = asyncio.Lock()
        self._writing = asyncio.Semaphore(1 if self.place.file is not None else pool)
        self._down = False

    def exists(self) -> bool:
        """False while the SQLite file was never made: nothing is stored then, and asking for it would make it."""
        return self.place.file is None or self.place.file.exists()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed when the block ends well. On SQLite it is the only writer from its beginning."""
        async with self._transaction(read=False) as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads: on SQLite it waits for no writer and holds none up."""
        async with self._transaction(read=True) as connection:
            yield connection

    async def check(self) -> None:
        """Raises StoreUnavailable when it cannot be reached or its schema is not ours. Makes no file that is not there."""
        if self.exists():
            from sqlalchemy import text

            async with self.read() as connection:
                await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        async with self._opening:
            if self._engine is not None:
                await self._engine.dispose()
                self._engine = None

    @asynccontextmanager
    async def _transaction(self, read: bool) -> AsyncIterator[AsyncConnection]:
        engine = self._engine or await self._opened()
        from sqlalchemy.exc import TimeoutError as PoolExhausted

        async with AsyncExitStack() as stack:
            try:
                if not read:  # SQLite has one writer: others wait for it here, not with a connection that those who read could have
                    try:
                        async with asyncio.timeout(self._timeout_s):
                            await stack.enter_async_context(self._writing)
                    except TimeoutError:
                        raise StoreUnavailable("The database is busy.") from None
                connection = await stack.enter_async_context(engine.connect())
                await connection.execution_options(voxproof_read=read)
                await stack.enter_async_context(connection.begin())
            except (OSError, PoolExhausted, StoreUnavailable) as exc:  # connecting; what statements meet comes translated (`engines`)
                raise self._unreachable(exc) from exc
            self._reached()
            yield connection

    async def _opened(self) -> AsyncEngine:
        async with self._opening:
            if self._engine is None:
                try:
                    self._engine = await asyncio.to_thread(self._open)
                except (OSError, StoreUnavailable) as exc:
                    raise self._unreachable(exc) from exc
            return self._engine

    def _open(self) -> AsyncEngine:
        """In a thread: imports, files and migrations would hold up the event loop. The engine connects later, on the loop."""
        from app.store import engines, migrate

        if self.place.file is not None:
            prepare_file(self.place.file)
        migrate.bring_up(self.place, only_check=not self._migrate)
        return engines.served(self.place, self._pool, self._timeout_s)

    def _unreachable(self, exc: BaseException) -> StoreUnavailable:
        if not self._down:  # once, not at every request
            log.error("the database cannot be reached: %s: %s", type(exc.__cause__ or exc).__name__, exc.__cause__ or exc)
            self._down = True
        return exc if isinstance(exc, StoreUnavailable) else StoreUnavailable("The database cannot be reached.")

    def _reached(self) -> None:
        if self._down:
            log.warning("the database can be reached again")
            self._down = False


def prepare_file(file: Path) -> None:
    """The file and its folder, readable by nobody else. What is there already keeps its rights: it may be shared on purpose."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
