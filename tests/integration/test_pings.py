"""Pings are answered at once while the detector works: scoring never runs on the event loop, however long the file and whatever the model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import numpy as np

from tests.audio import sound_file
from tests.integration.material import changing, encoded
from tests.integration.server import ROOT, Server
from tests.integration.talk import started
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
    """A minute of audio, twice at once, through the program's own model; four live streams and an older socket meanwhile."""
    bundled = ROOT / "models" / "light"
    minute = sound_file(np.concatenate([voice(6.0, "spoof", seed=seed) for seed in range(10)]))
    model = bundled if (bundled / "card.json").is_file() else toy
    with Server(tmp_path, model) as running:
        async with AsyncExitStack() as stack, httpx2.AsyncClient(base_url=running.http, timeout=60) as http:
            every = [await stack.enter_async_context(live(running)) for _ in range(4)]
            before = [len(trips) for trips in every]
            answers = await asyncio.gather(*(http.post("/v1/detect", content=minute) for _ in range(2)))
            assert [answer.json()["duration_ms"] for answer in answers] == [60_000, 60_000]
            assert all(len(trips) > count for trips, count in zip(every, before, strict=True))
            assert max(max(trips) for trips in every) < 1.0
        assert not running.traces()
