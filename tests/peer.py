"""A client without a network, for the tests of live streams: `Peer` is the `Connection` the server sees, and the hand that moves it.

`world` builds the streams of a process around the arithmetic detector of `tests.fake`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from app.core import wire
from app.core.windows import Scored, Window
from app.scoring.batch import Batcher
from app.service.limits import Gate
from app.service.resume import Shelf
from app.service.streams import Streams
from app.settings import Settings
from tests.fake import FakeScorer, model

PATIENCE_S = 10.0  # a test that waits this long has found a bug
START = {"type": "start", "audio": {"encoding": "pcm_s16le", "sample_rate": 16000}}


class Peer:
    """What the peer says is queued; what it hears is in `heard`. `reads` off: it stops reading, so that sending blocks."""

    def __init__(self, *said: Any) -> None:
        self.abandoned = False
        self.heard: list[dict[str, Any]] = []
        self.taken = self.offered = 0
        self.reads = asyncio.Event()
        self.reads.set()
        self.broken = False
        self._inbox: asyncio.Queue[Any] = asyncio.Queue()
        self._news = asyncio.Event()
        self.say(*said)

    def say(self, *messages: Any) -> None:
        """Texts, bytes, dicts (as JSON), errors to raise in `receive`, or None: the peer is gone."""
        for message in messages:
            self._inbox.put_nowait(json.dumps(message) if isinstance(message, dict) else message)

    def leave(self, *, for_good: bool = False) -> None:
        self.abandoned = for_good
        self.broken = True
        self.say(None)

    async def receive(self) -> str | bytes | None:
        message = await self._inbox.get()
        self.taken += 1
        self._news.set()
        if isinstance(message, BaseException):
            raise message
        if message is None:
            self.say(None)
        return message  # type: ignore[no-any-return]

    async def send(self, text: str) -> None:
        self.offered += 1
        await self.reads.wait()
        if self.broken:
            raise ConnectionError
        self.heard.append(json.loads(text))
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until what was said and heard makes `condition` true."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def hears(self, kind: str, count: int = 1) -> dict[str, Any]:
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [m for m in self.heard if m["type"] == kind]

    def facts(self) -> list[dict[str, Any]]:
        return plain(self.heard)


def plain(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """As `tests.fake.facts`, of messages that were sent."""
    kept = ("segment", "verdict", "alert", "done", "finalized")
    return [{k: v for k, v in m.items() if k not in ("seq", "session_id", "latency_ms")} for m in messages if m["type"] in kept]


def resume(peer: Peer, **more: Any) -> dict[str, Any]:
    """The `start` of a client that heard what `peer` heard."""
    ready = next(m for m in peer.heard if m["type"] == "ready")
    last = max(m["seq"] for m in peer.heard)
    return {"type": "start", "resume": {"session_id": ready["session_id"], "resume_token": ready["resume_token"], "last_seq": last, **more}}


class HeldScorer(FakeScorer):
    """The arithmetic detector behind a door, with failures to order: `failures` batches fail first."""

    def __init__(self) -> None:
        self.go, self.inside, self.failures = threading.Event(), threading.Semaphore(0), 0
        self.go.set()

    def score(self, windows: Sequence[Window]) -> list[Scored]:
        self.inside.release()
        assert self.go.wait(PATIENCE_S)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the detector failed")
        return super().score(windows)


class World:
    """The streams of one process."""

    def __init__(self, streams: Streams, gate: Gate, scorer: HeldScorer, batcher: Batcher) -> None:
        self.streams, self.gate, self.scorer, self.batcher = streams, gate, scorer, batcher

    def serve(self, peer: Peer, start: wire.Start | None = None) -> asyncio.Task[int]:
        return asyncio.create_task(self.streams.serve(peer, start))

    async def code(self, task: asyncio.Task[int]) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await task

    async def scoring(self) -> None:
        """Waits until the detector is at work on the next batch."""
        assert await asyncio.to_thread(self.scorer.inside.acquire, timeout=PATIENCE_S)

    async def session(self, data: bytes, piece: int = 8000, **start: Any) -> Peer:
        """A whole session from start to done."""
        peer = Peer({**START, **start}, *(data[at : at + piece] for at in range(0, len(data), piece)), {"type": "stop"})
        assert await self.code(self.serve(peer)) == 1000
        return peer

    @property
    def empty(self) -> bool:
        return not self.streams._streams and not self.streams._parked and not self.gate.open


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **{"idle_timeout_seconds": PATIENCE_S, **values})


@asynccontextmanager
async def world(*, max_streams: int = 9, shelf: Shelf | None = None, **values: Any) -> AsyncIterator[World]:
    """Ends with the check that no task is left behind. Worlds with one cache behind their shelves are servers with one Redis."""
    scorer, chosen = HeldScorer(), settings(**values)
    others = len(asyncio.all_tasks())
    async with Batcher(scorer, workers=1, max_batch=32, max_queue=256) as batcher:
        gate = Gate("streams", max_streams, 1234)
        yield World(Streams(model(), batcher, gate, chosen, shelf=shelf), gate, scorer, batcher)
        scorer.go.set()
        for _ in range(3):
            await asyncio.sleep(0)
        assert gate.open == 0 and len(asyncio.all_tasks()) == others
