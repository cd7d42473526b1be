"""Session records in the SQL database, for servers that share one and no Redis. A record is a few entries, each with its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from app.store.db import Database

SWEEP_EVERY_S = 60.0


class RecordStore(Protocol):
    """What records are kept on: a `Cache` is one."""

    async def get(self, key: str) -> bytes | None: ...

    async def set(self, key: str, value: bytes, ttl_s: float) -> None: ...


class RecordRows:
    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._database, self._now = database, now
        self._swept_at = float("-inf")

    async def get(self, key: str) -> bytes | None:
        if not self._database.exists():
            return None
        from sqlalchemy import select

        from app.store.tables import session_records as records

        query = select(records.c.value).where(records.c.key == key, records.c.expires_at > self._now())
        async with self._database.read() as connection:
            value: bytes | None = (await connection.execute(query)).scalar()
        return value

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Whoever writes also removes what is over, once a minute."""
        from sqlalchemy import delete
        from sqlalchemy.dialects import postgresql, sqlite

        from app.store.tables import session_records as records

        now = self._now()
        row = {"key": key, "value": value, "expires_at": now + ttl_s}
        async with self._database.begin() as connection:
            new = postgresql.insert(records) if connection.dialect.name == "postgresql" else sqlite.insert(records)
            changes = {"value": new.excluded.value, "expires_at": new.excluded.expires_at}
            await connection.execute(new.values(**row).on_conflict_do_update(index_elements=["key"], set_=changes))
        if now - self._swept_at >= SWEEP_EVERY_S:
            self._swept_at = now
            async with self._database.begin() as connection:
                await connection.execute(delete(records).where(records.c.expires_at <= now))
