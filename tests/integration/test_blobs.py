"""What the object store promises, over a folder and memory; and what it says when a bucket cannot be reached. (A real S3 server: with the tasks.)"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from app.core.errors import BadSetting, StoreUnavailable
from app.store.blobs import Blobs, Bucket
from tests.integration.processes import free_port


@pytest.fixture(params=["folder", "file", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs({"folder": None, "file": f"file://{tmp_path}/a%20b", "memory": "memory:"}[request.param], tmp_path / "data")


async def test_what_is_put_is_got(blobs: Blobs) -> None:
    assert await blobs.get("cases/1/audio.wav") is None
    data = os.urandom(3_000_000)
    await blobs.put("cases/1/audio.wav", data)
    assert await blobs.get("cases/1/audio.wav") == data
    await blobs.put("cases/1/audio.wav", b"")
    assert await blobs.get("cases/1/audio.wav") == b""
    await blobs.delete("cases/1/audio.wav")
    await blobs.delete("cases/1/audio.wav")
    assert await blobs.get("cases/1/audio.wav") is None
    await blobs.check()


async def test_lists_by_whole_segments_in_order(blobs: Blobs) -> None:
    assert await blobs.list() == [] == await blobs.list("cases")
    keys = ["cases/1/b", "cases/1/a", "cases/10/a", "tasks/1"] + [f"many/{number:04}" for number in range(1200)]
    await asyncio.gather(*(blobs.put(key, key.encode()) for key in keys))
    assert [blob.key for blob in await blobs.list("cases/1")] == ["cases/1/a", "cases/1/b"]
    assert [blob.bytes for blob in await blobs.list("cases")] == [9, 9, 10]
    assert len(await blobs.list()) == len(keys)
    assert await blobs.list("nothing") == []


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".hidden", "a/.b", "a b", "a\\b", "a\x00", "ä", "a\n"])
async def test_a_key_never_leaves_its_place(blobs: Blobs, key: str) -> None:
    for attempt in (blobs.put(key, b"x"), blobs.get(key), blobs.delete(key)):
        if attempt.__name__ == "put" or blobs._made():
            with pytest.raises(ValueError, match="no key"):
                await attempt
        else:
            await attempt


async def test_many_writers_of_one_key_leave_one_of_their_values(blobs: Blobs) -> None:
    values = [bytes([number]) * 100_000 for number in range(20)]
    await asyncio.gather(*(blobs.put("same", value) for value in values))
    assert await blobs.get("same") in values


async def test_the_folder_is_private_and_made_when_needed(tmp_path: Path) -> None:
    blobs = Blobs(None, tmp_path / "data")
    await blobs.check()
    assert await blobs.get("x") is None and await blobs.list() == []
    assert not (tmp_path / "data").exists()
    await blobs.put("x", b"")
    assert (tmp_path / "data" / "blobs").stat().st_mode & 0o777 == 0o700


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(StoreUnavailable):
        await Blobs(None, tmp_path / "data").put("x", b"")


async def test_a_bucket_that_cannot_be_reached(tmp_path: Path) -> None:
    bucket = Bucket(f"http://127.0.0.1:{free_port()}", "us-east-1", "some-id", "hunter2")
    blobs = Blobs("s3://bucket/some/prefix", tmp_path, bucket, timeout_s=2)
    for attempt in (blobs.check(), blobs.put("x", b""), blobs.list("x")):
        with pytest.raises(StoreUnavailable) as caught:
            await attempt
        assert "hunter2" not in str(caught.value) + str(caught.value.__cause__)


@pytest.mark.parametrize("url", ["s3://", "http://bucket", "bucket", "file://host/x", "file:///", "s3://id:hunter2@bucket/x", "gs://bucket"])
def test_urls_we_do_not_know(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadSetting) as caught:
        Blobs(url, tmp_path)
    assert "hunter2" not in str(caught.value)
