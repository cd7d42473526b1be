"""Webhooks: who wants to hear of what, and the way an event takes from a live stream to the outbox. `deliveries` takes it from there.

`publish` and the observers of streams return at once: events wait in a bounded queue until a task has written them down. An owner without webhooks
costs a look into a dict; while nothing was ever stored the database is not opened. Events carry verdicts and ids, never audio, keys or reports.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

from app.core import hooks
from app.core.errors import NotFound, StoreUnavailable, TooManyWebhooks
from app.core.session import Session
from app.service.access import Principal
from app.service.deliveries import Deliverer
from app.service.egress import Egress, Reply
from app.service.records import iso
from app.service.session_events import SessionEvents
from app.settings import Settings
from app.store.webhook_rows import Webhook, WebhookRows

KNOWN_S = 10.0  # after which a webhook that another server registered is known here too
MOST_KNOWN = 10_000
SECRET_BYTES = 32
RETRY_S = 1.0
FLUSH_S = 2.0
COMPLAIN_EVERY_S = 60.0
BROKEN = "broken"  # a record's word for a session whose client never came back
MOST_SETTLING = 1000

Record = Callable[[str, str], Awaitable[dict[str, Any] | None]]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Happened:
    owner: str
    event: str
    event_id: str
    body: str


class Webhooks:
    """`async with Webhooks(...)` runs its two tasks."""

    def __init__(
        self, rows: WebhookRows, egress: Egress, settings: Settings, record: Record | None = None, *, clock: Callable[[], float] = time.time,
        settle_s: float = 2.0,
    ) -> None:  # fmt: skip
        """`record` gives what is known of a session (`Records.get`)."""
        self._record, self._settle_s = record, settle_s
        self._settling: set[asyncio.Task[None]] = set()
        self._rows, self._egress, self._settings, self._clock = rows, egress, settings, clock
        self.deliverer = Deliverer(rows, egress, settings, clock=clock)
        self.dropped = 0
        self._queue: asyncio.Queue[_Happened] = asyncio.Queue(settings.webhook_max_queue)
        self._known: dict[str, tuple[float, frozenset[str]]] = {}  # owner -> until when, what its webhooks want to hear
        self._complained_at = float("-inf")

    async def __aenter__(self) -> Webhooks:
        self._writer = asyncio.create_task(self._write(), name="webhook outbox")
        self._delivering = asyncio.create_task(self.deliverer.run(), name="webhook deliveries")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self._queue.join()
        tasks = self._writer, self._delivering, *self._settling
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._egress.close()

    # --- what their owner does with them ----------------------------------------------------------------------

    async def register(self, owner: str, url: str, events: Sequence[str]) -> Webhook:
        """Raises ForbiddenAddress, TooManyWebhooks, StoreUnavailable."""
        await self._egress.check(url)
        webhook = Webhook(
            id="wh_" + secrets.token_hex(12), owner=owner, url=url, events=tuple(dict.fromkeys(events)),
            secret=hooks.secret_text(secrets.token_bytes(SECRET_BYTES)), enabled=True, failing_since=None, last_status=None, last_at=None,
            created_at=self._clock(),
        )  # fmt: skip
        if not await self._rows.add(webhook, self._settings.max_webhooks):
            raise TooManyWebhooks()
        self._known.pop(owner, None)
        return webhook

    async def of_owner(self, owner: str) -> list[Webhook]:
        return await self._rows.of_owner(owner) if self._rows.exist() else []

    async def remove(self, owner: str, webhook_id: str) -> None:
        """Raises NotFound, for those of others too."""
        if not self._rows.exist() or not await self._rows.remove(owner, webhook_id):
            raise NotFound("You have no such webhook.")
        self._known.pop(owner, None)

    async def test(self, owner: str, webhook_id: str) -> Reply:
        """One attempt, now, with an event that says it is a test. Raises NotFound."""
        webhook = next((each for each in await self.of_owner(owner) if each.id == webhook_id), None)
        if webhook is None:
            raise NotFound("You have no such webhook.")
        body = self._body(hooks.TEST_EVENT, {"webhook_id": webhook.id}).encode()
        reply = await self._egress.post(webhook.url, hooks.headers(webhook.secret, _event_id(), int(self._clock()), body), body)
        await self._rows.tested(webhook.id, reply.status, self._clock(), taken=reply.taken)
        if reply.taken:
            self._known.pop(owner, None)
            self.deliverer.wake()
        return reply

    # --- what happens -----------------------------------------------------------------------------------------

    def observe(self, principal: Principal, session: Session) -> SessionEvents:
        """What `Streams` tells of one session."""
        owner = principal.owner
        return SessionEvents(session, partial(self.publish, owner), partial(self._let_go, owner))

    def wanted(self, owner: str, event: str) -> bool:
        """Whether somebody may want to hear of it. False is cheap and certain, but for KNOWN_S."""
        until, events = self._known.get(owner, (0.0, frozenset()))
        return event in events if time.monotonic() < until else self._rows.exist()

    def publish(self, owner: str, event: str, data: Mapping[str, Any], event_id: str | None = None) -> None:
        """Hands an event on; the same `event_id` is the same event to its receivers.

        Never waits and never raises: when the queue is full the event is dropped, and the log says so.
        """
        if not self.wanted(owner, event):
            return
        try:
            self._queue.put_nowait(_Happened(owner, event, event_id or _event_id(), self._body(event, data)))
        except asyncio.QueueFull:
            self.dropped += 1
            if time.monotonic() - self._complained_at > COMPLAIN_EVERY_S:
                self._complained_at = time.monotonic()
                log.warning("webhook events come faster than they are written down; %d were dropped so far", self.dropped)

    def _let_go(self, owner: str, events: SessionEvents) -> None:
        """A session that had not ended: it has, unless its record says soon that another server goes on with it."""
        if self._record is not None and self.wanted(owner, "session.finished") and len(self._settling) < MOST_SETTLING:
            task = asyncio.create_task(self._settle(owner, events, self._record), name="session let go")
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    async def _settle(self, owner: str, events: SessionEvents, record: Record) -> None:
        await asyncio.sleep(self._settle_s)
        with suppress(StoreUnavailable):
            found = await record(owner, events.session_id)
            if found is not None and found["state"] == BROKEN:
                events.finished(BROKEN, found)

    def _body(self, event: str, data: Mapping[str, Any]) -> str:
        return json.dumps({"type": event, "timestamp": iso(self._clock()), "data": data}, separators=(",", ":"))

    async def _write(self) -> None:
        while True:
            happened = await self._queue.get()
            try:
                await self._written(happened)
            except Exception:
                log.exception("a webhook event could not be written down")
            finally:
                self._queue.task_done()

    async def _written(self, happened: _Happened) -> None:
        while True:
            try:
                if happened.event not in await self._events_of(happened.owner):
                    return
                if await self._rows.enqueue(happened.owner, happened.event, happened.event_id, happened.body, self._clock()):
                    self.deliverer.wake()
                return
            except StoreUnavailable:
                await asyncio.sleep(RETRY_S)  # meanwhile the queue fills, and has its bound

    async def _events_of(self, owner: str) -> frozenset[str]:
        until, events = self._known.get(owner, (0.0, frozenset()))
        if time.monotonic() >= until:
            events = frozenset(event for webhook in await self.of_owner(owner) if webhook.enabled for event in webhook.events)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[owner] = time.monotonic() + KNOWN_S, events
        return events


def _event_id() -> str:
    return "msg_" + secrets.token_hex(16)
