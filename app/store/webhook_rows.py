"""Webhooks and their outbox as rows. Called by `service.webhooks` and `service.deliveries`; several servers may share the tables.

A delivery belongs to whoever raised its `attempts` from the number they saw; `next_at` is then the end of the lease, after which it is anybody's
again. So each is made at least once, and by one server at a time.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.store.db import Database

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

PENDING, GIVEN_UP = "pending", "given_up"
MAX_PENDING = 10_000  # deliveries that wait for one webhook; more are not written down
KEPT_S = 7 * 86_400.0  # how long a delivery that was given up stays, for whoever looks into it


@dataclass(frozen=True)
class Webhook:
    """Times are seconds since the epoch."""

    id: str
    owner: str
    url: str
    events: tuple[str, ...]
    secret: str
    enabled: bool
    failing_since: float | None
    last_status: int | None
    last_at: float | None
    created_at: float

    @classmethod
    def of(cls, row: Any) -> Webhook:
        return cls(**{**row._asdict(), "events": tuple(json.loads(row.events))})


@dataclass(frozen=True)
class Delivery:
    """One that is due, with what is needed to make it."""

    id: str
    webhook_id: str
    event_id: str
    body: str
    attempts: int  # before this one
    url: str
    secret: str


class WebhookRows:
    def __init__(self, database: Database) -> None:
        self._database = database

    def exist(self) -> bool:
        """False where there can be none yet; asking for them would make the database."""
        return self._database.exists()

    async def add(self, webhook: Webhook, most: int) -> bool:
        """Whether there was room among its owner's."""
        from sqlalchemy import func, insert, select, text

        from app.store.tables import webhooks

        async with self._database.begin() as connection:
            if connection.dialect.name == "postgresql":  # where two could count before either adds; on SQLite there is one writer
                await connection.execute(text("LOCK TABLE webhooks IN SHARE ROW EXCLUSIVE MODE"))
            count = await connection.scalar(select(func.count()).where(webhooks.c.owner == webhook.owner))
            if (count or 0) >= most:
                return False
            await connection.execute(insert(webhooks).values({**webhook.__dict__, "events": json.dumps(webhook.events)}))
            return True

    async def of_owner(self, owner: str) -> list[Webhook]:
        from sqlalchemy import select

        from app.store.tables import webhooks

        async with self._database.read() as connection:
            found = await connection.execute(select(webhooks).where(webhooks.c.owner == owner).order_by(webhooks.c.created_at, webhooks.c.id))
            return [Webhook.of(row) for row in found]

    async def remove(self, owner: str, webhook_id: str) -> bool:
        """Whether the owner had it. Its deliveries go with it."""
        from sqlalchemy import delete

        from app.store.tables import webhooks

        async with self._database.begin() as connection:
            gone = await connection.execute(delete(webhooks).where(webhooks.c.owner == owner, webhooks.c.id == webhook_id))
            return gone.rowcount > 0

    async def enqueue(self, owner: str, event: str, event_id: str, body: str, now: float) -> int:
        """Writes the event down for each of the owner's webhooks that asked for it; how many did and had room."""
        from sqlalchemy import func, insert, select

        from app.store.tables import deliveries, webhooks

        async with self._database.begin() as connection:
            found = await connection.execute(select(webhooks.c.id, webhooks.c.events).where(webhooks.c.owner == owner, webhooks.c.enabled.is_(True)))
            wanting = [row.id for row in found if event in json.loads(row.events)]
            waiting = select(deliveries.c.webhook_id, func.count().label("waiting")).where(
                deliveries.c.webhook_id.in_(wanting), deliveries.c.state == PENDING
            )
            full = {row.webhook_id for row in await connection.execute(waiting.group_by(deliveries.c.webhook_id)) if row.waiting >= MAX_PENDING}
            rows = [
                {
                    "id": secrets.token_hex(16), "webhook_id": webhook_id, "event_id": event_id, "body": body, "state": PENDING, "attempts": 0,
                    "next_at": now, "last_status": None, "created_at": now,
                }
                for webhook_id in wanting
                if webhook_id not in full
            ]  # fmt: skip
            if rows:
                await connection.execute(insert(deliveries), rows)
            return len(rows)

    async def due(self, now: float, limit: int, without: Collection[str]) -> list[Delivery]:
        """The next deliveries to make, the oldest first, but none of the webhooks `without`."""
        from sqlalchemy import select

        from app.store.tables import deliveries, webhooks

        rows = (
            select(
                deliveries.c.id, deliveries.c.webhook_id, deliveries.c.event_id, deliveries.c.body, deliveries.c.attempts,
                webhooks.c.url, webhooks.c.secret,
            )
            .join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
            .where(deliveries.c.state == PENDING, deliveries.c.next_at <= now, webhooks.c.enabled.is_(True))
            .where(deliveries.c.webhook_id.not_in(without))
            .order_by(deliveries.c.next_at, deliveries.c.created_at)
            .limit(limit)
        )  # fmt: skip
        async with self._database.read() as connection:
            return [Delivery(**row._asdict()) for row in await connection.execute(rows)]

    async def next_at(self) -> float | None:
        """When the next delivery is due, leases included."""
        from sqlalchemy import func, select

        from app.store.tables import deliveries, webhooks

        soonest = (
            select(func.min(deliveries.c.next_at))
            .join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
            .where(deliveries.c.state == PENDING, webhooks.c.enabled.is_(True))
        )
        async with self._database.read() as connection:
            found: float | None = await connection.scalar(soonest)
            return found

    async def claim(self, delivery: Delivery, until: float) -> bool:
        """Whether this attempt is ours to make."""
        from sqlalchemy import update

        from app.store.tables import deliveries

        mine = deliveries.c.id == delivery.id, deliveries.c.attempts == delivery.attempts, deliveries.c.state == PENDING
        async with self._database.begin() as connection:
            taken = await connection.execute(update(deliveries).where(*mine).values(attempts=delivery.attempts + 1, next_at=until))
            return taken.rowcount > 0

    async def delivered(self, delivery: Delivery, status: int, now: float) -> None:
        from sqlalchemy import delete

        from app.store.tables import deliveries

        async with self._database.begin() as connection:
            await connection.execute(delete(deliveries).where(deliveries.c.id == delivery.id))
            await _note(connection, delivery.webhook_id, status, now, failing_since=None)

    async def failed(self, delivery: Delivery, status: int, now: float, next_at: float | None, disable_after_s: float) -> bool:
        """Puts it off until `next_at`, or gives it up (None). Whether the webhook was switched off, having failed for so long."""
        from sqlalchemy import delete, select, update

        from app.store.tables import deliveries, webhooks

        put_off = {"next_at": next_at} if next_at is not None else {"state": GIVEN_UP}
        async with self._database.begin() as connection:
            await connection.execute(update(deliveries).where(deliveries.c.id == delivery.id).values(last_status=status, **put_off))
            since = await connection.scalar(select(webhooks.c.failing_since).where(webhooks.c.id == delivery.webhook_id))
            since = now if since is None else since
            await _note(connection, delivery.webhook_id, status, now, failing_since=since)
            await connection.execute(delete(deliveries).where(deliveries.c.state == GIVEN_UP, deliveries.c.created_at < now - KEPT_S))
            if now - since < disable_after_s:
                return False
            await _switch_off(connection, delivery.webhook_id)
            return True

    async def switch_off(self, webhook_id: str, status: int, now: float) -> None:
        async with self._database.begin() as connection:
            await _note(connection, webhook_id, status, now, failing_since=now)
            await _switch_off(connection, webhook_id)

    async def tested(self, webhook_id: str, status: int, now: float, *, taken: bool) -> None:
        """A test that was taken switches a webhook on again."""
        from sqlalchemy import update

        from app.store.tables import webhooks

        values = {"last_status": status, "last_at": now, **({"enabled": True, "failing_since": None} if taken else {})}
        async with self._database.begin() as connection:
            await connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(**values))


async def _note(connection: AsyncConnection, webhook_id: str, status: int, now: float, failing_since: float | None) -> None:
    from sqlalchemy import update

    from app.store.tables import webhooks

    values = {"last_status": status, "last_at": now, "failing_since": failing_since}
    await connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(**values))


async def _switch_off(connection: AsyncConnection, webhook_id: str) -> None:
    from sqlalchemy import delete, update

    from app.store.tables import deliveries, webhooks

    await connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(enabled=False))
    await connection.execute(delete(deliveries).where(deliveries.c.webhook_id == webhook_id))
