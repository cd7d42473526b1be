"""Small things with an end: tokens, counts of wrong keys, snapshots of sessions. In this process by default, in Redis when servers share them.

Values are bytes; every entry has a time to live. `add`, `take` and `increment` are atomic across processes: what is to happen once happens once,
or, when Redis fails in the middle, not at all. What cannot be reached raises StoreUnavailable. `main` opens one and closes it.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, cast

from app.core.errors import BadSetting, StoreUnavailable
from app.store.holding import HOLD, LET_GO, SEIZE, Held

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.commands.core import AsyncScript

log = logging.getLogger(__name__)

PREFIX = "voxproof:"  # one Redis may serve others too
CONNECTIONS = 64
# A counter gets its end with its first count, in one step: a crash in between would leave one that never ends.
INCREMENT = """
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return count
"""


class Cache(Protocol):
    async def get(self, key: str) -> bytes | None: ...

    async def set(self, key: str, value: bytes, ttl_s: float) -> None: ...

    async def add(self, key: str, value: bytes, ttl_s: float) -> bool:
        """Sets it unless it is there; whether it was set."""
        ...

    async def take(self, key: str) -> bytes | None:
        """The value, which is gone then."""
        ...

    async def delete(self, key: str) -> None: ...

    async def increment(self, key: str, by: int, ttl_s: float) -> int:
        """Adds to a counter, which starts at 0 and ends `ttl_s` after its first use; the new count."""
        ...

    async def hold(self, key: str, holder: bytes, value: bytes, ttl_s: float) -> bool:
        """Sets it unless somebody else holds it; whether it was set. `holder` is 16 bytes that nobody else has."""
        ...

    async def seize(self, key: str, holder: bytes, ttl_s: float) -> Held | None:
        """What is there, and who held it; from now on `holder` does."""
        ...

    async def let_go(self, key: str, holder: bytes) -> None:
        """Deletes it, if `holder` holds it."""
        ...

    async def check(self) -> None:
        """Raises StoreUnavailable when it cannot be reached."""
        ...

    async def close(self) -> None: ...


def open_cache(redis_url: str | None, timeout_s: float = 2.0) -> Cache:
    """Redis's when there is a URL, else this process's own. Raises BadSetting for a URL that is none of Redis."""
    return RedisCache(redis_url, timeout_s) if redis_url else MemoryCache()


class MemoryCache:
    """Bounded: beyond `most` entries or `most_bytes` of values the oldest goes."""

    def __init__(self, most: int = 100_000, most_bytes: int = 256 << 20) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._entries: dict[str, tuple[float, bytes]] = {}  # oldest first
        self._ends: list[tuple[float, str]] = []  # a heap; it may name entries that are gone or were set again
        self._bytes = 0

    async def get(self, key: str) -> bytes | None:
        found = self._entries.get(key)
        if found is None or found[0] > time.monotonic():
            return found[1] if found else None
        self._drop(key)
        return None

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        self._drop(key)
        self._drop_ended()
        while self._entries and (len(self._entries) >= self._most or self._bytes + len(value) > self._most_bytes):
            self._drop(next(iter(self._entries)))
        self._put(key, time.monotonic() + ttl_s, value)

    async def add(self, key: str, value: bytes, ttl_s: float) -> bool:
        if await self.get(key) is not None:
            return False
        await self.set(key, value, ttl_s)
        return True

    async def take(self, key: str) -> bytes | None:
        value = await self.get(key)
        self._drop(key)
        return value

    async def delete(self, key: str) -> None:
        self._drop(key)

    async def increment(self, key: str, by: int, ttl_s: float) -> int:
        value = await self.get(key)
        if value is None:
            await self.set(key, str(by).encode(), ttl_s)
            return by
        count = int(value) + by
        changed = str(count).encode()
        self._entries[key] = (self._entries[key][0], changed)  # in its old place, with its old end
        self._bytes += len(changed) - len(value)
        return count

    async def hold(self, key: str, holder: bytes, value: bytes, ttl_s: float) -> bool:
        found = await self.get(key)
        if found is not None and not found.startswith(holder):
            return False
        await self.set(key, holder + value, ttl_s)
        return True

    async def seize(self, key: str, holder: bytes, ttl_s: float) -> Held | None:
        found = await self.get(key)
        if found is None:
            return None
        await self.set(key, holder + Held.of(found).value, ttl_s)
        return Held.of(found)

    async def let_go(self, key: str, holder: bytes) -> None:
        found = await self.get(key)
        if found is not None and found.startswith(holder):
            self._drop(key)

    async def check(self) -> None:
        return None

    async def close(self) -> None:
        self._entries.clear()
        self._ends.clear()
        self._bytes = 0

    def _put(self, key: str, ends: float, value: bytes) -> None:
        self._entries[key] = (ends, value)
        self._bytes += len(value)
        heapq.heappush(self._ends, (ends, key))

    def _drop(self, key: str) -> None:
        if (found := self._entries.pop(key, None)) is not None:
            self._bytes -= len(found[1])

    def _drop_ended(self) -> None:
        now = time.monotonic()
        while self._ends and self._ends[0][0] <= now:
            ends, key = heapq.heappop(self._ends)
            if (found := self._entries.get(key)) is not None and found[0] == ends:
                self._drop(key)
        if len(self._ends) > 2 * len(self._entries) + 1000:  # entries set again and again with a long life
            self._ends = [(ends, key) for key, (ends, _) in self._entries.items()]
            heapq.heapify(self._ends)


class RedisCache:
    """One pool of connections, made at the first use. Needs Redis 6.2 or newer (GETDEL), or what speaks like it."""

    def __init__(self, url: str, timeout_s: float = 2.0) -> None:
        if not url.lower().startswith(("redis://", "rediss://", "unix://")):
            raise BadSetting("redis_url: use redis://, rediss:// (TLS) or unix://.")
        self._url, self._timeout_s = url, timeout_s
        self._client: Redis | None = None
        self._increment: AsyncScript | None = None
        self._holding: tuple[AsyncScript, AsyncScript, AsyncScript] | None = None
        self._down = False

    async def get(self, key: str) -> bytes | None:
        async with self._asking() as client:
            return cast("bytes | None", await client.get(PREFIX + key))

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        async with self._asking() as client:
            await client.set(PREFIX + key, value, px=_ms(ttl_s))

    async def add(self, key: str, value: bytes, ttl_s: float) -> bool:
        async with self._asking() as client:
            return bool(await client.set(PREFIX + key, value, px=_ms(ttl_s), nx=True))

    async def take(self, key: str) -> bytes | None:
        async with self._asking() as client:
            return cast("bytes | None", await client.getdel(PREFIX + key))

    async def delete(self, key: str) -> None:
        async with self._asking() as client:
            await client.delete(PREFIX + key)

    async def increment(self, key: str, by: int, ttl_s: float) -> int:
        async with self._asking() as client:
            self._increment = self._increment or client.register_script(INCREMENT)
            return int(await self._increment(keys=[PREFIX + key], args=[by, _ms(ttl_s)]))

    async def hold(self, key: str, holder: bytes, value: bytes, ttl_s: float) -> bool:
        async with self._asking() as client:
            return bool(await self._scripts(client)[0](keys=[PREFIX + key], args=[holder + value, _ms(ttl_s)]))

    async def seize(self, key: str, holder: bytes, ttl_s: float) -> Held | None:
        async with self._asking() as client:
            found = await self._scripts(client)[1](keys=[PREFIX + key], args=[holder, _ms(ttl_s)])
            return Held.of(found) if found else None

    async def let_go(self, key: str, holder: bytes) -> None:
        async with self._asking() as client:
            await self._scripts(client)[2](keys=[PREFIX + key], args=[holder])

    def _scripts(self, client: Redis) -> tuple[AsyncScript, AsyncScript, AsyncScript]:
        if self._holding is None:
            self._holding = (client.register_script(HOLD), client.register_script(SEIZE), client.register_script(LET_GO))
        return self._holding

    async def check(self) -> None:
        async with self._asking() as client:
            await client.ping()

    async def close(self) -> None:
        if self._client is not None:
            client, self._client, self._increment, self._holding = self._client, None, None, None
            await client.aclose()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Redis]:
        from redis import exceptions

        not_now = (
            exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ReadOnlyError, exceptions.OutOfMemoryError,
            exceptions.ClusterDownError, exceptions.NoPermissionError, OSError,
        )  # fmt: skip
        try:
            yield self._client or self._opened()
        except not_now as exc:
            if not self._down:  # once, not at every request; the driver's texts name host and port, never the password
                log.error("Redis cannot be reached: %s: %s", type(exc).__name__, exc)
                self._down = True
            raise StoreUnavailable("Redis cannot be reached.") from exc
        if self._down:
            log.warning("Redis can be reached again")
            self._down = False

    def _opened(self) -> Redis:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError

        pool = BlockingConnectionPool.from_url(
            self._url,
            max_connections=CONNECTIONS,
            timeout=self._timeout_s,  # for a free connection
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
            # Redis was restarted, and a kept connection is dead: once more, on a new one.
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        )
        self._client = Redis.from_pool(pool)
        return self._client


def _ms(ttl_s: float) -> int:
    return max(1, round(ttl_s * 1000))
