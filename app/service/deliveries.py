"""Makes the deliveries of the outbox, again and again until each is taken or given up. One a server; they share the work by claiming rows.

A receiver that fails is asked later and later, one that answers 410 or has failed for days is switched off. Streams are never waited for: events
come out of the database, and so does what a server that died left behind.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from app.core import hooks
from app.core.errors import StoreUnavailable
from app.service.egress import NO_ANSWER, Egress, Reply
from app.settings import Settings
from app.store.webhook_rows import Delivery, WebhookRows

PARALLEL = 32  # deliveries under way in one server
PARALLEL_EACH = 4  # and of those to one webhook, so that a slow receiver does not hold the others up
LEASE_EXTRA_S = 30.0
SOON_S = 0.05  # at least this between two looks, whatever the rows say
LAST_S = 3.0  # deliveries under way when the server ends may take this long; the others are made later

log = logging.getLogger(__name__)


class Deliverer:
    """`run` is its task; `wake` tells it that there is something new."""

    def __init__(
        self, rows: WebhookRows, egress: Egress, settings: Settings, *, clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._rows, self._egress, self._settings, self._clock, self._chance = rows, egress, settings, clock, chance
        self._wake = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], str] = {}
        self.counts: Counter[str] = Counter()  # delivered, failed, given_up, switched_off

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        try:
            while True:
                self._wake.clear()
                wait_s = self._settings.webhook_poll_seconds
                if self._rows.exist():
                    try:
                        wait_s = await self.begin_due()
                    except StoreUnavailable:
                        pass  # the database says so in the log; the next look may find it
                    except Exception:
                        log.exception("looking for webhook deliveries failed")
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(SOON_S, wait_s)):
                        await self._wake.wait()
        finally:
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=LAST_S)
                for task in self._under_way:
                    task.cancel()
                await asyncio.gather(*self._under_way, return_exceptions=True)

    async def begin_due(self) -> float:
        """Begins what is due and there is room for; seconds until something may be due again."""
        now, poll_s = self._clock(), self._settings.webhook_poll_seconds
        busy = Counter(self._under_way.values())
        room = PARALLEL - busy.total()
        if room <= 0:
            return poll_s  # the end of one wakes us
        for delivery in await self._rows.due(now, room, [webhook for webhook, count in busy.items() if count >= PARALLEL_EACH]):
            if busy[delivery.webhook_id] >= PARALLEL_EACH:
                continue
            if await self._rows.claim(delivery, now + self._settings.webhook_timeout_seconds + LEASE_EXTRA_S):
                busy[delivery.webhook_id] += 1
                task = asyncio.create_task(self._make(delivery), name="webhook delivery")
                self._under_way[task] = delivery.webhook_id
                task.add_done_callback(self._made)
        soonest = await self._rows.next_at()
        if soonest is None:
            return poll_s
        # What is due and was not begun waits for one under way, whose end wakes us.
        return min(poll_s, soonest - now if soonest > now else (poll_s if self._under_way else 0.0))

    async def settled(self) -> None:
        """Waits until what was begun is done (tests)."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _made(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._wake.set()

    async def _make(self, delivery: Delivery) -> None:
        try:
            await self._attempt(delivery)
        except StoreUnavailable:
            pass  # not noted, so it is made again after its lease: at least once
        except Exception:  # a bug of ours: it comes again after its lease, until its attempts are used up
            log.exception("a webhook delivery failed")

    async def _attempt(self, delivery: Delivery) -> None:
        settings, body = self._settings, delivery.body.encode()
        if delivery.attempts < settings.webhook_max_attempts:
            signed = hooks.headers(delivery.secret, delivery.event_id, int(self._clock()), body)
            reply = await self._egress.post(delivery.url, signed, body)
        else:
            reply = Reply(NO_ANSWER, "Each attempt ended with the server that made it.")
        now = self._clock()
        if reply.taken:
            self.counts["delivered"] += 1
            await self._rows.delivered(delivery, reply.status, now)
            return
        self.counts["failed"] += 1
        if reply.status == HTTPStatus.GONE:
            await self._rows.switch_off(delivery.webhook_id, reply.status, now)
            self._said_off(delivery.webhook_id, reply.problem)
            return
        attempts, next_at = delivery.attempts + 1, None
        if attempts < settings.webhook_max_attempts:
            next_at = now + hooks.delay_s(attempts, settings.webhook_retry_seconds, self._chance(), reply.retry_after_s)
        else:
            self.counts["given_up"] += 1
            log.warning("webhook %s: event %s was given up after %d attempts: %s", delivery.webhook_id, delivery.event_id, attempts, reply.problem)
        if await self._rows.failed(delivery, reply.status, now, next_at, settings.webhook_disable_days * 86_400):
            self._said_off(delivery.webhook_id, reply.problem)

    def _said_off(self, webhook_id: str, problem: str) -> None:
        self.counts["switched_off"] += 1
        log.warning("webhook %s was switched off: %s", webhook_id, problem)
