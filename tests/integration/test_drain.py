"""A server that is told to end: nothing new comes in, what has begun goes on for a while, live sessions are told to go elsewhere."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.material import encoded, wav_of
from tests.integration.server import Server
from tests.integration.talk import Talk, started, talk
from tests.integration.test_operations import ready
from tests.toy import voice

PCM = encoded(voice(6.0, "spoof"), "pcm_s16le")
FILE = wav_of(PCM, "pcm_s16le", 16000, 1)
DRAIN_S = 6.0


async def ended(server: Server, patience_s: float) -> int:
    return await asyncio.to_thread(server.process.wait, patience_s)


async def warned(live: Talk) -> None:
    while (await live.next("warning"))["code"] != "expiring":
        pass


async def test_what_has_begun_goes_on_and_nothing_new_begins(toy: Path, tmp_path: Path) -> None:
    half, told = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield FILE[:50_000]
        half.set()
        await told.wait()
        yield FILE[50_000:]

    with Server(tmp_path, toy, data_dir=tmp_path, drain_seconds=DRAIN_S, retry_after_ms=1500) as running:
        async with httpx2.AsyncClient(timeout=30) as http, httpx2.AsyncClient() as other, started(running.ws()) as live:
            upload = asyncio.create_task(http.post(running.http + "/v1/detect", content=slowly()))
            await half.wait()
            await live.send(PCM[:64_000])
            await live.next("segment")
            began = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            await warned(live)

            status, content = await ready(running)
            assert (status, content["status"], content["streams"]) == (503, "draining", 1)
            assert (await other.get(running.http + "/livez")).status_code == 200
            refused = await other.post(running.http + "/v1/detect", content=FILE)
            assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "shutting_down", "2")
            assert refused.headers["connection"] == "close"
            async with talk(running.ws()) as late:
                await late.send({"type": "start", "audio": {"encoding": "pcm_s16le", "sample_rate": 16000}})
                assert await late.rest() == 1012 and late.codes() == ["shutting_down"]

            await live.send(PCM[64_000:])
            while (await live.next("segment"))["end_ms"] < 6000:  # it is served as before
                pass
            assert time.monotonic() - began < DRAIN_S
            told.set()
            answer = await upload
            assert answer.status_code == 200 and answer.json()["duration_ms"] == 6000
            assert await live.rest() == 1012 and live.codes() == ["shutting_down"]
            assert 0 < time.monotonic() - began < DRAIN_S + 1
        assert await ended(running, 5) in (0, -signal.SIGTERM)
        assert not running.traces(), "\n".join(running.lines)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_with_nobody_there_it_ends_at_once(toy: Path, tmp_path: Path, how: signal.Signals) -> None:
    with Server(tmp_path, toy, data_dir=tmp_path, drain_seconds=600) as running:
        async with talk(running.ws("/ws")), httpx2.AsyncClient() as http:  # an idle socket of the older contract and a kept connection are nobody
            assert (await http.get(running.http + "/livez")).status_code == 200
            running.process.send_signal(how)
            assert await ended(running, 5) in (0, -how)
        assert not running.traces(), "\n".join(running.lines)


async def test_a_second_signal_ends_it_at_once(toy: Path, tmp_path: Path) -> None:
    first = "from app.cli import server; server.TOGETHER_S = 0\n"
    with Server(tmp_path, toy, first, data_dir=tmp_path, drain_seconds=600) as running:
        async with started(running.ws()) as live:
            await live.send(PCM[:64_000])
            await live.next("segment")
            running.process.send_signal(signal.SIGTERM)
            await warned(live)
            running.process.send_signal(signal.SIGINT)
            assert await live.rest() == 1012
            assert await ended(running, 5) in (0, -signal.SIGTERM, -signal.SIGINT)


async def test_two_signals_together_are_one(toy: Path, tmp_path: Path) -> None:
    """A terminal's Ctrl+C reaches the program that runs this one too, and that sends a SIGTERM."""
    first = "from app.cli import server; server.TOGETHER_S = 60\n"
    with Server(tmp_path, toy, first, data_dir=tmp_path, drain_seconds=3) as running:
        async with started(running.ws()) as live:
            running.process.send_signal(signal.SIGINT)
            await warned(live)
            running.process.send_signal(signal.SIGTERM)
            await live.send(PCM[:64_000], {"type": "stop"})
            assert await live.rest() == 1000 and live.rows[-1]["type"] == "done"
        assert await ended(running, 5) in (0, -signal.SIGTERM, -signal.SIGINT)
        assert not running.traces(), "\n".join(running.lines)
