"""One live stream of the generator: an asyncio protocol that sends pre-framed audio when told and notes when what came back.

Owned by `loads`; everything it learns stands in plain attributes.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from bench import frames
from bench.figures import FIRST_WINDOW_MS, FRAME_MS, HOP_MS, closing_frame, expected_segments

QUERY = "/v1/stream?encoding=pcm_s16le&sample_rate=16000&channels=1"
PING_EVERY_FRAMES = 20


class Stream(asyncio.Protocol):
    """`audio`: framed 100 ms pieces, shared by all streams; this one starts at piece `offset` and goes round."""

    def __init__(self, audio: list[bytes], offset: int = 0, resume: dict[str, Any] | None = None) -> None:
        self._audio, self._offset, self._resume = audio, offset, resume
        self._reader = frames.Reader()
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[bool] = loop.create_future()  # False: refused or broken
        self.first_segment: asyncio.Event = asyncio.Event()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.sent: list[float] = []
        self.lags: list[tuple[float, float]] = []  # (received at, lag in ms)
        self.server_latencies: list[int] = []
        self.round_trips: list[float] = []
        self.pings_open = 0
        self.segments = self.tail_segments = self.backlog = 0
        self.warnings: list[str] = []
        self.error: dict[str, Any] | None = None
        self.done: dict[str, Any] | None = None
        self.hello: dict[str, Any] = {}
        self.last_seq = 0
        self.close_code: int | None = None
        self.stopped = self.lost = False
        self.problem: str | None = None

    # --- what the loads call --------------------------------------------------------------------------------

    def send_next(self) -> None:
        """The next 100 ms, and now and then a ping."""
        count = len(self.sent)
        self.sent.append(time.monotonic())
        self._transport.write(self._audio[(self._offset + count) % len(self._audio)])
        if count % PING_EVERY_FRAMES == 0:
            self.pings_open += 1
            self._transport.write(frames.framed(frames.PING, repr(time.monotonic()).encode()))
        self.backlog = max(self.backlog, self._transport.get_write_buffer_size())

    def stop(self) -> None:
        self.stopped = True
        self._transport.write(frames.framed(frames.TEXT, b'{"type":"stop"}'))

    def abort(self) -> None:
        """As when the network goes away."""
        self._transport.abort()

    def bookmark(self) -> dict[str, Any]:
        """What another connection needs to go on with this session."""
        return {"session_id": self.hello["session_id"], "resume_token": self.hello["resume_token"], "last_seq": self.last_seq}

    @property
    def sending(self) -> bool:
        return not (self.lost or self.stopped) and self.error is None

    @property
    def expected(self) -> int:
        return expected_segments(len(self.sent) * FRAME_MS)

    # --- asyncio --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = transport.get_extra_info("peername")[:2]
        transport.write(frames.hello(host, port, QUERY if self._resume is None else "/v1/stream"))

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        upgraded = self._reader.status is not None
        try:
            for opcode, payload in self._reader.feed(data):
                self._take(opcode, payload, now)
        except (ValueError, KeyError, TypeError, IndexError) as exc:
            self.problem = f"{type(exc).__name__}: {exc}"
            self._transport.abort()
        if self._reader.status == 101 and not upgraded and self._resume is not None:
            resume = {name: self._resume[name] for name in ("session_id", "resume_token", "last_seq")}
            self._transport.write(frames.framed(frames.TEXT, json.dumps({"type": "start", "resume": resume}).encode()))
        if self._reader.status not in (None, 101):
            self.problem = f"HTTP {self._reader.status} instead of an upgrade"
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.ready.done():
            self.ready.set_result(False)
        if not self.closed.done():
            self.closed.set_result(None)

    def _take(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == frames.TEXT:
            self._message(json.loads(payload), now)
        elif opcode == frames.PONG:
            self.pings_open -= 1
            self.round_trips.append((now - float(payload)) * 1000)
        elif opcode == frames.PING:
            self._transport.write(frames.framed(frames.PONG, payload))
        elif opcode == frames.CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
            self._transport.write(frames.framed(frames.CLOSE, payload[:2]))
            self._transport.close()

    def _message(self, message: dict[str, Any], now: float) -> None:
        kind = message["type"]
        self.last_seq = max(self.last_seq, message.get("seq", 0))
        if kind == "segment":
            self._segment(message, now)
        elif kind == "ready":
            self.hello = message
            if not self.ready.done():
                self.ready.set_result(True)
        elif kind == "warning":
            self.warnings.append(message["code"])
        elif kind == "error":
            self.error = message
            if not self.ready.done():
                self.ready.set_result(False)
        elif kind == "done":
            self.done = message

    def _segment(self, message: dict[str, Any], now: float) -> None:
        self.first_segment.set()
        if (message["end_ms"] - FIRST_WINDOW_MS) % HOP_MS or message["end_ms"] > len(self.sent) * FRAME_MS:
            self.tail_segments += 1
            return
        self.segments += 1
        self.lags.append((now, (now - self.sent[closing_frame(message["end_ms"])]) * 1000))
        self.server_latencies.append(message["latency_ms"])
