"""uvicorn's WebSocket protocol with one thing added: a peer that never reads cannot keep its socket once the application is done with it.

A close frame waits behind whatever the peer has not read, and a closing transport waits for its buffer; without an end to that, each such
peer would hold a file descriptor for as long as it likes. `voxproof serve` gives this class to uvicorn.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LINGER_S = 10.0


class WebSocketProtocol(WebSocketsSansIOProtocol):
    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        if not self.disconnected:
            self.loop.call_later(LINGER_S, self._abort)

    def _abort(self) -> None:
        if not self.disconnected:
            self.transport.abort()
