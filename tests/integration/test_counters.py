"""What every counter promises, in memory and in a real Redis: no count is lost or given twice, and places are never more than there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from app.store.counters import Counters, MemoryCounters, RedisCounters, StoreFailed

Make = Callable[[], Counters]


@pytest.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Two of Redis share what they count; in memory there is only one."""
    made: list[Counters] = []
    url = request.getfixturevalue("redis_server").url() if request.param == "redis" else None

    def one() -> Counters:
        if url is not None or not made:
            made.append(RedisCounters(url, 20.0) if url is not None else MemoryCounters())
        return made[-1]

    yield one
    for each in made:
        await each.close()


async def test_concurrent_counts_are_all_different(make: Make) -> None:
    one, two = make(), make()
    counts = await asyncio.gather(*((one, two)[n % 2].add("k", 1, 60) for n in range(200)))
    assert sorted(counts) == list(range(1, 201))
    assert await one.get("k") == await two.get("k") == 200 and await one.get("other") == 0
    assert await two.add("k", 1_000_000_000_000, 60) == 1_000_000_000_200


async def test_a_count_ends(make: Make) -> None:
    one = make()
    await one.add("k", 5, 1)
    async with asyncio.timeout(20):
        while await one.get("k"):  # noqa: ASYNC110 - the store's own clock
            await asyncio.sleep(0.02)
    assert await one.add("k", 1, 60) == 1


async def test_places(make: Make) -> None:
    one, two = make(), make()
    took = await asyncio.gather(*((one, two)[n % 2].take("p", f"h{n}", 3, 60) for n in range(20)))
    assert sum(took) == 3
    inside = [f"h{n}" for n, took_it in enumerate(took) if took_it]
    assert await two.take("p", inside[0], 3, 60)  # it has one already
    assert not await two.take("p", "late", 3, 60)
    await one.leave("p", inside[0])
    await one.leave("p", "nobody")
    assert await two.take("p", "late", 3, 60) and not await one.take("p", "later", 3, 60)
    await one.keep("p", "resumed", 60)  # a place that had lapsed is held again, whoever came meanwhile
    assert not await one.take("p", "later", 4, 60) and await one.take("p", "later", 5, 60)


async def test_the_places_of_a_killed_server_lapse(redis_url: str) -> None:
    one = RedisCounters(redis_url, 20.0)
    assert await one.take("p", "killed", 2, 1) and await one.take("p", "alive", 2, 1)
    async with asyncio.timeout(20):
        while not await one.take("p", "new", 2, 60):
            await one.keep("p", "alive", 60)
            await asyncio.sleep(0.02)
    assert not await one.take("p", "newer", 2, 60)
    await one.close()


async def test_what_does_not_answer_fails_in_time() -> None:
    """One that refuses, one that takes the connection and is silent."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for url in (f"redis://user:secret@127.0.0.1:{port}/0", "redis://user:secret@127.0.0.1:1/0"):
            counters = RedisCounters(url, 0.2)
            async with asyncio.timeout(5):
                for act in (counters.add("k", 1, 60), counters.take("p", "h", 1, 60), counters.leave("p", "h")):
                    with pytest.raises(StoreFailed) as raised:
                        await act
                    assert "secret" not in str(raised.value)
            await counters.close()
