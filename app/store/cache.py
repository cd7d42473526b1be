"""Small things with an end: tokens, counts of wrong keys, snapshots of sessions. In this process by default, in Redis when servers share them.

Values are bytes; every entry has a time to live. `add` and `take` are atomic across processes: what is to happen once happens once.
"""

from __future__ import annotations

import time
from typing import Protocol


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

    async def check(self) -> None:
        """Raises when it cannot be reached."""
        ...

    async def close(self) -> None: ...


class MemoryCache:
    """Bounded: beyond `most` entries the oldest goes."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._entries: dict[str, tuple[float, bytes]] = {}

    async def get(self, key: str) -> bytes | None:
        found = self._entries.get(key)
        if found is None:
            return None
        if found[0] <= time.monotonic():
            del self._entries[key]
            return None
        return found[1]

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        self._entries.pop(key, None)
        while len(self._entries) >= self._most:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (time.monotonic() + ttl_s, value)

    async def add(self, key: str, value: bytes, ttl_s: float) -> bool:
        if await self.get(key) is not None:
            return False
        await self.set(key, value, ttl_s)
        return True

    async def take(self, key: str) -> bytes | None:
        value = await self.get(key)
        self._entries.pop(key, None)
        return value

    async def delete(self, key: str) -> None:
        self._entries.pop(key, None)

    async def increment(self, key: str, by: int, ttl_s: float) -> int:
        value = await self.get(key)
        if value is None:
            await self.set(key, str(by).encode(), ttl_s)
            return by
        count = int(value) + by
        self._entries[key] = (self._entries[key][0], str(count).encode())
        return count

    async def check(self) -> None:
        return None

    async def close(self) -> None:
        self._entries.clear()
