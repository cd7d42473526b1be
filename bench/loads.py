"""The three loads a generator process can make: `steady` streams, a `ramp` until the server refuses and beyond, and a `churn` of short sessions.

Each takes its numbers from a `Spec`, tells the parent when the measured stretch begins and ends, and gives a JSON-ready result.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench.figures import FRAME_MS, HOP_MS, spread
from bench.stream import Stream

FRAME_S = FRAME_MS / 1000
OPEN_AT_ONCE = 8
OPEN_PATIENCE_S = 20.0
END_PATIENCE_S = 20.0
MAX_STREAMS = 2000

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Spec:
    load: str
    port: int
    audio: str  # path of raw s16le, 16 kHz, mono
    streams: int = 1  # steady: how many; ramp: how many at most; churn: how many sessions
    seconds: float = 20.0  # steady: audio of each stream; ramp: time after the first refusal; churn: audio of each session
    per_second: float = 5.0  # ramp: new streams a second
    at_once: int = 8  # churn: sessions at a time
    host: str = "127.0.0.1"


@dataclass
class Bench:
    """What all loads share: where to connect, the framed audio, and how late frames left."""

    spec: Spec
    audio: list[bytes]
    pacing: list[float] = field(default_factory=list)
    opened: int = 0

    async def open(self, resume: dict[str, Any] | None = None) -> Stream:
        """A stream that is ready, refused (`error`) or broken (`problem`)."""
        loop = asyncio.get_running_loop()
        offset = self.opened * 37 % len(self.audio)  # everybody says something else
        self.opened += 1
        stream = Stream(self.audio, offset, resume)
        try:
            async with asyncio.timeout(OPEN_PATIENCE_S):
                await loop.create_connection(lambda: stream, self.spec.host, self.spec.port)
                await asyncio.shield(stream.ready)
        except (OSError, TimeoutError) as exc:
            stream.problem = f"{type(exc).__name__}: {exc}"
            stream.lost = True
        return stream

    def play(self, stream: Stream, start: float, until: Callable[[], bool]) -> asyncio.Future[None]:
        """Sends a frame every 100 ms from `start` on, at fixed times, until told to stop; then `stop`. Gives a future for that moment."""
        loop = asyncio.get_running_loop()
        finished: asyncio.Future[None] = loop.create_future()

        def tick(due: float) -> None:
            if not stream.sending or until():
                if stream.sending:
                    stream.stop()
                if not finished.done():
                    finished.set_result(None)
                return
            self.pacing.append((time.monotonic() - due) * 1000)
            stream.send_next()
            loop.call_at(due + FRAME_S, tick, due + FRAME_S)

        loop.call_at(start, tick, start)
        return finished


async def steady(bench: Bench, tell: Tell) -> dict[str, Any]:
    """Opens all streams, then lets them speak for `seconds`, their starts spread over one hop."""
    spec = bench.spec
    slots = asyncio.Semaphore(OPEN_AT_ONCE)

    async def opened() -> Stream:
        async with slots:
            return await bench.open()

    streams = await asyncio.gather(*(opened() for _ in range(spec.streams)))
    held = [s for s in streams if s.ready.done() and s.ready.result()]
    frames = round(spec.seconds / FRAME_S)
    start = time.monotonic() + 0.25
    tell("go")
    spread_s = HOP_MS / 1000 / max(1, len(held))
    playing = [bench.play(s, start + i * spread_s, partial(_said, s, frames)) for i, s in enumerate(held)]
    if playing:
        await asyncio.wait(playing, timeout=spec.seconds + END_PATIENCE_S)
    tell("sent")
    await ended(held)
    worst_at, _ = max((lag for s in held for lag in s.lags), key=lambda each: each[1], default=(start, 0.0))
    return {"streams": summary(held), "refusals": refusals([s for s in streams if s not in held]), "worst_lag_at_s": worst_at - start}


def _said(stream: Stream, frames: int) -> bool:
    return len(stream.sent) >= frames


async def ramp(bench: Bench, tell: Tell) -> dict[str, Any]:
    """Opens streams one after the other until one is refused; for `seconds` more, half as many again knock and come back when told to."""
    spec = bench.spec
    end = float("inf")
    running: list[Stream] = []
    playing: list[asyncio.Future[None]] = []
    refused: list[Stream] = []

    def admit(stream: Stream) -> None:
        running.append(stream)
        playing.append(bench.play(stream, time.monotonic() + len(running) * 0.037 % FRAME_S, lambda: time.monotonic() >= end))

    async def knock(at: float) -> None:
        await asyncio.sleep(at - time.monotonic())
        while time.monotonic() < end - 1:
            stream = await bench.open()
            if stream.ready.done() and stream.ready.result():
                late.append(stream)
                return admit(stream)
            refused.append(stream)
            wait_ms = (stream.error or {}).get("retry_after_ms", 1000)
            await asyncio.sleep(max(0.2, wait_ms / 1000))

    tell("go")
    began = time.monotonic()
    while len(running) < min(spec.streams, MAX_STREAMS):
        await asyncio.sleep(max(0.0, began + len(running) / spec.per_second - time.monotonic()))
        stream = await bench.open()
        if not (stream.ready.done() and stream.ready.result()):
            refused.append(stream)
            break
        admit(stream)
    full_at = time.monotonic()
    first = len(running)
    tell("full")
    end = full_at + spec.seconds
    late: list[Stream] = []
    knockers = max(1, first // 2)
    # All of them in the first half of the stretch, so that a server that asks for patience sees each at least twice.
    knocking = [asyncio.create_task(knock(full_at + i * spec.seconds / 2 / knockers)) for i in range(knockers)] if refused else []
    if knocking:
        await asyncio.wait(knocking, timeout=spec.seconds + OPEN_PATIENCE_S)
    await asyncio.sleep(max(0.0, end - time.monotonic()))
    tell("sent")
    await asyncio.wait(playing, timeout=END_PATIENCE_S)
    await ended(running)
    await ended(refused)
    before = [lag for s in running for at, lag in s.lags if at < full_at]
    after = [lag for s in running for at, lag in s.lags if full_at <= at <= end]
    return {
        "held": first, "admitted_later": len(late), "knockers": knockers if refused else 0, "lag_before_ms": spread(before),
        "lag_while_knocking_ms": spread(after), "streams": summary(running), "refusals": refusals(refused),
    }  # fmt: skip


async def churn(bench: Bench, tell: Tell) -> dict[str, Any]:
    """Short sessions, their audio sent at once: half end properly, a quarter break off, a quarter break off and are resumed."""
    spec = bench.spec
    slots = asyncio.Semaphore(spec.at_once)
    frames = round(spec.seconds / FRAME_S)
    ends: Counter[str] = Counter()

    async def session(number: int) -> None:
        async with slots:
            stream = await bench.open()
            if not (stream.ready.done() and stream.ready.result()):
                ends["refused" if stream.error else "broken"] += 1
                return
            kind = ("stop", "break", "stop", "resume")[number % 4]
            ends[await (_proper(stream, frames) if kind == "stop" else _broken(bench, stream, frames, resume=kind == "resume"))] += 1

    tell("go")
    await asyncio.gather(*(session(n) for n in range(spec.streams)))
    tell("sent")
    return {"sessions": dict(ends)}


async def _proper(stream: Stream, frames: int) -> str:
    for _ in range(frames):
        stream.send_next()
    stream.stop()
    await ended([stream])
    return "done" if stream.done else "broken"


async def _broken(bench: Bench, stream: Stream, frames: int, *, resume: bool) -> str:
    for _ in range(frames * 2 // 3):
        stream.send_next()
    try:
        async with asyncio.timeout(5):
            await stream.first_segment.wait()
    except TimeoutError:
        stream.abort()
        return "broken"
    stream.abort()
    if not resume:
        return "aborted"
    again = await bench.open(stream.bookmark())
    if not (again.ready.done() and again.ready.result()):
        return "not resumed"
    outcome = await _proper(again, frames // 3)
    return "resumed" if outcome == "done" else outcome


async def ended(streams: list[Stream], patience_s: float = END_PATIENCE_S) -> None:
    """Waits until all connections are gone, then cuts those that are not."""
    waiting: list[Awaitable[None]] = [s.closed for s in streams if not s.lost]
    if waiting:
        await asyncio.wait([asyncio.ensure_future(w) for w in waiting], timeout=patience_s)
    for stream in streams:
        if not stream.lost:
            stream.problem = stream.problem or "not closed in time"
            stream.abort()


def summary(streams: list[Stream]) -> dict[str, Any]:
    """Everything the streams saw, added up."""
    expected, segments = sum(s.expected for s in streams), sum(s.segments for s in streams)
    return {
        "held": len(streams),
        "done": sum(s.done is not None and s.close_code == 1000 for s in streams),
        "segments": segments,
        "expected": expected,
        "missing": expected - segments,
        "dropped_ms": sum((s.done or {}).get("dropped_ms", 0) for s in streams),
        "warnings": dict(Counter(code for s in streams for code in s.warnings)),
        "errors": dict(Counter(s.error["code"] for s in streams if s.error)),
        "problems": dict(Counter(s.problem for s in streams if s.problem)),
        "lag_ms": spread([lag for s in streams for _, lag in s.lags]),
        "server_latency_ms": spread([ms for s in streams for ms in s.server_latencies]),
        "ping_ms": spread([ms for s in streams for ms in s.round_trips]),
        "pings_unanswered": sum(s.pings_open for s in streams),
        "backlog_bytes": max((s.backlog for s in streams), default=0),
    }


def refusals(streams: list[Stream]) -> dict[str, Any]:
    """How those that did not get in were told."""
    polite = [s for s in streams if s.close_code == 4503 and s.error and s.error["code"] == "server_full" and s.error.get("retry_after_ms", 0) > 0]
    return {
        "count": len(streams),
        "polite": len(polite),
        "close_codes": dict(Counter(str(s.close_code) for s in streams)),
        "errors": dict(Counter(str((s.error or {}).get("code")) for s in streams)),
        "retry_after_ms": sorted({s.error["retry_after_ms"] for s in polite if s.error}),
        "messages": dict(Counter(str((s.error or {}).get("message")) for s in streams)),
        "problems": dict(Counter(s.problem for s in streams if s.problem)),
    }


LOADS: dict[str, Callable[[Bench, Tell], Coroutine[Any, Any, dict[str, Any]]]] = {"steady": steady, "ramp": ramp, "churn": churn}
