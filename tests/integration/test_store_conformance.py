"""What the database and the cache promise, over each of their kinds: a SQLite file and a real PostgreSQL; this process's memory and a real Redis."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError

from app.core.errors import StoreUnavailable
from app.store import migrate
from app.store.cache import Cache, MemoryCache, RedisCache
from app.store.db import Database
from app.store.tables import deliveries, webhooks
from tests.integration.server import ROOT
from tests.integration.servers_of_others import PostgresServer, RedisServer

KINDS = ["sqlite", "postgresql"]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database that is new."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/down/x.db"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.url()


@pytest.fixture
async def database(url: str, tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(url, tmp_path)
    yield opened
    await opened.close()


def hook(id: str) -> dict[str, Any]:
    return {"id": id, "owner": "o", "url": "u", "events": "e", "secret": "s", "enabled": True, "created_at": 0.5}


async def count(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(webhooks))).scalar_one())


async def test_a_new_database_is_made_once_under_concurrency(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.begin() as connection:
            await connection.execute(insert(webhooks).values(hook(str(number))))

    await asyncio.gather(*(write(number) for number in range(40)))
    assert await count(database) == 40
    await database.check()


async def test_a_transaction_is_whole_or_not_at_all(database: Database) -> None:
    with pytest.raises(RuntimeError, match="of the caller"):
        async with database.begin() as connection:
            await connection.execute(insert(webhooks).values(hook("a")))
            raise RuntimeError("of the caller")
    assert await count(database) == 0
    with pytest.raises(IntegrityError):
        async with database.begin() as connection:
            await connection.execute(insert(webhooks).values(hook("a")))
            await connection.execute(insert(webhooks).values(hook("a")))
    assert await count(database) == 0


async def test_foreign_keys_hold_and_cascade(database: Database) -> None:
    row = {"id": "d", "webhook_id": "a", "event_id": "e", "body": "b", "state": "new", "attempts": 0, "next_at": 0.0, "created_at": 0.0}
    wanted = {column.name: "x" for column in deliveries.columns if not column.nullable} | row
    with pytest.raises(IntegrityError):
        async with database.begin() as connection:
            await connection.execute(insert(deliveries).values(wanted))
    async with database.begin() as connection:
        await connection.execute(insert(webhooks).values(hook("a")))
        await connection.execute(insert(deliveries).values(wanted))
        await connection.execute(webhooks.delete())
    async with database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(deliveries))).scalar_one() == 0


async def test_read_then_write_is_never_refused_by_another_writer(database: Database) -> None:
    """On SQLite a transaction that read first could not write any more once another had: each must see the other's addition, or wait."""
    async with database.begin() as connection:
        await connection.execute(insert(webhooks).values(hook("n") | {"created_at": 0.0}))

    async def add_one() -> None:
        async with database.begin() as connection:
            found = (await connection.execute(select(webhooks.c.created_at).with_for_update())).scalar_one()
            await asyncio.sleep(0)
            await connection.execute(webhooks.update().values(created_at=found + 1))

    await asyncio.gather(*(add_one() for _ in range(25)))
    async with database.read() as connection:
        assert (await connection.execute(select(webhooks.c.created_at))).scalar_one() == 25


async def test_writers_cut_off_anywhere_leave_no_lock_and_no_half(database: Database) -> None:
    """A client that goes away cancels its handler, wherever that is."""
    await database.check()

    async def write_two(number: int) -> None:
        async with database.begin() as connection:
            await connection.execute(insert(webhooks).values(hook(f"{number}-a")))
            await connection.execute(insert(webhooks).values(hook(f"{number}-b")))

    for steps in range(0, 60, 5):
        writers = [asyncio.create_task(write_two(steps * 10 + number)) for number in range(3)]
        for _ in range(steps):
            await asyncio.sleep(0)
        writers[0].cancel()
        await asyncio.sleep(0.0005 * (steps % 7))
        writers[1].cancel()
        await asyncio.gather(*writers, return_exceptions=True)
        assert writers[2].exception() is None
    assert await count(database) % 2 == 0
    await asyncio.wait_for(write_two(10_000), 5)


async def test_values_come_back_as_they_were(database: Database) -> None:
    long = "ü€𐍈\n" * 10_000
    async with database.begin() as connection:
        await connection.execute(insert(webhooks).values(hook("a") | {"url": long, "created_at": 1_795_240_000.123456}))
    async with database.read() as connection:
        row = (await connection.execute(select(webhooks))).mappings().one()
    assert (row["url"], row["created_at"], row["enabled"]) == (long, 1_795_240_000.123456, True)


async def test_a_database_closed_is_opened_again(database: Database) -> None:
    async with database.begin() as connection:
        await connection.execute(insert(webhooks).values(hook("a")))
    await database.close()
    assert await count(database) == 1


