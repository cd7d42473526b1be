"""The micro-batcher: windows of all sessions -> batches on worker threads -> results back on the event loop. Called by `service`.

No timer holds a window back: a worker takes whatever waits when it becomes free, so batches grow with the load by themselves. Live windows go
before bulk ones (files). The queue is bounded: callers wait for room. An error goes to every caller whose windows were in the batch, and
each tries once more, in a batch of its own.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

from app.core.errors import ScoringFailed, ShuttingDown
from app.core.windows import Scored, Window
from app.scoring.onnx import Scorer

log = logging.getLogger(__name__)

BUSY_TIME_CONSTANT_S = 3.0


class Batched(NamedTuple):
    """One batch that was scored, or failed. Times are those of `time.monotonic()`; `calls`: whether it is bulk, when it was asked for, its mark."""

    windows: int
    began: float
    ended: float
    calls: list[tuple[bool, float, Any]]


@dataclass(eq=False)
class _Call:
    """One caller's windows, kept together and in order."""

    windows: Sequence[Window]
    future: asyncio.Future[list[Scored]]
    since: float
    bulk: bool
    alone: bool
    mark: Any


class Batcher:
    """`async with Batcher(...) as batcher: scored = await batcher.score(windows)`. One per process and event loop."""

    def __init__(
        self, scorer: Scorer, *, workers: int, max_batch: int, max_queue: int,
        observe: Callable[[Batched], None] | None = None, mark: Callable[[], Any] | None = None,
    ) -> None:  # fmt: skip
        """`observe` hears of each batch, on the event loop; `mark` gives what it is told of each caller, taken when that calls."""
        self._observe, self._mark = observe, mark
        self._scorer, self._max_batch, self._max_queue = scorer, max_batch, max_queue
        self._lanes: tuple[deque[_Call], deque[_Call]] = (deque(), deque())  # live, bulk
        self._waiting = 0
        self._ready = threading.Condition()
        self._waiters: list[asyncio.Future[None]] = []
        self._threads = [threading.Thread(target=self._work, name=f"scoring-{n}", daemon=True) for n in range(workers)]
        self._closing = False
        self._busy = [0.0] * workers
        self._busy_at = [0.0] * workers
        self._at_work_since: list[float | None] = [None] * workers
        self.batches = self.windows = 0

    async def __aenter__(self) -> Batcher:
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        with self._ready:
            self._closing = True
            left = [call for lane in self._lanes for call in lane]
            for lane in self._lanes:
                lane.clear()
            self._ready.notify_all()
        for call in left:
            _settle(call, None, ShuttingDown())
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._make_room()

    async def score(self, windows: Sequence[Window], *, bulk: bool = False) -> list[Scored]:
        """Scores of `windows`, in their order. ScoringFailed if the detector failed on them, ShuttingDown if it is being closed."""
        if not windows:
            return []
        try:
            return await self._queued(windows, bulk, alone=False)
        except ScoringFailed:
            # Another caller's window may have spoilt the batch. A scorer that failed has kept nothing, so windows can be scored again.
            return await self._queued(windows, bulk, alone=True)

    async def _queued(self, windows: Sequence[Window], bulk: bool, *, alone: bool) -> list[Scored]:
        while self._waiting >= self._max_queue and not self._closing:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter
        if self._closing:
            raise ShuttingDown()
        call = _Call(windows, self._loop.create_future(), time.monotonic(), bulk, alone, self._mark and self._mark())
        with self._ready:
            self._waiting += len(windows)
            self._lanes[bulk].append(call)
            self._ready.notify()
        try:
            return await call.future
        except asyncio.CancelledError:
            self._withdraw(call, bulk)
            raise

    def _withdraw(self, call: _Call, bulk: bool) -> None:
        """A caller left: its windows give their room back, unless a worker has them already."""
        with self._ready:
            if call not in self._lanes[bulk]:
                return
            self._lanes[bulk].remove(call)
            self._waiting -= len(call.windows)
        self._make_room()

    # --- load -----------------------------------------------------------------------------------------------

    def busy(self) -> float:
        """Share of time the workers were scoring live windows, 0..1, over the last few seconds. Bulk work gives way, so it does not count."""
        now = time.monotonic()
        faded = [share * 2 ** -((now - at) / BUSY_TIME_CONSTANT_S) for share, at in zip(self._busy, self._busy_at, strict=True)]
        return min(1.0, sum(faded) / len(faded))

    def waiting_ms(self) -> float:
        """How long the oldest live window has been waiting."""
        with self._ready:
            return (time.monotonic() - self._lanes[0][0].since) * 1000 if self._lanes[0] else 0.0

    def waiting(self) -> int:
        """Windows that wait, or are being scored."""
        return self._waiting

    def stuck_s(self) -> float:
        """For how long the slowest worker has been at its batch; a worker that died is at it for ever."""
        if not all(thread.is_alive() for thread in self._threads):
            return float("inf")
        now = time.monotonic()
        return max((now - since for since in self._at_work_since if since is not None), default=0.0)

    # --- worker threads -------------------------------------------------------------------------------------

    def _work(self) -> None:
        number = self._threads.index(threading.current_thread())
        while batch := self._next_batch():
            self._at_work_since[number] = began = time.monotonic()
            windows = [window for call in batch for window in call.windows]
            scored: list[Scored] = []
            error: BaseException | None = None
            try:
                scored = list(self._scorer.score(windows))
                if len(scored) != len(windows):
                    error = ScoringFailed(f"The detector gave {len(scored)} scores for {len(windows)} windows.")
            except Exception as exc:  # whatever the runtime raises, the callers must hear of it and the worker must live
                log.exception("scoring failed")
                error = ScoringFailed()
                error.__cause__ = exc
            self._at_work_since[number], ended = None, time.monotonic()
            self._note_busy(number, began, ended, sum(len(call.windows) for call in batch if not call.bulk) / len(windows))
            self._loop.call_soon_threadsafe(self._deliver, batch, scored, error, began, ended)

    def _next_batch(self) -> list[_Call]:
        """Waits for calls; gives as many as fit, live ones first. Empty: the batcher is closing."""
        batch: list[_Call] = []
        size = 0
        with self._ready:
            while not batch and not self._closing:
                self._ready.wait_for(lambda: self._closing or any(self._lanes))
                for lane in self._lanes:
                    while lane and (not batch or self._fits(lane[0], batch[0], size)):
                        batch.append(lane.popleft())
                        size += len(batch[-1].windows)
        return batch

    def _fits(self, call: _Call, first: _Call, size: int) -> bool:
        return not (call.alone or first.alone) and size + len(call.windows) <= self._max_batch

    def _note_busy(self, number: int, began: float, ended: float, live: float) -> None:
        # A first-order average of the signal "this worker is scoring live windows" (`live` is their share), faded while idle by `busy`.
        idle = 2 ** -((began - self._busy_at[number]) / BUSY_TIME_CONSTANT_S)
        worked = 2 ** -((ended - began) / BUSY_TIME_CONSTANT_S)
        self._busy[number] = self._busy[number] * idle * worked + (1 - worked) * live
        self._busy_at[number] = ended

    def _deliver(self, batch: list[_Call], scored: list[Scored], error: BaseException | None, began: float, ended: float) -> None:
        at = 0
        for call in batch:
            _settle(call, scored[at : at + len(call.windows)], error)
            at += len(call.windows)
        with self._ready:
            self._waiting -= at
        self.batches, self.windows = self.batches + 1, self.windows + at
        self._make_room()
        if self._observe is not None:
            self._observe(Batched(at, began, ended, [(call.bulk, call.since, call.mark) for call in batch]))

    def _make_room(self) -> None:
        """Wakes who waits for room; each looks again for itself."""
        if self._waiting >= self._max_queue and not self._closing:
            return
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def _settle(call: _Call, scored: list[Scored] | None, error: BaseException | None) -> None:
    if call.future.done():
        return
    if error is not None:
        call.future.set_exception(error)
    else:
        call.future.set_result(scored or [])
