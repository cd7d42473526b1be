"""SQL of the table of API keys. Rows come and go with its columns' names; `service.keys` knows what they mean.

Imported where it is used, for it loads SQLAlchemy.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, or_, select, update
from sqlalchemy.engine import RowMapping

from app.store.db import Database
from app.store.tables import api_keys

Row = dict[str, Any]
_KEYS = api_keys.c


async def add(database: Database, row: Row) -> None:
    async with database.begin() as connection:
        await connection.execute(insert(api_keys).values(**row))


async def by_prefix(database: Database, prefix: str) -> RowMapping | None:
    async with database.read() as connection:
        return (await connection.execute(select(api_keys).where(_KEYS.prefix == prefix))).mappings().first()


async def by_id(database: Database, key_id: str) -> RowMapping | None:
    async with database.read() as connection:
        return (await connection.execute(select(api_keys).where(_KEYS.id == key_id))).mappings().first()


async def any_row(database: Database) -> bool:
    async with database.read() as connection:
        return (await connection.execute(select(_KEYS.id).limit(1))).first() is not None


async def every(database: Database) -> list[RowMapping]:
    """Oldest first."""
    async with database.read() as connection:
        return list((await connection.execute(select(api_keys).order_by(_KEYS.created_at, _KEYS.id))).mappings())


async def good(database: Database, now: float, most: int) -> list[RowMapping]:
    """Those neither revoked nor expired; the newest, if there are more than `most`."""
    wanted = select(api_keys).where(_KEYS.revoked_at.is_(None), or_(_KEYS.expires_at.is_(None), _KEYS.expires_at > now))
    async with database.read() as connection:
        return list((await connection.execute(wanted.order_by(_KEYS.created_at.desc()).limit(most))).mappings())


async def revoke(database: Database, key_id: str, now: float) -> None:
    """The time of the first revocation stays."""
    async with database.begin() as connection:
        await connection.execute(update(api_keys).where(_KEYS.id == key_id, _KEYS.revoked_at.is_(None)).values(revoked_at=now))


async def replace(database: Database, key_id: str, new: Row, old_ends_at: float) -> None:
    """Adds a key and lets another end at that time, unless it ends sooner: both or neither."""
    sooner = or_(_KEYS.expires_at.is_(None), _KEYS.expires_at > old_ends_at)
    async with database.begin() as connection:
        await connection.execute(insert(api_keys).values(**new))
        await connection.execute(update(api_keys).where(_KEYS.id == key_id, sooner).values(expires_at=old_ends_at))


async def used(database: Database, key_id: str, now: float) -> None:
    async with database.begin() as connection:
        await connection.execute(update(api_keys).where(_KEYS.id == key_id).values(last_used_at=now))
