"""Counters that go on when the store the servers share does not answer: either each process counts by itself meanwhile, or nobody is let in.

A store that failed is left alone for a second, so that an outage costs one wait a second and not one a request. Used by `quotas`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.core.errors import LimitsUnavailable
from app.store.counters import Counters, StoreFailed

REST_S = 1.0
SAID_EVERY_S = 60.0

T = TypeVar("T")

log = logging.getLogger(__name__)


class Counting:
    """`failures` counts the questions that were not answered. Raises LimitsUnavailable only when told to `refuse`."""

    def __init__(self, local: Counters, shared: Counters | None = None, *, refuse: bool = False) -> None:
        self._local, self._shared, self._refuse = local, shared, refuse
        self.failures = 0
        self._rest_until = self._said_at = float("-inf")

    @property
    def shared(self) -> bool:
        return self._shared is not None

    async def add(self, key: str, by: int, ttl_s: int) -> int:
        return await self._ask(lambda store: store.add(key, by, ttl_s))

    async def get(self, key: str) -> int:
        return await self._ask(lambda store: store.get(key))

    async def take(self, key: str, holder: str, most: int, ttl_s: int) -> bool:
        return await self._ask(lambda store: store.take(key, holder, most, ttl_s))

    async def keep(self, key: str, holder: str, ttl_s: int) -> None:
        """Never raises: whoever has a place is not put out because of our store."""
        await self._try(lambda store: store.keep(key, holder, ttl_s))

    async def leave(self, key: str, holder: str) -> None:
        await self._local.leave(key, holder)  # where it is if it was taken during an outage
        await self._try(lambda store: store.leave(key, holder))  # what this misses lapses by itself

    async def close(self) -> None:
        await self._local.close()
        if self._shared is not None:
            await self._shared.close()

    async def _ask(self, question: Callable[[Counters], Awaitable[T]]) -> T:
        if self._shared is None:
            return await question(self._local)
        if time.monotonic() >= self._rest_until:
            try:
                return await question(self._shared)
            except StoreFailed as exc:
                self._failed(exc)
        if self._refuse:
            raise LimitsUnavailable(retry_after_ms=round(REST_S * 1000))
        return await question(self._local)

    async def _try(self, question: Callable[[Counters], Awaitable[None]]) -> None:
        if self._shared is not None and time.monotonic() >= self._rest_until:
            try:
                await question(self._shared)
            except StoreFailed as exc:
                self._failed(exc)

    def _failed(self, exc: StoreFailed) -> None:
        now = time.monotonic()
        self.failures += 1
        self._rest_until = now + REST_S
        if now - self._said_at >= SAID_EVERY_S:
            self._said_at = now
            meanwhile = "requests are refused" if self._refuse else "each server counts by itself"
            log.warning("the store of the limits does not answer (%s); meanwhile %s", exc, meanwhile)
