"""What one server holds in the cache: the same promises from this process's own and from a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.store.cache import Cache, MemoryCache, RedisCache
from app.store.holding import Held
from tests.integration.servers_of_others import RedisServer

ONE, TWO = b"1" * 16, b"2" * 16


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    server: Any = request.getfixturevalue("redis_server") if request.param == "redis" else None
    made = RedisCache(server.url()) if isinstance(server, RedisServer) else MemoryCache()
    yield made
    await made.close()


async def test_only_the_holder_changes_or_deletes_it(cache: Cache) -> None:
    assert await cache.seize("key", ONE, 60) is None
    assert await cache.hold("key", ONE, b"\0\xff first", 60)
    assert not await cache.hold("key", TWO, b"second", 60)
    await cache.let_go("key", TWO)
    assert await cache.hold("key", ONE, b"", 60)
    assert await cache.seize("key", TWO, 60) == Held(ONE, b"")
    assert not await cache.hold("key", ONE, b"late", 60)
    assert await cache.hold("key", TWO, bytes(200_000), 60)
    assert await cache.seize("key", TWO, 60) == Held(TWO, bytes(200_000))  # again, for whoever holds it already
    await cache.let_go("key", TWO)
    assert await cache.seize("key", ONE, 60) is None


async def test_it_ends_by_itself_and_taking_it_keeps_it_alive(cache: Cache) -> None:
    assert await cache.hold("short", ONE, b"x", 0.2) and await cache.hold("long", ONE, b"x", 0.2)
    assert await cache.seize("long", TWO, 60) == Held(ONE, b"x")
    await asyncio.sleep(0.3)  # longer than it lives
    assert await cache.hold("short", TWO, b"y", 60)
    assert not await cache.hold("long", ONE, b"y", 60)


async def test_of_many_at_once_one_is_the_holder(cache: Cache) -> None:
    holders = [bytes([n]) * 16 for n in range(20)]
    held = await asyncio.gather(*(cache.hold("new", each, each, 60) for each in holders))
    assert sum(held) == 1
    found = [*await asyncio.gather(*(cache.seize("new", each, 60) for each in holders)), await cache.seize("new", ONE, 60)]
    # Each took it from another, one after the other.
    assert sorted(each.holder for each in found if each is not None) == sorted([*holders, holders[held.index(True)]])
