"""The database's address, its file and what goes wrong with a file; the cache's and the object store's addresses. The rest: tests/integration."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.core.errors import BadSetting, StoreUnavailable
from app.store.cache import MemoryCache, RedisCache, open_cache
from app.store.db import Database
from app.store.urls import Place, place_of

HERE = Path("/here")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (None, Place(file=HERE / "voxproof.db")),
        ("", Place(file=HERE / "voxproof.db")),
        ("sqlite:///x.db", Place(file=Path("x.db"))),
        ("sqlite+aiosqlite:////var/a%20b.db", Place(file=Path("/var/a b.db"))),
        ("SQLite:///deep/x.db?timeout=3", None),
        ("postgres://u:p@h:1/d", Place(dsn="postgresql://u:p@h:1/d")),
        ("postgresql+psycopg2://u:p@h/d?sslmode=require", Place(dsn="postgresql://u:p@h/d?sslmode=require")),
        (" postgresql:///d?host=/run ", Place(dsn="postgresql:///d?host=/run")),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite:x.db", None),
        ("mysql://u:p@h/d", None),
        ("postgresql:d", None),
        ("x.db", None),
    ],
)
def test_urls_as_people_write_them(url: str | None, place: Place | None) -> None:
    if place is None:
        with pytest.raises(BadSetting, match=r"^database_url: "):
            place_of(url, HERE)
    else:
        assert place_of(url, HERE) == place


@given(st.text(max_size=40))
def test_no_url_is_a_crash_and_no_secret_is_told(text: str) -> None:
    try:
        place_of("other://user:hunter2@" + text, HERE)
    except BadSetting as exc:
        assert "hunter2" not in exc.message
    assert "hunter2" not in repr(place_of(f"postgresql://user:hunter2@h/{text}", HERE))


def test_what_is_no_setting_for_redis_is_refused_at_once() -> None:
    assert isinstance(open_cache(None), MemoryCache) and isinstance(open_cache(""), MemoryCache)
    assert isinstance(open_cache("rediss://:pw@h/0"), RedisCache)
    with pytest.raises(BadSetting) as caught:
        open_cache("http://:hunter2@h/0")
    assert "hunter2" not in caught.value.message


def test_asking_whether_there_is_a_database_loads_none(tmp_path: Path) -> None:
    """A server without keys asks at its start: it must not wait for SQLAlchemy."""
    script = f"""
import asyncio, sys
from pathlib import Path
from app.store.db import Database
from app.store.blobs import Blobs
from app.store.cache import open_cache
database = Database(None, Path({str(tmp_path / "data")!r}))
assert not database.exists() and Database("postgresql://h/d", Path("/")).exists()
open_cache("redis://h"), Blobs("s3://bucket", Path("/"))
asyncio.run(database.check())
print(*{{"sqlalchemy", "alembic", "asyncpg", "aiosqlite", "redis", "obstore"}} & sys.modules.keys())
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not ran.stdout.split() and not list(tmp_path.iterdir())


def test_the_file_is_private_and_made_when_needed(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    database = Database(None, folder)

    async def work() -> dict[str, int]:
        async with database.begin() as connection:
            assert (await connection.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
            assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar_one() == 1
            assert (await connection.execute(text("PRAGMA busy_timeout"))).scalar_one() == 10_000
            await connection.execute(text("CREATE TABLE t (x)"))
            modes = {path.name: path.stat().st_mode & 0o777 for path in listing(folder)}
        await database.close()
        return modes

    asyncio.run(database.check())
    assert not database.exists() and not listing(tmp_path)
    assert asyncio.run(work()) == {"voxproof.db": 0o600, "voxproof.db-wal": 0o600, "voxproof.db-shm": 0o600}
    assert database.exists() and folder.stat().st_mode & 0o777 == 0o700


def listing(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_what_is_wrong_with_a_file_is_told_as_unavailable(tmp_path: Path) -> None:
    (tmp_path / "garbage.db").write_bytes(b"this is no database " * 500)
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "file").write_text("")
    for name in ("garbage.db", "folder.db", "file/x.db"):
        database = Database(f"sqlite:///{tmp_path}/{name}", tmp_path)
        with pytest.raises(StoreUnavailable):
            async with database.begin():
                pass
        await database.close()


async def test_a_locked_file_is_waited_for_and_then_unavailable(tmp_path: Path) -> None:
    database = Database(None, tmp_path, timeout_s=0.2)
    async with database.begin():
        pass
    other = sqlite3.connect(tmp_path / "voxproof.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    async with database.read() as connection:  # readers go on
        await connection.execute(text("SELECT * FROM webhooks"))
    with pytest.raises(StoreUnavailable):
        async with database.begin():
            pass
    waiting = asyncio.create_task(_write(Database(None, tmp_path, timeout_s=20)))
    await asyncio.sleep(0)
    other.execute("COMMIT")
    await waiting
    other.close()
    await database.close()


async def _write(database: Database) -> None:
    async with database.begin() as connection:
        await connection.execute(text("DELETE FROM webhooks"))
    await database.close()


async def test_writers_that_wait_leave_connections_to_those_who_read(tmp_path: Path) -> None:
    database = Database(None, tmp_path, pool=2, timeout_s=20)

    async def write() -> None:
        async with database.begin() as connection:
            await connection.execute(text("SELECT 1"))

    async with database.begin():
        waiting = [asyncio.create_task(write()) for _ in range(5)]
        await asyncio.sleep(0.1)  # long enough for each to take a connection, if it took one
        async with asyncio.timeout(5), database.read() as connection:
            await connection.execute(text("SELECT 1"))
    await asyncio.gather(*waiting)
    await database.close()


async def test_a_writer_waits_for_another_so_long_and_no_longer(tmp_path: Path) -> None:
    database = Database(None, tmp_path, timeout_s=0.1)
    async with database.begin():
        with pytest.raises(StoreUnavailable):
            async with database.begin():
                pass
    async with database.begin() as connection:
        await connection.execute(text("SELECT 1"))
    await database.close()


async def test_parameters_stay_out_of_errors(tmp_path: Path) -> None:
    database = Database(None, tmp_path)
    with pytest.raises(Exception, match="no such table") as caught:
        async with database.begin() as connection:
            await connection.execute(text("SELECT * FROM absent WHERE x = :x"), {"x": "hunter2"})
    assert "hunter2" not in str(caught.value)
    await database.close()
