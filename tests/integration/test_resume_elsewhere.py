"""Two servers, one Redis, a real nginx in front of them: one is told to end, killed, or loses Redis, while twenty people talk. No verdict is lost.

The clients are the product's own, and find the other server by themselves, as behind any balancer. What they heard, whichever server said it,
must be what one server would have said: each segment once, in order, the same times, counts and verdicts, llr within 0.001.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.client.stream import LiveClient, Notice, _Session
from app.core import wire
from app.scoring.load import Detector
from tests.integration.material import assert_same, changing, encoded, outcome_here, outcome_of_rows, wav_of
from tests.integration.server import Server
from tests.integration.servers_of_others import RedisServer
from tests.integration.talk import S16, Row, talk

KEY = "integration-test-key-0123456789"
HEADERS = {"Authorization": f"Bearer {KEY}"}
FORMATS = [("pcm_s16le", 16000, 1), ("pcm_f32le", 44100, 2), ("mulaw", 8000, 1), ("pcm_s16le", 48000, 1)]
CLIENTS = 20
PIECE_MS, PACE_S = 100, 0.05  # twice as fast as speech


class Pair:
    """Two servers that share a Redis."""

    def __init__(self, folder: Path, model: Path, redis_url: str, **settings: Any) -> None:
        self._folder, self._model = folder, model
        self._settings = {"redis_url": redis_url, "api_key": KEY, "data_dir": folder, "key_streams": 0, "address_streams": 0, **settings}
        self.servers = [self.start(), self.start()]

    def start(self) -> Server:
        return Server(self._folder, self._model, **self._settings).__enter__()

    @property
    def ports(self) -> list[int]:
        return [server.port for server in self.servers]

    def kill(self, which: int) -> None:
        self.servers[which].process.kill()
        self.servers[which].process.wait()

    def end(self, but: str = "nothing") -> None:
        """`but`: what may stand in the log as an error."""
        for server in self.servers:
            if server.process.poll() is None:
                server.end(30)
            assert not [line for line in server.traces() if but not in line], "\n".join(server.lines[-60:])


@pytest.fixture
def pair(tmp_path: Path, toy: Path, redis_server: RedisServer) -> Iterator[Pair]:
    running = Pair(tmp_path, toy, redis_server.url())
    yield running
    running.end()


class Listener:
    """One client that sends a recording as it would be spoken, twice as fast."""

    def __init__(self, url: str, encoding: Any, rate: int, channels: int, seed: int, seconds: int = 7) -> None:
        samples = np.concatenate([changing(rate, channels, seed + n) for n in range(-(-seconds // 7))])
        self.data = encoded(samples, encoding)
        self.piece = len(self.data) // len(samples) * (rate * PIECE_MS // 1000)
        self.format = (encoding, rate, channels)
        self.rows: list[Row] = []
        self.notices: list[Notice] = []
        audio = wire.Audio(encoding=encoding, sample_rate=rate, channels=channels)
        self.live = LiveClient(url, audio, headers=HEADERS, retries=12, on_notice=self.notices.append)

    async def run(self) -> None:
        async with self.live as live, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send())
            async for row in live:
                self.rows.append(row)

    async def _send(self) -> None:
        for at in range(0, len(self.data), self.piece):
            await self.live.send(self.data[at : at + self.piece])
            await asyncio.sleep(PACE_S)  # the speaker's own pace
        self.live.stop()

    async def verify(self, detector: Detector) -> None:
        segments = [(row["channel"], row["index"]) for row in self.rows if row["type"] == "segment"]
        assert len(segments) == len(set(segments)), "a segment was heard twice"
        for kind, at in (("verdict", "as_of_ms"), ("alert", "at_ms")):
            told = [(row["channel"], row[at]) for row in self.rows if row["type"] == kind]
            assert told == sorted(set(told), key=lambda each: (each[1], each[0])), f"a {kind} was heard twice or out of order"
        wanted = await outcome_here(wav_of(self.data, *self.format), detector)
        assert_same(outcome_of_rows(self.rows), wanted)


async def listening(url: str, act: Any, clients: int = CLIENTS, seconds: int = 7, heard: list[Listener] | None = None) -> list[Listener]:
    """All clients through `url`; `act` is called when they have heard their second segment, in a thread. `heard`: where to put them before."""
    listeners = [] if heard is None else heard
    listeners += [Listener(url.replace("http", "ws") + "/v1/stream", *FORMATS[n % len(FORMATS)], n, seconds) for n in range(clients)]
    async with asyncio.timeout(90), asyncio.TaskGroup() as tasks:
        for each in listeners:
            tasks.create_task(each.run())
        await asyncio.to_thread(until, lambda: all(sum(row["type"] == "segment" for row in each.rows) >= 2 for each in listeners))
        await asyncio.to_thread(act)
    return listeners


async def test_one_server_is_told_to_end(pair: Pair, detector: Detector, nginx_in_front: Any) -> None:
    """It lives on for a while, for somebody's slow upload; but nobody is sent back to it, although it has the fewest connections."""

    def act() -> None:
        with socket.create_connection(("127.0.0.1", pair.ports[0])) as upload:
            head = f"POST /v1/detect HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 9000\r\n"
            head += "Expect: 100-continue\r\n\r\n"
            upload.sendall(head.encode())
            assert b" 100 " in upload.recv(100)  # it is inside
            pair.servers[0].process.send_signal(signal.SIGTERM)
            until(lambda: sum(bool(each.notices) for each in listeners) >= 5)
            until(lambda: all(any(notice.kind == "resumed" for notice in each.notices) for each in listeners if each.notices))
            assert pair.servers[0].process.poll() is None
        pair.servers[0].process.wait(30)

    listeners: list[Listener] = []
    with nginx_in_front(pair.ports) as url:
        await listening(url, act, heard=listeners)
    moved = [each for each in listeners if any(notice.kind == "resumed" for notice in each.notices)]
    assert 5 <= len(moved) < CLIENTS, [len(moved)]
    for each in listeners:
        assert {notice.kind for notice in each.notices} <= {"lost", "resumed"}
        await each.verify(detector)
    for each in moved:
        assert [row["code"] for row in each.rows if row["type"] == "warning"].count("expiring") == 1
        assert [row["code"] for row in each.rows if row["type"] == "error"] == ["shutting_down"]


