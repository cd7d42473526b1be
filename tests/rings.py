"""Keys without a database, for the tests of admission: `Ring` keeps them in a dictionary and counts how often it is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.service.access import Access
from app.service.keys import DEFAULT_SCOPES, Key, KeyRing, hash_of, make_secret, prefix_of
from app.store.cache import MemoryCache
from app.store.db import Database

NOON = 1_700_000_000.0 // 60 * 60  # a minute begins


class Clock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Ring(KeyRing):
    def __init__(self, clock: Clock, environment: str | None = None) -> None:
        super().__init__(Database(None, Path("/nowhere")), environment, clock)
        self.keys: dict[str, Key] = {}
        self.asked = 0

    def add(self, *scopes: str, owner: str = "acme", expires_at: float | None = None) -> str:
        """A new key's secret."""
        secret = make_secret()
        key_id = f"key-{len(self.keys)}"
        self.keys[key_id] = Key(
            key_id, owner, key_id, prefix_of(secret), hash_of(secret), frozenset(scopes or DEFAULT_SCOPES), self._clock(), expires_at
        )
        return secret

    def change(self, secret: str, **values: float) -> None:
        key = self.of(secret)
        self.keys[key.id] = replace(key, **values)  # type: ignore[arg-type]

    def of(self, secret: str) -> Key:
        return next(key for key in self.keys.values() if key.hash == hash_of(secret))

    async def any(self) -> bool:
        self.asked += 1
        return self.environment is not None or bool(self.keys)

    async def by_prefix(self, prefix: str) -> Key | None:
        self.asked += 1
        return next((key for key in self.keys.values() if key.prefix == prefix), None)

    async def by_id(self, key_id: str) -> Key | None:
        self.asked += 1
        return self.keys.get(key_id)

    async def active(self) -> list[Key]:
        self.asked += 1
        return [key for key in self.keys.values() if not key.ended(self._clock())]

    async def used(self, key: Key) -> None:
        return None


class Door:
    """Admission with a clock of the test's; both clocks, of the day and of intervals, are the same."""

    def __init__(self, environment: str | None = None, **options: object) -> None:
        self.clock = Clock()
        self.ring = Ring(self.clock, environment)
        self.cache = MemoryCache()
        self.access = Access(self.ring, self.cache, clock=self.clock, monotonic=self.clock, **options)  # type: ignore[arg-type]
