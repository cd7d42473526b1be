"""Pings are answered at once while the detector works: scoring never runs on the event loop, however long the file and whatever the model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import numpy as np
import pytest

from tests.audio import sound_file
from tests.integration.conftest import Unharmed
from tests.integration.material import changing, encoded
from tests.integration.server import ROOT, Server
from tests.integration.talk import frame, raw, started, talk
from tests.toy import voice

PCM = encoded(changing(16000, 1), "pcm_s16le")
FRAME = 3200


@asynccontextmanager
async def live(server: Server) -> AsyncIterator[list[float]]:
    """A stream in real time on one connection, with a ping every 50 ms; the round trips, in seconds."""
    trips: list[float] = []

    async def speak() -> None:
        for number in range(10_000):
            await it.send(PCM[number * FRAME % (len(PCM) - FRAME) :][:FRAME])
            await asyncio.sleep(0.1)  # real time is the point

    async def ping() -> None:
        while True:
            began = time.monotonic()
            await (await it.connection.ping())
            trips.append(time.monotonic() - began)
            await asyncio.sleep(0.05)

    async with started(server.ws()) as it:
        tasks = [asyncio.create_task(act()) for act in (speak, ping)]
        try:
            await it.next("segment")
            yield trips
            await it.next("segment", patience_s=5)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_pings_are_answered_while_a_long_file_is_scored(tmp_path: Path, toy: Path) -> None:
    """A minute of audio, twice, through the program's own model; four live streams and an older socket meanwhile."""
    bundled = ROOT / "models" / "light"
    minute = sound_file(np.concatenate([voice(6.0, "spoof", seed=seed) for seed in range(10)]))
    model = bundled if (bundled / "card.json").is_file() else toy
    with Server(tmp_path, model) as running:
        async with AsyncExitStack() as stack, httpx2.AsyncClient(base_url=running.http, timeout=60) as http:
            every = [await stack.enter_async_context(live(running)) for _ in range(4)]
            before = [len(trips) for trips in every]
            for _ in range(2):
                answers = await asyncio.gather(*(http.post("/v1/detect", content=minute) for _ in range(2)))
                assert [answer.json()["duration_ms"] for answer in answers] == [60_000, 60_000]
            assert all(len(trips) > count for trips, count in zip(every, before, strict=True))
            assert max(max(trips) for trips in every) < 1.0
        assert not running.traces()


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
