"""The SQL database: one engine, opened when it is first needed, brought to the newest schema then. SQLite by default, PostgreSQL by URL.

async with database.begin() as connection:  # one transaction; SQLAlchemy Core on the tables of `store.tables`
    await connection.execute(insert(cases).values(...))
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class Database:
    def __init__(self, url: str | None, data_dir: Path) -> None:
        self._url, self._data_dir = url, data_dir
        self._engine: AsyncEngine | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed when the block ends well."""
        engine = await self._opened()
        async with engine.begin() as connection:
            yield connection

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    async def _opened(self) -> AsyncEngine:
        async with self._opening:
            if self._engine is None:
                from sqlalchemy.ext.asyncio import create_async_engine

                from app.store.tables import metadata

                await asyncio.to_thread(self._data_dir.mkdir, parents=True, exist_ok=True)
                engine = create_async_engine(self._url or f"sqlite+aiosqlite:///{self._data_dir / 'voxproof.db'}")
                async with engine.begin() as connection:
                    await connection.run_sync(metadata.create_all)  # the migrations take this over
                self._engine = engine
            return self._engine
