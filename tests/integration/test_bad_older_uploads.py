"""Bodies that never end, or hardly begin, at the older addresses: refused in those contracts' own shapes, in time, while others are served."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.integration.conftest import Unharmed
from tests.integration.server import Server
from tests.integration.uploads import post

JSON, FORM = "Content-Type: application/json", "Content-Type: multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n'


async def endless(head: bytes, piece: bytes, total: int, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    yield head
    for _ in range(total // len(piece)):
        yield piece
        if pause_s:
            await asyncio.sleep(pause_s)  # the slowness is the test


@pytest.mark.parametrize(
    ("path", "kind", "head"),
    [
        ("/detect", JSON, b'{"language":"hindi","audio_base64":"'),
        ("/v1/voice/deepfake", FORM, PART % b"audio"),
        ("/v1/voice/deepfake", FORM, PART % b"metadata"),
    ],
    ids=["base64", "audio", "metadata"],
)
async def test_a_bomb_is_refused_while_it_is_read(hasty: Server, unharmed: Unharmed, path: str, kind: str, head: bytes) -> None:
    """200 MB whose length nobody says: base64 of ten go through on /detect, and a megabyte's form on the other."""
    async with unharmed(hasty):
        answer = await post(hasty, path, [kind], endless(head, b"A" * 50_000, 200_000_000), chunked=True)
        assert answer.status == 413 and "detail" in answer.content
        assert answer.sent < 40_000_000  # what was read, what the kernels hold, and no more


@pytest.mark.parametrize(
    ("path", "kind", "head"),
    [("/detect", JSON, b'{"language":"hindi","audio_base64":"'), ("/v1/voice/deepfake", FORM, PART % b"audio")],
    ids=["base64", "audio"],
)
async def test_a_body_slower_than_the_limit(hasty: Server, unharmed: Unharmed, path: str, kind: str, head: bytes) -> None:
    async with unharmed(hasty):
        began = time.monotonic()
        answer = await post(hasty, path, [kind], endless(head, b"AAAA", 4000, 0.05), chunked=True)
        assert answer.status == 408 and isinstance(answer.content["detail"], str) and answer.headers["connection"] == "close"
        assert 0.9 < time.monotonic() - began < 10


async def test_a_place_for_nobody(narrow: Server) -> None:
    """One upload at a time: while one is on its way in, the next is told to wait, in the contract's shape."""
    arrived = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"language":"hindi","audio_base64":"'
        arrived.set()
        await asyncio.Event().wait()

    first = asyncio.create_task(post(narrow, "/detect", [JSON], slow(), chunked=True))
    try:
        await asyncio.wait_for(arrived.wait(), 10)
        async with httpx2.AsyncClient(timeout=30) as http, asyncio.timeout(10):
            while (answer := await http.post(narrow.http + "/detect", json={})).status_code != 503:
                assert answer.status_code == 422  # the first had not come in yet
                await asyncio.sleep(0.1)  # on a busy machine it takes a while: asking without rest would meet the address's own limit
        assert answer.headers["retry-after"] == "3" and json.loads(answer.text).keys() == {"detail"}
    finally:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
