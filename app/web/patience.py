"""uvicorn's HTTP protocol with a limit on how long a connection may take to say what it wants.

uvicorn waits for ever for a request's first line and headers, so a thousand connections that send nothing, or a byte a minute, would hold a
thousand sockets. The time for a body is limited where it is read (`upload`). `voxproof serve` gives this class to uvicorn.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PatientProtocol(HttpToolsProtocol):
    patience_s = 15.0
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        if self.cycle is not None and self.cycle.response_complete:
            self._expect_head()  # a kept connection begins its next request
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

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
