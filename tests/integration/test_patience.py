"""Connections that do not say what they want are ended; those that do are not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2

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
        half = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "
        again = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHo"
        # uvicorn's own patience with a kept connection, 5 s, ends the last one.
        ended = await asyncio.gather(*(closed_within(server.port, sent, 8) for sent in (b"", half, again)))
        assert ended == [True, True, True]
        async with httpx2.AsyncClient() as http:  # a kept connection with pauses longer than that between its requests
            for _ in range(3):
                assert (await http.get(server.http + "/livez")).status_code == 200
                await asyncio.sleep(0.7)  # the pause is what is tested
