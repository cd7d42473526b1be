"""SQL of suspicious-activity reports: cases, the idempotency keys they were filed under, and who looked at them. `service.reports` has the rules.

Imported where it is used, for it loads SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, Table, delete, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import IdempotencyConflict
from app.store.case_filter import Filter
from app.store.db import Database
from app.store.tables import case_events, case_keys, cases

Row = Mapping[str, Any]
_CASES, _KEYS, _EVENTS = cases.c, case_keys.c, case_events.c
_BRIEF = [column for column in cases.c if column.name not in ("evidence", "metadata", "reason", "fingerprint")]


async def file(database: Database, case: Row, event: Row, key_hash: str | None) -> RowMapping:
    """Stores a case once: the same fingerprint, or key, gives the case that is there. Raises IdempotencyConflict for a key used with another one.

    Safe against any number of others at the same time, in this process or another: unique indexes decide who is first.
    """
    fingerprint, now = case["fingerprint"], case["created_at"]
    async with database.begin() as connection:
        ended = select(_CASES.id).where(_CASES.expires_at <= now)  # not swept yet, but over
        if key_hash is not None:
            await connection.execute(delete(case_keys).where(_KEYS.hash == key_hash, _KEYS.case_id.in_(ended)))
            await _same(connection, key_hash, fingerprint)
        await connection.execute(update(cases).where(_CASES.fingerprint == fingerprint, _CASES.expires_at <= now).values(fingerprint=_CASES.id))
        created = await _add(connection, cases, case)
        found = (await connection.execute(select(cases).where(_CASES.fingerprint == fingerprint))).mappings().one()
        if key_hash is not None and not await _add(connection, case_keys, {"hash": key_hash, "case_id": found["id"]}):
            await _same(connection, key_hash, fingerprint)  # somebody was quicker with this key
        row = {**event, "case_id": found["id"], "action": "filed" if created else "filed again"}
        await connection.execute(insert(case_events).values(**row))
        return found


async def page(
    database: Database, owner: str, now: float, wanted: Filter, after: tuple[float, str] | None, most: int, *, whole: bool
) -> list[RowMapping]:
    """Newest first, from the one after `after` (its `created_at` and `id`); without evidence and texts unless `whole`."""
    query = select(cases) if whole else select(*_BRIEF)
    query = query.where(_CASES.owner == owner, _CASES.expires_at > now)
    if wanted.decision is not None:
        query = query.where(_CASES.decision == wanted.decision)
    if wanted.session_id is not None:
        query = query.where(_CASES.session_id == wanted.session_id)
    if wanted.since is not None:
        query = query.where(_CASES.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_CASES.created_at < wanted.until)
    if after is not None:
        query = query.where(tuple_(_CASES.created_at, _CASES.id) < after)
    async with database.read() as connection:
        return list((await connection.execute(query.order_by(_CASES.created_at.desc(), _CASES.id.desc()).limit(most))).mappings())


async def get(database: Database, owner: str, case_id: str, now: float) -> RowMapping | None:
    async with database.read() as connection:
        return (
            (await connection.execute(select(cases).where(_CASES.id == case_id, _CASES.owner == owner, _CASES.expires_at > now))).mappings().first()
        )


async def note(database: Database, events: Sequence[Row]) -> None:
    async with database.begin() as connection:
        await connection.execute(insert(case_events), [dict(row) for row in events])


async def events(database: Database, case_id: str, most: int) -> list[RowMapping]:
    """The newest `most`, oldest first."""
    query = select(case_events).where(_EVENTS.case_id == case_id).order_by(_EVENTS.at.desc(), _EVENTS.id.desc()).limit(most)
    async with database.read() as connection:
        return list((await connection.execute(query)).mappings())[::-1]


async def ended(database: Database, now: float, most: int) -> list[RowMapping]:
    """Cases whose time is over: `id` and `audio`."""
    async with database.read() as connection:
        query = select(_CASES.id, _CASES.audio).where(_CASES.expires_at <= now).order_by(_CASES.expires_at).limit(most)
        return list((await connection.execute(query)).mappings())


async def remove(database: Database, case_ids: Iterable[str]) -> None:
    """With their keys and events."""
    ids = list(case_ids)
    async with database.begin() as connection:
        for table, column in ((case_events, _EVENTS.case_id), (case_keys, _KEYS.case_id), (cases, _CASES.id)):
            await connection.execute(delete(table).where(column.in_(ids)))


async def _add(connection: AsyncConnection, table: Table, row: Row) -> bool:
    """Whether it was added: False when a unique index holds one already, once whoever adds it has committed."""
    new = postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
    result = await connection.execute(new.values(**row).on_conflict_do_nothing())
    return bool(result.rowcount)


async def _same(connection: AsyncConnection, key_hash: str, fingerprint: str) -> None:
    query = select(_CASES.fingerprint).join(case_keys, _KEYS.case_id == _CASES.id).where(_KEYS.hash == key_hash)
    found = (await connection.execute(query)).scalar()
    if found is not None and found != fingerprint:
        raise IdempotencyConflict()
