"""A server at its limits says so politely and means it for a moment only: streams, uploads, older sockets; and one that is shutting down."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from app.status import STATUS
from tests.audio import sound_file
from tests.integration.material import assert_same, changing, encoded, outcome_of_rows
from tests.integration.server import Server
from tests.integration.talk import S16, started, stream, talk
from tests.toy import voice

PCM = encoded(changing(16000, 1), "pcm_s16le")
FILE = sound_file(voice(2.0))


async def test_a_full_server_refuses_and_a_place_opens(narrow: Server) -> None:
    async with started(narrow.ws()) as first, started(narrow.ws()) as second:
        await first.send(PCM[:64_000])
        for path in ("/v1/stream", "/v1/stream?encoding=pcm_s16le&sample_rate=16000", "/ws"):
            async with talk(narrow.ws(path)) as third:
                if "?" not in path:
                    await third.send({"type": "start", "audio": S16})
                assert await third.rest() == 4503
                (error,) = third.rows
                assert (error["type"], error["code"], error["fatal"], error["retryable"]) == ("error", "server_full", True, True)
                assert error["retry_after_ms"] == 2500 and error["close_code"] == 4503 == STATUS["server_full"].close
        await second.send({"type": "stop"})
        assert await second.rest() == 1000
        async with started(narrow.ws()) as fourth:
            await fourth.send({"type": "stop"})
            assert await fourth.rest() == 1000
        await first.send(PCM[64_000:], {"type": "stop"})
        assert await first.rest() == 1000
    assert_same(outcome_of_rows(first.rows), outcome_of_rows(await stream(narrow.ws(), [PCM])))


async def test_a_parked_session_comes_back_to_a_full_server(narrow: Server) -> None:
    """Its place may be taken in the meantime; but it was inside, and would lose what it has."""
    async with started(narrow.ws()) as first, started(narrow.ws()):
        first.abort()
        await narrow.until(streams=1)
        async with started(narrow.ws()), talk(narrow.ws()) as again:
            await again.send({"type": "start", "resume": {name: first.rows[0][name] for name in ("session_id", "resume_token")}})
            assert (await again.next("ready"))["resume"]["accepted"] is True
            async with talk(narrow.ws()) as another:
                await another.send({"type": "start", "audio": S16})
                assert await another.rest() == 4503
            await again.send({"type": "stop"})
            assert await again.rest() == 1000
    await narrow.until(streams=0)


@asynccontextmanager
async def uploading(server: Server) -> AsyncIterator[asyncio.StreamWriter]:
    """An upload that has its place and stays; `100 Continue` tells that it is inside."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /v1/detect HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 90000\r\nExpect: 100-continue\r\n\r\n")
    try:
        assert b" 100 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        yield writer
    finally:
        writer.transport.abort()


async def test_one_upload_too_many(narrow: Server) -> None:
    async with httpx2.AsyncClient(base_url=narrow.http, timeout=30) as http:
        async with uploading(narrow):
            native = await http.post("/v1/detect", content=FILE)
            assert (native.status_code, native.headers["retry-after"]) == (503, "3")
            assert native.json()["code"] == "server_full" and native.json()["retry_after_ms"] == 2500 and native.json()["retryable"] is True
            older = await http.post("/analyze", files={"file": FILE})
            assert (older.status_code, older.headers["retry-after"]) == (503, "3")
            async with talk(narrow.ws("/ws")) as it:
                await it.send(json.dumps({"audio_data": base64.b64encode(FILE).decode()}))
                assert "full" in json.loads(await it.connection.recv())["error"]
                stays_open = await it.connection.ping()
                await asyncio.wait_for(stays_open, 5)
            async with started(narrow.ws()) as live:  # streams have places of their own
                await live.send({"type": "stop"})
                assert await live.rest() == 1000
        async with asyncio.timeout(10):
            while (answer := await http.post("/v1/detect", content=FILE)).status_code == 503:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)  # until the server has noticed that the other one left
        assert answer.status_code == 200


async def test_one_older_socket_too_many(narrow: Server) -> None:
    async with talk(narrow.ws("/ws")) as first:
        await asyncio.wait_for(await first.connection.ping(), 5)
        async with talk(narrow.ws("/ws")) as second:
            assert await second.rest() == 4503
            assert [list(row) for row in second.rows] == [["error"]]
        await first.send(json.dumps({"audio_data": base64.b64encode(FILE).decode()}))
        assert json.loads(await first.connection.recv())["classification"] == "real"


async def test_shutting_down_with_streams_open(toy: Path, tmp_path: Path) -> None:
    """1012 tells clients to resume elsewhere; files being scored are finished; nothing keeps the process."""
    running = Server(tmp_path, toy)
    with running:
        async with started(running.ws()) as it, talk(running.ws()), talk(running.ws("/ws")):
            await it.send(PCM[:64_000])
            await it.next("segment")
            running.process.send_signal(signal.SIGTERM)
            assert await it.rest() == 1012
        status = await asyncio.to_thread(running.process.wait, 8)
        assert status in (0, -signal.SIGTERM)
        assert not running.traces(), "\n".join(running.lines)
