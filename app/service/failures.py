"""How many wrong keys an address has sent this minute, counted where all servers see it. Used by `access`.

Beyond the limit an address is answered without a look into the database, but a good key is still let in, for others may share the address:
guessing 190 random bits is hopeless at any speed, so the limit is there for load, and for keys of the environment that are words.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from app.core.errors import RateLimited, StoreUnavailable
from app.service.addresses import block_of
from app.store.cache import Cache

MINUTE_S = 60

log = logging.getLogger(__name__)


class Failures:
    """A minute is the clock's. While the counts cannot be reached nobody is held up by them."""

    def __init__(self, cache: Cache, most: int, clock: Callable[[], float]) -> None:
        self._cache, self._most, self._clock = cache, most, clock

    async def refusal(self, address: str) -> RateLimited | None:
        """What an address beyond the limit is told."""
        try:
            count = int(await self._cache.get(self._name(address)) or 0)
        except StoreUnavailable:
            return None
        if count < self._most:
            return None
        wait_ms = max(1000, round((MINUTE_S - self._clock() % MINUTE_S) * 1000))
        return RateLimited("Too many wrong keys came from this address; try again later.", retry_after_ms=wait_ms)

    async def count(self, address: str) -> None:
        try:
            count = await self._cache.increment(self._name(address), 1, 2 * MINUTE_S)
        except StoreUnavailable:
            log.warning("wrong keys could not be counted")
            return
        if count == self._most:
            log.warning("%d wrong keys came from %s within a minute: it has to wait", count, block_of(address))

    def _name(self, address: str) -> str:
        return f"failures:{block_of(address)}:{int(self._clock() // MINUTE_S)}"
