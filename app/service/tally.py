"""What one live session, one file and one batch add to the metrics, the traces and the log.

`Tally` is an `Observer` of `service.live`, made by `streams` for each session; `services` uses `FileTally`, the batcher what `batches` gives.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType

from app import logs
from app.core.errors import Internal, VoxproofError
from app.core.messages import Ack, Done, Error, Message, Ready, Segment, Verdict
from app.core.session import Session
from app.scoring.batch import Batched, Batcher
from app.service.access import Principal
from app.service.detect import Result
from app.service.limits import Gate
from app.service.metrics import Metrics
from app.service.streams import Streams
from app.traces import Traces

NORMAL, LOST = 1000, 1006

log = logging.getLogger(__name__)


class Tally:
    def __init__(self, metrics: Metrics, principal: Principal, session: Session) -> None:
        self._metrics, self._principal, self._session = metrics, principal, session
        self._began = time.monotonic()
        self._base_ms = self._heard_ms = session.received_ms  # what another process heard is in its own counts
        self._judged = session.received_ms > 0
        self._opened = False  # it may still be refused, by a limit of its caller
        self._close_code, self._code = LOST, ""
        self._verdict: str | None = None

    def said(self, message: Message) -> None:
        metrics = self._metrics
        if isinstance(message, Segment):
            metrics.segment("live", message.verdict, None if message.latency_ms is None else message.latency_ms / 1000)
            self._hear()
        elif isinstance(message, Verdict):
            if not self._judged:
                self._judged = True
                metrics.first_verdict(time.monotonic() - self._began)
        elif isinstance(message, Ack):
            self._hear()
        elif isinstance(message, Error):
            metrics.error("live", message.code)
            if message.fatal and message.close_code is not None:
                self._close_code, self._code = message.close_code, message.code
        elif isinstance(message, Done):
            self._hear()
            self._close_code, self._verdict = NORMAL, message.verdict
            metrics.verdict("live", message.verdict)
        elif isinstance(message, Ready):
            self._ready(resumed=message.resume is not None)

    def ended(self) -> None:
        if not self._opened:
            return
        self._hear()
        self._metrics.session_ended(self._close_code)
        facts = {
            "session_id": self._session.id, "owner": self._principal.owner, "key_id": self._principal.key_id, "close_code": self._close_code,
            "code": self._code or None, "verdict": self._verdict, "audio_s": round((self._heard_ms - self._base_ms) / 1000, 3),
            "duration_s": round(time.monotonic() - self._began, 3),
        }  # fmt: skip
        log.info("session ended", extra={name: value for name, value in facts.items() if value is not None})

    def _ready(self, *, resumed: bool) -> None:
        logs.bind(session_id=self._session.id)  # this is the task of its connection
        self._close_code, self._code = LOST, ""
        if not self._opened:
            self._opened = True
            self._metrics.session_opened()
        if resumed:
            self._metrics.session_resumed()

    def _hear(self) -> None:
        heard_ms = self._session.received_ms
        self._metrics.heard("live", (heard_ms - self._heard_ms) / 1000)
        self._heard_ms = heard_ms


class FileTally:
    """The same for one file: `with FileTally(...) as tally: ...; tally.judged(...)`."""

    def __init__(self, metrics: Metrics, traces: Traces, size_bytes: int) -> None:
        self._metrics, self._traces, self._size_bytes = metrics, traces, size_bytes
        self._began = time.monotonic()
        self._decode_s: float | None = None

    def __enter__(self) -> FileTally:
        return self

    def judged(self, result: Result, decode_s: float) -> None:
        """It came to a result; `decode_s` is the time spent waiting for the decoder, spread over the whole."""
        self._decode_s = decode_s
        self._metrics.heard("file", result.done.duration_ms / 1000)
        for segment in result.segments:
            self._metrics.segment("file", segment.verdict)
        self._metrics.verdict("file", result.done.verdict)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._metrics.file(_outcome(exc), self._size_bytes, self._decode_s)
        if self._decode_s is not None:
            size = {"voxproof.file_bytes": self._size_bytes}
            self._traces.batch("decode", self._began, self._began + self._decode_s, size, [self._traces.mark()])


def _outcome(exc: BaseException | None) -> str:
    if exc is None:
        return "ok"
    if isinstance(exc, VoxproofError):
        return exc.code
    return Internal.code if isinstance(exc, Exception) else "cancelled"


def batches(metrics: Metrics, traces: Traces) -> Callable[[Batched], None]:
    """What the batcher tells each batch to."""

    def hear(done: Batched) -> None:
        metrics.batch(done.windows, done.ended - done.began, [(bulk, done.began - since) for bulk, since, _ in done.calls])
        facts = {"voxproof.windows": done.windows, "voxproof.callers": len(done.calls)}
        traces.batch("score", done.began, done.ended, facts, [mark for _, _, mark in done.calls])

    return hear


def present(streams: Streams, uploads: Gate, batcher: Batcher) -> dict[str, float]:
    """What is true now, for the gauges."""
    return {
        "streams": streams.open, "parked": streams.parked, "uploads": uploads.open, "waiting": batcher.waiting(), "busy": batcher.busy(),
        "draining": uploads.is_shut,
    }  # fmt: skip


@asynccontextmanager
async def watching(metrics: Metrics, traces: Traces) -> AsyncIterator[None]:
    """Both end after everything that tells them something."""
    try:
        yield
    finally:
        metrics.close()
        await asyncio.to_thread(traces.close)
