"""What only a real PostgreSQL and a real Redis can do to us: go away, come back, refuse, be slow, be shared. And the bounds of the memory cache."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from app.core.errors import StoreUnavailable
from app.store.cache import MemoryCache, RedisCache
from app.store.db import Database
from app.store.tables import metadata, webhooks
from tests.integration.processes import free_port
from tests.integration.servers_of_others import PostgresServer, RedisServer
from tests.integration.test_store_conformance import count, hook

# --- PostgreSQL alone -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
async def test_the_urls_people_write(scheme: str, postgres_server: PostgresServer, tmp_path: Path) -> None:
    database = Database(postgres_server.url().replace("postgresql", scheme, 1) + "?sslmode=prefer", tmp_path)
    assert database.exists() and "p%40ss" not in repr(database.place)
    await database.check()
    async with database.read() as connection:
        assert (await connection.execute(text("SHOW application_name"))).scalar_one() == "voxproof"
        assert set(metadata.tables) <= {name for (name,) in await connection.execute(text("SELECT tablename FROM pg_tables"))}
    await database.close()


END_THE_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def test_connections_that_the_server_closed_are_replaced(postgres_server: PostgresServer, tmp_path: Path) -> None:
    url = postgres_server.url()
    database, other = Database(url, tmp_path), Database(url, tmp_path)
    assert await count(database) == 0
    async with other.begin() as connection:
        await connection.execute(text(END_THE_OTHERS))
    assert await count(database) == 0
    with pytest.raises(StoreUnavailable):  # in the midst of a transaction there is nothing to replace
        async with database.begin() as connection:
            await connection.execute(insert(webhooks).values(hook("lost")))
            async with other.begin() as killer:
                await killer.execute(text(END_THE_OTHERS))
            await connection.execute(insert(webhooks).values(hook("lost too")))
    assert await count(database) == 0
    await database.close()
    await other.close()


async def test_what_cannot_be_reached_says_so_and_no_password(
    postgres_server: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    right = postgres_server.url()
    wrong = [
        right.replace(f":{postgres_server.port}", f":{free_port()}"),
        right.replace(PostgresServer.QUOTED, "not-it-hunter2"),
        right.rpartition("/")[0] + "/no_such_database",
        right.replace("127.0.0.1", "no-such-host.invalid"),
    ]
    with caplog.at_level(logging.DEBUG):
        for url in wrong:
            database = Database(url, tmp_path, timeout_s=5)
            for attempt in (database.check, lambda database=database: count(database)):
                with pytest.raises(StoreUnavailable) as caught:
                    await attempt()
                assert "hunter2" not in str(caught.value)
            await database.close()
    assert "cannot be reached" in caplog.text
    assert not any(secret in caplog.text for secret in ("hunter2", PostgresServer.QUOTED, PostgresServer.PASSWORD))


async def test_a_slow_statement_and_a_full_pool_end_in_time(postgres_server: PostgresServer, tmp_path: Path) -> None:
    database = Database(postgres_server.url(), tmp_path, pool=1, timeout_s=0.5)
    await database.check()
    with pytest.raises(StoreUnavailable):
        async with database.begin() as connection:
            await connection.execute(text("SELECT pg_sleep(30)"))
    async with database.begin():
        with pytest.raises(StoreUnavailable):
            await database.check()
    await database.check()
    await database.close()


# --- Redis alone ------------------------------------------------------------------------------------------------------------------------------


async def test_two_processes_share_one_redis_and_nobody_elses_names(redis_server: RedisServer) -> None:
    from redis.asyncio import Redis

    url = redis_server.url()
    one, two, bare = RedisCache(url), RedisCache(url), Redis.from_url(url)
    await bare.set("token", b"somebody else's")
    await one.set("token", b"ours", 60)
    assert await two.take("token") == b"ours" and await one.get("token") is None
    assert await bare.get("token") == b"somebody else's"
    await two.set("x", b"", 60)
    assert {key async for key in bare.scan_iter()} == {b"token", b"voxproof:x"}
    for each in (one, two):
        await each.close()
    await bare.aclose()


async def test_a_redis_that_is_away_says_so_and_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = RedisServer(tmp_path)
    cache = RedisCache(f"redis://stranger:hunter2@127.0.0.1:{server.port}/1", timeout_s=1)
    try:
        with pytest.raises(StoreUnavailable):  # it knows no such user
            await cache.check()
        await cache.close()
        cache = RedisCache(server.url(), timeout_s=1)
        await cache.set("k", b"v", 60)
        server.end()
        with pytest.raises(StoreUnavailable):
            await cache.get("k")
        server.start()
        assert await cache.get("k") is None  # over a new connection; it kept nothing on disk
        await cache.check()
        server.pause()
        with pytest.raises(StoreUnavailable):
            await cache.increment("k", 1, 60)
        server.go_on()
        await cache.check()
    finally:
        await cache.close()
        server.end()
    assert "Redis cannot be reached" in caplog.text and "hunter2" not in caplog.text


async def test_memory_is_bounded() -> None:
    cache = MemoryCache(most=100, most_bytes=10_000)
    await cache.set("first", b"x", 60)
    for number in range(1000):
        await cache.set(secrets.token_hex(4), b"y", 0 if number % 2 else 60)
    assert len(cache._entries) <= 100
    assert await cache.get("first") is None
    for _ in range(50):
        await cache.set(secrets.token_hex(4), bytes(1000), 60)
    assert sum(len(value) for _, value in cache._entries.values()) == cache._bytes <= 10_000
    for _ in range(5000):
        await cache.set("again", b"z", 3600)
    assert len(cache._ends) < 2000
