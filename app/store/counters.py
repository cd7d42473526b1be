"""Counts that end, and places that lapse: what limits are made of. In this process by default, in Redis when servers share them.

A count belongs to one window of time (its key names the window) and is forgotten some time after. A place is held by somebody who renews it;
whoever is killed loses it by itself. Both are atomic across processes. The counting is the `limits` library's. Called by `service.quotas`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from limits.aio.storage import MemoryStorage, RedisStorage
    from redis.commands.core import AsyncScript

PREFIX = "voxproof:limits"
SWEEP_S = 10.0
CONNECTIONS = 8

T = TypeVar("T")


class StoreFailed(Exception):
    """The shared store did not answer, or not in time."""


class Counters(Protocol):
    async def add(self, key: str, by: int, ttl_s: int) -> int:
        """The count with `by` added; it ends `ttl_s` after its first use."""
        ...

    async def get(self, key: str) -> int: ...

    async def take(self, key: str, holder: str, most: int, ttl_s: int) -> bool:
        """A place for `holder` among `most`, unless all are taken."""
        ...

    async def keep(self, key: str, holder: str, ttl_s: int) -> None:
        """The place is held for `ttl_s` more, even if it had lapsed."""
        ...

    async def leave(self, key: str, holder: str) -> None: ...

    async def close(self) -> None: ...


class MemoryCounters:
    """Places need no end here: they go with the process."""

    def __init__(self) -> None:
        self._storage: MemoryStorage | None = None
        self._places: dict[str, set[str]] = {}
        self._sweep_at = 0.0

    async def add(self, key: str, by: int, ttl_s: int) -> int:
        storage = self._storage or await self._opened()
        if time.monotonic() >= self._sweep_at:
            await self._sweep(storage)
        return await storage.incr(key, ttl_s, amount=by)

    async def get(self, key: str) -> int:
        storage = self._storage or await self._opened()
        return await storage.get(key)

    async def take(self, key: str, holder: str, most: int, ttl_s: int) -> bool:
        held = self._places.setdefault(key, set())
        if holder not in held and len(held) >= most:
            return False
        held.add(holder)
        return True

    async def keep(self, key: str, holder: str, ttl_s: int) -> None:
        self._places.setdefault(key, set()).add(holder)

    async def leave(self, key: str, holder: str) -> None:
        held = self._places.get(key, set())
        held.discard(holder)
        if not held:
            self._places.pop(key, None)

    async def close(self) -> None:
        self._storage = None
        self._places.clear()

    async def _opened(self) -> MemoryStorage:
        await _loaded()
        from limits.aio.storage import MemoryStorage

        if self._storage is None:
            self._storage = MemoryStorage()
            # By itself it looks through all keys at every count: with a hundred thousand callers, milliseconds of each request.
            self._storage.timer = cast(Any, _Never())
        return self._storage

    async def _sweep(self, storage: MemoryStorage) -> None:
        self._sweep_at = time.monotonic() + SWEEP_S
        now = time.time()  # the storage's clock
        for key in [key for key, at in storage.expirations.items() if at <= now]:
            await storage.clear(key)


async def _loaded() -> None:
    """The library takes 0.1 s to import: neither a start nor the live streams wait for it."""
    await asyncio.to_thread(import_module, "limits.aio.storage")


class _Never:
    """Stands for the storage's own sweeper, always at work."""

    def done(self) -> bool:
        return False

    def cancel(self) -> bool:
        return True


# One sorted set a key: holders, scored by when their place lapses on the clock of Redis, so that clocks of servers may differ.
TAKE = """
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms)
local most = tonumber(ARGV[2])
if most >= 0 and not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= most then
  return 0
end
redis.call('ZADD', KEYS[1], ms + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""


class RedisCounters:
    """Raises StoreFailed within `timeout_s`."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._storage: RedisStorage | None = None
        self._client: Any = None
        self._take: AsyncScript | None = None

    async def add(self, key: str, by: int, ttl_s: int) -> int:
        storage = self._storage or await self._opened()
        return await self._asked(storage.incr(key, ttl_s, amount=by))

    async def get(self, key: str) -> int:
        storage = self._storage or await self._opened()
        return await self._asked(storage.get(key))

    async def take(self, key: str, holder: str, most: int, ttl_s: int) -> bool:
        await self._opened()
        assert self._take is not None
        script = self._take(keys=[f"{PREFIX}:{key}"], args=[holder, most, ttl_s * 1000])
        return bool(await self._asked(script))

    async def keep(self, key: str, holder: str, ttl_s: int) -> None:
        await self.take(key, holder, -1, ttl_s)

    async def leave(self, key: str, holder: str) -> None:
        await self._opened()
        await self._asked(self._client.zrem(f"{PREFIX}:{key}", holder))

    async def close(self) -> None:
        client, self._client, self._storage = self._client, None, None
        if client is not None:
            await client.connection_pool.disconnect()

    async def _asked(self, answer: Awaitable[T]) -> T:
        from limits.errors import StorageError
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(self._timeout_s):
                return await answer
        except (StorageError, RedisError, OSError, TimeoutError) as exc:
            raise StoreFailed(type(exc.__cause__ or exc).__name__) from None  # not its text, which may hold the URL

    async def _opened(self) -> RedisStorage:
        if self._storage is None:
            await _loaded()
        if self._storage is None:  # nobody else was quicker
            from limits.aio.storage import RedisStorage
            from redis.asyncio import BlockingConnectionPool, Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff

            pool = BlockingConnectionPool.from_url(
                self._url, max_connections=CONNECTIONS, timeout=self._timeout_s, socket_timeout=self._timeout_s,
                socket_connect_timeout=self._timeout_s, retry=Retry(NoBackoff(), 1),
            )  # fmt: skip
            # The pool knows where Redis is; the library's own reading of URLs is stricter.
            self._storage = RedisStorage(
                "async+redis://", implementation="redispy", key_prefix=PREFIX, wrap_exceptions=True, connection_pool=cast(Any, pool)
            )
            self._client = Redis(connection_pool=pool)
            self._take = self._client.register_script(TAKE)
        return self._storage