async def test_one_server_is_killed(pair: Pair, detector: Detector, nginx_in_front: Any) -> None:
    with nginx_in_front(pair.ports) as url:
        listeners = await listening(url, lambda: pair.kill(0))
    moved = [each for each in listeners if any(notice.kind == "resumed" for notice in each.notices)]
    assert 5 <= len(moved) < CLIENTS, [len(moved)]
    for each in listeners:
        assert {notice.kind for notice in each.notices} <= {"lost", "resumed"}
        await each.verify(detector)


async def test_a_kill_a_rolling_restart_and_a_redis_that_forgets(tmp_path: Path, toy: Path, detector: Detector, nginx_in_front: Any) -> None:
    """Three servers: the first is killed, then Redis is restarted empty, then the second is told to end. Everybody ends on the third."""
    (tmp_path / "redis").mkdir()
    redis = RedisServer(tmp_path / "redis")
    pair = Pair(tmp_path, toy, redis.url())
    pair.servers.append(pair.start())
    heard: list[Listener] = []

    def act() -> None:
        pair.kill(0)
        until(lambda: sum(bool(each.notices) for each in heard) >= 2)  # of six, over three servers
        until(lambda: all(any(n.kind == "resumed" for n in each.notices) for each in heard if each.notices))
        redis.end()
        counts = [len(each.rows) for each in heard]
        until(lambda: all(len(each.rows) > count + 5 for each, count in zip(heard, counts, strict=True)))  # verdicts go on without Redis
        redis.start()
        counts = [len(each.rows) for each in heard]
        until(lambda: all(len(each.rows) > count + 10 for each, count in zip(heard, counts, strict=True)))  # two seconds of audio: snapshots again
        pair.servers[1].end(30)

    try:
        with nginx_in_front(pair.ports) as url:
            await listening(url, act, clients=6, seconds=24, heard=heard)
    finally:
        pair.end(but="Redis cannot be reached")
        redis.end()
    assert sum(notice.kind == "resumed" for each in heard for notice in each.notices) >= 4
    for each in heard:
        assert {notice.kind for notice in each.notices} <= {"lost", "resumed"}
        await each.verify(detector)


async def test_without_redis_a_broken_line_is_resumed_and_a_killed_server_is_told(tmp_path: Path, toy: Path, detector: Detector) -> None:
    """The server is alone then: what it parks it gives back, and when it is gone its sessions are, which clients say plainly."""
    (tmp_path / "redis").mkdir()
    redis = RedisServer(tmp_path / "redis")
    pair = Pair(tmp_path, toy, redis.url())
    try:
        data = encoded(changing(16000, 1), "pcm_s16le")
        one, two = pair.servers
        async with talk(one.ws(), additional_headers=HEADERS) as it:
            await it.send({"type": "start", "audio": S16}, data[:100_000])
            while (await it.next("segment"))["end_ms"] < 3000:
                pass
            redis.end()
            it.abort()
            await one.until(streams=0)
            ticket = {"session_id": it.rows[0]["session_id"], "resume_token": it.rows[0]["resume_token"], "last_seq": it.rows[-1]["seq"]}
            async with talk(two.ws(), additional_headers=HEADERS) as elsewhere:
                await elsewhere.send({"type": "start", "audio": S16, "resume": ticket})
                assert await elsewhere.rest() == 4404 and elsewhere.codes() == ["unknown_session"]
            async with talk(one.ws(), additional_headers=HEADERS) as again:
                await again.send({"type": "start", "resume": ticket})
                ready = await again.next("ready")
                await again.send(data[ready["resume"]["continue_from_ms"] * 32 :], {"type": "stop"})
                assert await again.rest() == 1000
        wanted = await outcome_here(wav_of(data, "pcm_s16le", 16000, 1), detector)
        assert_same(outcome_of_rows([*it.rows, *again.rows]), wanted)
        pair.kill(0)
        with_gap = Listener(two.ws(), "pcm_s16le", 16000, 1, seed=0)
        with_gap.live._session = _Session(ticket["session_id"], ticket["resume_token"])  # as one that was on the killed server
        await asyncio.wait_for(with_gap.run(), 30)
        assert [notice.kind for notice in with_gap.notices] == ["restarted"] and with_gap.rows[-1]["type"] == "done"
    finally:
        pair.end(but="Redis cannot be reached")


def until(condition: Any) -> None:
    """Waits, in a thread, for what clients on the loop come to hear."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
