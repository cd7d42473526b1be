"""Clients that say nothing, read nothing, or vanish in the middle of a word: the server lets go of each in its time and others notice nothing.

`hasty` gives up after a second. What is measured is what such clients cost: a place, memory, a connection.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed

from app.status import STATUS
from tests.integration.conftest import Unharmed
from tests.integration.material import changing, encoded
from tests.integration.server import Server
from tests.integration.talk import S16, frame, raw, started, talk

PCM = encoded(changing(16000, 1), "pcm_s16le")
BY_QUERY = "/v1/stream?encoding=pcm_s16le&sample_rate=16000"


async def test_saying_nothing_after_the_upgrade(hasty: Server, unharmed: Unharmed) -> None:
    async with unharmed(hasty), talk(hasty.ws()) as it:
        began = time.monotonic()
        assert await it.rest(5) == 4408
        assert 0.9 < time.monotonic() - began < 3
        (error,) = it.rows
        assert (error["code"], error["fatal"], error["close_code"]) == ("handshake_timeout", True, STATUS["handshake_timeout"].close)


async def test_saying_everything_but_start(hasty: Server) -> None:
    """Words do not buy time: the limit is for start."""
    async with talk(hasty.ws()) as it:
        ending = asyncio.create_task(it.rest(5))
        with suppress(ConnectionClosed):
            while not ending.done():
                await it.send({"type": "keepalive"})
                await asyncio.wait([ending], timeout=0.2)
        assert await ending == 4408 and it.codes() == ["handshake_timeout"]


async def test_many_who_say_nothing_at_once(hasty: Server, unharmed: Unharmed) -> None:
    async with unharmed(hasty), AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(talk(hasty.ws())) for _ in range(100)]
        assert set(await asyncio.gather(*(one.rest(10) for one in crowd))) == {4408}


async def test_a_socket_of_the_older_contract_that_says_nothing(hasty: Server) -> None:
    async with talk(hasty.ws("/ws")) as it:
        assert await it.rest(5) == 4408
        assert [list(row) for row in it.rows] == [["error"]]


async def test_not_reading(hasty: Server, unharmed: Unharmed) -> None:
    """It asks for answers without end and reads none. After a second without progress it loses its place, then its connection."""
    question = frame(json.dumps({"type": "finalize", "id": "x" * 100}).encode(), 1)

    async def flood() -> None:
        for _ in range(300):
            await it.write(question * 500)

    async with unharmed(hasty):
        await hasty.until(streams=1)
        connections, memory = hasty.connections(), hasty.memory_bytes()
        async with raw(hasty.port, BY_QUERY, receive_buffer=4096) as it:
            await it.write(frame(PCM[:64_000]))
            await hasty.until(streams=2)
            flooding = asyncio.create_task(flood())
            began = time.monotonic()
            await hasty.until(streams=1, parked=1)
            assert time.monotonic() - began < 8
            assert hasty.memory_bytes() - memory < 30_000_000
            async with asyncio.timeout(8):
                while hasty.connections() > connections:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
    await hasty.until(parked=0)


async def test_back_pressure_reaches_the_sender(server: Server) -> None:
    """An hour of audio at once: the server takes it as it can, never holding much of it, and drops nothing."""
    before = server.memory_bytes()
    hour = [bytes(800_000)] * 36  # 3600 s of mu-law; its bytes are loud, so all of it is scored
    async with started(server.ws(), {"encoding": "mulaw", "sample_rate": 8000}, config={"hop_seconds": 4.0, "interim": False}) as it:
        reader = asyncio.create_task(it.rest(60))
        most = 0
        for piece in hour:
            await it.send(piece)
            most = max(most, server.memory_bytes())
        await it.send({"type": "stop"})
        assert await reader == 1000
        assert it.rows[-1]["duration_ms"] == 3_600_000 and it.rows[-1]["dropped_ms"] == 0
    assert most - before < 60_000_000


HALVES = {
    "in the length": b"\x82",
    "in the mask": frame(b"")[:4],
    "in the audio": frame(PCM[:20_000])[:9_001],
    "in a text": frame(b'{"type":"stop"}', 1)[:-7],
    "between fragments": frame(PCM[:3200], fin=False),
    "in an hour of audio": frame(b"\1\2" * 1000, claimed=1_000_000),
}


@pytest.mark.parametrize("where", HALVES)
async def test_vanishing_mid_frame(hasty: Server, unharmed: Unharmed, where: str) -> None:
    """The place is free at once; what had arrived whole can be resumed for a while, then is forgotten."""
    async with unharmed(hasty):
        async with raw(hasty.port, BY_QUERY) as it:
            await it.write(frame(PCM[:64_000]))
            ready = json.loads((await it.frame())[1])
            await hasty.until(streams=2)
            await it.write(HALVES[where])
            it.reset()
        await hasty.until(streams=1, parked=1)
        async with talk(hasty.ws()) as again:
            await again.send({"type": "start", "resume": {name: ready[name] for name in ("session_id", "resume_token")}})
            assert (await again.next("ready"))["resume"]["continue_from_ms"] == 2000
            await again.send({"type": "stop"})
            assert await again.rest() == 1000


async def test_vanishing_before_the_upgrade(hasty: Server, unharmed: Unharmed) -> None:
    async with unharmed(hasty):
        for half in (b"", b"GET /v1/stream HTTP/1.1\r\nUpgr", b"\x16\x03\x01\x02\x00", b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
            _, writer = await asyncio.open_connection("127.0.0.1", hasty.port)
            writer.write(half)
            await writer.drain()
            writer.transport.abort()


async def test_streams_that_come_and_go_leave_nothing(hasty: Server) -> None:
    """Ended well or cut in every state; afterwards no place, no parked session, no connection and no memory is left."""

    async def visit(number: int) -> None:
        async with started(hasty.ws(), S16, config={"detail": "full"}) as it:
            await it.send(PCM[: 8000 * (number % 20)])
            if number % 3:
                await it.send({"type": "stop"})
            if number % 3 == 1:
                assert await it.rest() == 1000
            else:
                it.abort()

    async def crowd(count: int) -> int:
        for first in range(0, count, 10):
            await asyncio.gather(*(visit(number) for number in range(first, first + 10)))
        await hasty.until(streams=0, parked=0)
        return hasty.memory_bytes()

    await hasty.until(streams=0, parked=0)
    connections = hasty.connections()
    settled = await crowd(150)
    assert await crowd(150) - settled < 15_000_000
    async with asyncio.timeout(5):
        while hasty.connections() > connections:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
