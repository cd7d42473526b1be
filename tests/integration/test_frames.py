"""Below the messages: WebSocket frames that are too large, too many, cut, forbidden or not text. Each ends as RFC 6455 says, and costs nobody else.

Written by hand through `Raw`, because no client library would send them.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time

import pytest

from app.status import STATUS
from tests.integration.conftest import Unharmed
from tests.integration.material import assert_same, changing, encoded, outcome_of_rows
from tests.integration.server import Server
from tests.integration.talk import S16, as_text, frame, raw, started, stream, talk

PCM = encoded(changing(16000, 1), "pcm_s16le")
SECOND = 32_000


@pytest.mark.parametrize("text", [b"\xff\xfe", b'{"type":"\xc3\x28"}', b"\xed\xa0\x80"], ids=["bytes", "in a string", "surrogate"])
async def test_text_that_is_not_utf8(server: Server, unharmed: Unharmed, text: bytes) -> None:
    async with unharmed(server), raw(server.port) as it:
        await it.write(frame(json.dumps({"type": "start", "audio": S16}).encode(), 1))
        assert json.loads((await it.frame())[1])["type"] == "ready"
        await it.write(frame(text, 1))
        rows, code = await it.rest()
        assert code == 1007 == STATUS["bad_utf8"].close
        assert [(row["code"], row["fatal"]) for row in rows] == [("bad_utf8", True)]


@pytest.mark.parametrize("message", [bytes((1 << 20) + 1), as_text(bytes(1 << 20)), bytes(15 << 20)], ids=["bytes", "text", "15 MiB"])
async def test_a_frame_over_the_limit(server: Server, unharmed: Unharmed, message: bytes | str) -> None:
    async with unharmed(server), started(server.ws()) as it:
        await it.send(message)
        assert await it.rest(5) == 1009
        error = it.rows[-1]
        assert error["code"] == "frame_too_big" and error["fatal"] and str(1 << 20) in error["message"]


async def test_a_frame_no_server_should_read(server: Server, unharmed: Unharmed) -> None:
    """Its header alone is enough: nothing of the 4 EB is waited for."""
    async with unharmed(server), raw(server.port) as it:
        await it.write(frame(b"", claimed=1 << 62))
        opcode, payload = await asyncio.wait_for(it.frame(), 5)
        assert opcode == 8 and int.from_bytes(payload[:2], "big") == 1009


async def test_a_frame_exactly_at_the_limit(server: Server) -> None:
    rows = await stream(server.ws(), [bytes(1 << 20)])
    assert rows[-1]["duration_ms"] == (1 << 20) // 32


async def test_messages_in_fragments(server: Server) -> None:
    """A frame cut in the middle of a character and of a sample is one message all the same."""
    start, sound = json.dumps({"type": "start", "audio": S16, "metadata": {"who": "Zoë"}}, ensure_ascii=False).encode(), PCM[: 2 * SECOND]
    middle = start.index("ë".encode()) + 1
    async with raw(server.port) as it:
        await it.write(frame(start[:middle], 1, fin=False) + frame(start[middle:], 0))
        await it.write(frame(sound[:33], 2, fin=False) + frame(sound[33:801], 0, fin=False) + frame(b"", 0, fin=False) + frame(sound[801:], 0))
        await it.write(frame(b"", 1))
        rows, code = await it.rest()
    assert code == 1000
    assert_same(outcome_of_rows(rows), outcome_of_rows(await stream(server.ws(), [sound])))


VIOLATIONS = {
    "not masked": (b"\x82\x02\0\0", 1002),
    "reserved bit": (b"\xc2\x80\0\0\0\0", 1002),
    "unknown opcode": (b"\x83\x80\0\0\0\0", 1002),
    "a continuation of nothing": (frame(b"x", 0), 1002),
    "a text inside a message": (frame(b"x", 1, fin=False) + frame(b"y", 1), 1002),
    "a ping of 126 bytes": (frame(bytes(126), 9), 1002),
    "half a ping": (frame(b"", 9, fin=False), 1002),
    "half a close code": (frame(b"\3", 8), 1002),
    "a close code that is none": (frame(struct.pack(">H", 999), 8), 1002),
    "a close reason that is not UTF-8": (frame(struct.pack(">H", 1000) + b"\xff", 8), 1007),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", 1002),
    "17 MB in fragments": (frame(b"x", 2, fin=False) + frame(bytes(1_000_000), 0, fin=False) * 16 + frame(b"", 0, claimed=1_000_000), 1009),
}


@pytest.mark.parametrize("name", VIOLATIONS)
async def test_what_the_protocol_forbids(server: Server, unharmed: Unharmed, name: str) -> None:
    data, wanted = VIOLATIONS[name]
    async with unharmed(server):
        async with raw(server.port, "/v1/stream?encoding=pcm_s16le&sample_rate=16000") as it:
            assert json.loads((await it.frame())[1])["type"] == "ready"
            await it.write(data)
            assert await it.rest() == ([], wanted)
        await server.until(streams=1)


TINY = {
    "samples": frame(b"x"),
    "keepalives": frame(b'{"type":"keepalive"}', 1),
    "pongs": frame(b"", 10),
    "fragments": frame(b"", 0, fin=False),
}


@pytest.mark.parametrize("kind", TINY)
async def test_a_flood_of_tiny_frames_holds_nobody_up(server: Server, unharmed: Unharmed, kind: str) -> None:
    """As many as a connection carries for a while: parsing them must leave the event loop to others in between."""
    blob = TINY[kind] * 30_000
    until = time.monotonic() + 0.7

    async def flood() -> None:
        while time.monotonic() < until:
            await it.write(blob)

    async def swallow() -> None:
        while await it.reader.read(1 << 16):
            pass

    async with unharmed(server), raw(server.port, "/v1/stream?encoding=mulaw&sample_rate=8000") as it, talk(server.ws("/ws")) as other:
        if kind == "fragments":
            await it.write(frame(b"", fin=False))
        tasks = [asyncio.create_task(act()) for act in (flood, swallow)]
        trips = []
        while time.monotonic() < until:
            began = time.monotonic()
            await (await other.connection.ping())
            trips.append(time.monotonic() - began)
            await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert max(trips) < 0.75, f"{max(trips):.2f} s"
        it.reset()
        await server.until(streams=1)
