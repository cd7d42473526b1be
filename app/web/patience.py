"""uvicorn's HTTP protocol with limits on how long a connection may take to say what it wants, and on how much it may say.

uvicorn waits for ever for a request's first line and headers, so a thousand connections that send nothing, or a byte a minute, would hold a
thousand sockets. It also keeps headers and trailers of any size, and any number of requests that wait for the answer to the one before: a gigabyte
of memory for 16 MB of them. Time and size of a body are limited where it is read (`body`, `upload`). `voxproof serve` gives this class to uvicorn.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 << 10  # of a request line and headers, of trailers, of what stands beside the size of a chunk
MAX_PIPELINED = 16


class TooManyRequests(ValueError):
    """The parser stops at it, and uvicorn answers 400 and closes."""


class PatientProtocol(HttpToolsProtocol):
    patience_s = 15.0
    _waiting: asyncio.TimerHandle | None = None
    _idle_bytes = 0  # received since a head was complete, or a piece of a body came

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        if self.cycle is not None and self.cycle.response_complete:
            self._expect_head()  # a kept connection begins its next request
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._idle_bytes > MAX_HEAD_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._idle_bytes = 0
        if len(self.pipeline) >= MAX_PIPELINED:
            raise TooManyRequests
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._idle_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._idle_bytes = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.patience_s, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def patient(seconds: float) -> type[PatientProtocol]:
    """The protocol with this much patience: uvicorn takes a class, not an object."""
    return type("Http", (PatientProtocol,), {"patience_s": seconds})
