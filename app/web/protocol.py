"""uvicorn's WebSocket protocol, which lets go of a peer that never reads and leaves it to the application to speak about bad text.

A close frame waits behind whatever the peer has not read, and a closing transport waits for its buffer; without an end to that, each such
peer would hold a file descriptor for as long as it likes. Text that is not UTF-8 reaches the application with surrogates in it, which no valid text
has: it answers `bad_utf8`, where uvicorn would log a traceback and close without a word. `voxproof serve` gives this class to uvicorn.
"""

from __future__ import annotations

import asyncio

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LINGER_S = 10.0


class WebSocketProtocol(WebSocketsSansIOProtocol):
    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        if not self.disconnected:
            self.loop.call_later(LINGER_S, self._abort)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "bytes" or self.close_sent or _is_utf8(data := b"".join(self.frames)):
            super().send_receive_event_to_app()
            return
        self.frames = []
        self.queue.put_nowait({"type": "websocket.receive", "text": data.decode(errors="surrogateescape")})
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # it was refused with an HTTP answer; uvicorn would log that as an error of the application

    def _abort(self) -> None:
        if not self.disconnected:
            self.transport.abort()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