async def test_up_down_and_up_again(database: Database) -> None:
    for _ in range(2):
        await asyncio.to_thread(prepare_and_upgrade, database)
        assert await asyncio.to_thread(migrate.current, database.place) == migrate.head()
        await database.check()
        await database.close()
        await asyncio.to_thread(migrate.downgrade, database.place, "base")
        assert await asyncio.to_thread(migrate.current, database.place) is None


def prepare_and_upgrade(database: Database) -> None:
    from app.store.db import prepare_file

    if database.place.file:
        prepare_file(database.place.file)
    migrate.upgrade(database.place)


OPEN = """
import asyncio, sys
from pathlib import Path
from sqlalchemy import insert
from app.store.db import Database
from app.store.tables import webhooks
async def main():
    database = Database(sys.argv[1], Path("/nowhere"))
    import app.store.migrate
    print("ready", flush=True)
    sys.stdin.readline()
    async with database.begin() as connection:
        await connection.execute(insert(webhooks).values(id=sys.argv[2], owner="o", url="u", events="e", secret="s", enabled=True, created_at=0))
    await database.close()
asyncio.run(main())
"""


async def test_processes_that_open_a_new_database_at_once(url: str, database: Database) -> None:
    """Two servers started together: one makes the schema, the other waits for it."""
    several = [
        asyncio.create_subprocess_exec(sys.executable, "-c", OPEN, url, str(number), cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        for number in range(3)
    ]
    processes = await asyncio.gather(*several)
    for process in processes:  # each has loaded what it needs, so that all begin together
        assert process.stdin and process.stdout
        await process.stdout.readline()
    for process in processes:
        assert process.stdin
        process.stdin.write(b"\n")
    for process in processes:
        _, complaints = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, complaints.decode()
    assert await count(database) == 3
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM alembic_version"))).scalar_one() == 1


async def test_a_schema_nobody_may_bring_up_is_refused(url: str, tmp_path: Path) -> None:
    database = Database(url, tmp_path, migrate=False)
    with pytest.raises(StoreUnavailable, match="voxproof db upgrade"):
        async with database.begin():
            pass
    await asyncio.to_thread(prepare_and_upgrade, database)
    assert await count(database) == 0
    await database.close()


# --- the cache --------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    if request.param == "memory":
        opened: Cache = MemoryCache()
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        opened = RedisCache(server.url())
    yield opened
    await opened.close()


async def gone(cache: Cache, key: str) -> None:
    """Returns when the entry has ended; its end is the only thing to wait for."""
    async with asyncio.timeout(5):
        while await cache.get(key) is not None:  # noqa: ASYNC110 - asking again is the only way to hear of it
            await asyncio.sleep(0.01)


async def test_what_is_set_is_got(cache: Cache) -> None:
    assert await cache.get("k") is None
    value = bytes(range(256)) * 4000
    await cache.set("k", value, 60)
    assert await cache.get("k") == value
    await cache.set("k", b"", 60)
    assert await cache.get("k") == b""
    await cache.delete("k")
    await cache.delete("k")
    assert await cache.get("k") is None


async def test_entries_end(cache: Cache) -> None:
    await cache.set("short", b"1", 0.05)
    await cache.set("long", b"1", 60)
    assert await cache.add("added", b"1", 0.05)
    assert await cache.increment("counted", 1, 0.05) == 1
    for key in ("short", "added", "counted"):
        await gone(cache, key)
    assert await cache.take("short") is None
    assert await cache.add("added", b"2", 60) and await cache.get("added") == b"2"
    assert await cache.increment("counted", 5, 60) == 5
    assert await cache.get("long") == b"1"


async def test_a_later_count_moves_no_end(cache: Cache) -> None:
    await cache.increment("n", 1, 0.3)
    assert await cache.increment("n", 1, 3600) == 2
    await gone(cache, "n")


async def test_set_again_moves_the_end(cache: Cache) -> None:
    await cache.set("k", b"1", 0.05)
    await cache.set("k", b"2", 60)
    await cache.set("other", b"", 0.05)
    await gone(cache, "other")
    assert await cache.get("k") == b"2"


async def test_once_is_once(cache: Cache) -> None:
    added = await asyncio.gather(*(cache.add("k", str(number).encode(), 60) for number in range(50)))
    assert sum(added) == 1
    taken = await asyncio.gather(*(cache.take("k") for _ in range(50)))
    assert [value for value in taken if value is not None] == [str(added.index(True)).encode()]
    counts = await asyncio.gather(*(cache.increment("n", 2, 60) for _ in range(50)))
    assert sorted(counts) == list(range(2, 101, 2))
    assert await cache.increment("n", -30, 60) == 70
    assert await cache.get("n") == b"70"


async def test_names_are_taken_as_they_are(cache: Cache) -> None:
    for key in ("a:b", "a b", "*", "ä\n", "x" * 500, ""):
        await cache.set(key, key.encode(), 60)
        assert await cache.get(key) == key.encode()
