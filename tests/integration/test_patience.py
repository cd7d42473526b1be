"""Connections that do not say what they want, or never stop saying it, are ended; those that do are not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.server import Server


async def closed_within(port: int, sent: bytes, seconds: float) -> bool:
    """Whether the server ends a connection that sent only this."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        async with asyncio.timeout(seconds):
            while await reader.read(4096):
                pass
        return True
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    finally:
        writer.close()


async def test_silent_connections_are_ended_and_others_served(tmp_path: Path, toy: Path) -> None:
    with Server(tmp_path, toy, head_timeout_seconds=0.5) as server:
        half = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
        again = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /livez HTTP/1.1\r\nHo"
        # uvicorn's own patience with a kept connection, 5 s, ends the last one.
        ended = await asyncio.gather(*(closed_within(server.port, sent, 8) for sent in (b"", half, again)))
        assert ended == [True, True, True]
        async with httpx2.AsyncClient() as http:  # a kept connection with pauses longer than that between its requests
            for _ in range(3):
                assert (await http.get(server.http + "/livez")).status_code == 200
                await asyncio.sleep(0.7)  # the pause is what is tested


GET = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /v1/detect HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
FLOODS = {
    "headers": (GET, b"".join(b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(64))),
    "a header": (GET + b"X: ", b"a" * 65_536),
    "the address": (b"GET /", b"a" * 65_536),
    "trailers": (POST + b"1\r\na\r\n0\r\n", b"".join(b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(64))),
    "requests": (b"", (GET + b"\r\n") * 1000),
}


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("flooded"), toy) as server:
        yield server


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_connection_that_never_stops_is_ended_before_it_takes_memory(flooded: Server, kind: str) -> None:
    first, more = FLOODS[kind]
    before = flooded.memory_bytes()
    reader, writer = await asyncio.open_connection("127.0.0.1", flooded.port)
    answers = asyncio.create_task(reader.read())
    sent = 0
    try:
        writer.write(first)
        while sent < 16 << 20:
            writer.write(more)
            sent += len(more)
            async with asyncio.timeout(10):
                await writer.drain()
    except (ConnectionError, TimeoutError):
        pass
    finally:
        writer.close()
    await asyncio.gather(answers, return_exceptions=True)
    assert sent < 16 << 20, "it was let go on"
    assert flooded.memory_bytes() - before < 16 << 20
    assert httpx2.get(flooded.http + "/livez", timeout=10).status_code == 200


async def test_a_few_requests_at_once_and_a_long_header_are_fine(flooded: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", flooded.port)
    writer.write((GET + b"X: " + b"a" * 30_000 + b"\r\n\r\n") + (GET + b"\r\n") * 9 + GET + b"Connection: close\r\n\r\n")
    async with asyncio.timeout(10):
        answered = await reader.read()
    writer.close()
    assert answered.count(b"HTTP/1.1 200 OK") == 11
