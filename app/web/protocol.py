"""uvicorn's WebSocket protocol, hardened: against peers that never read, that send a million tiny frames, whose pong is late, whose text is none.

A close frame waits behind whatever the peer has not read, and a closing transport waits for its buffer; without an end to that, each such
peer would hold a file descriptor for as long as it likes. The event loop hands over a quarter of a megabyte at once and more, which is one
message of an honest client, or 40 000 empty frames and seconds of parsing while everybody else waits: so the parser gets it in slices. Text
that is not UTF-8 reaches the application with surrogates in it, which no valid text has: it answers `bad_utf8`, where uvicorn would log a
traceback and close without a word. `voxproof serve` gives this class to uvicorn.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.core.errors import ShuttingDown
from app.core.messages import Error
from app.core.wire import encode
from app.service.live import complete_error

LINGER_S = 10.0
SLICE_BYTES = 8192  # at least 60 ms of audio; at worst 1400 frames, some 30 ms of work


class WebSocketProtocol(WebSocketsSansIOProtocol):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._heard_at = 0.0
        self._held = bytearray()  # received, not yet given to the parser
        self._feeding = False  # `_feed` is on its way
        self._lingering: asyncio.TimerHandle | None = None

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        if not self.disconnected:
            self._lingering = self.loop.call_later(LINGER_S, self.transport.abort)

    def shutdown(self) -> None:
        """The server ends: uvicorn closes with 1012, and the peer hears why before that."""
        if self.handshake_complete and not self.close_sent and not self.transport.is_closing():
            self.conn.send_text(encode(complete_error(Error.of(ShuttingDown(), fatal=True)).numbered(0)).encode())
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._lingering is not None:
            self._lingering.cancel()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        if not self._held and len(data) <= SLICE_BYTES:
            super().data_received(data)
            return
        self._held += data
        if not self._feeding:
            self._feed()

    def _feed(self) -> None:
        """Gives the parser the next slice. What is left waits its turn, behind whatever else the event loop has to do."""
        self._feeding = False
        piece = bytes(self._held[:SLICE_BYTES])
        del self._held[:SLICE_BYTES]
        super().data_received(piece)
        self._go_on()

    def _go_on(self) -> None:
        """Feeds what is held, unless the application has messages to take first; reads on when nothing is held."""
        if self.transport.is_closing():
            self._held.clear()
        elif self._held:
            self.transport.pause_reading()
            if not self.read_paused and not self._feeding:
                self._feeding = True
                self.loop.call_soon(self._feed)
        elif not self.read_paused:
            self.transport.resume_reading()

    async def receive(self) -> ASGIReceiveEvent:
        message = await super().receive()
        if self._held:
            self._go_on()
        return message

    def keepalive_timeout(self) -> None:
        """A pong waits behind the audio before it, and under back-pressure that waits for us: who still sends, or would, is alive."""
        patience_s = self.ping_timeout or LINGER_S
        if self.read_paused or self._held or self.loop.time() - self._heard_at < patience_s:
            self.pong_timer = self.loop.call_later(patience_s, self.keepalive_timeout)
        else:
            super().keepalive_timeout()

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
        if self._held:
            self._go_on()  # after a close frame nobody receives any more, and the answer to it may be among what is held
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # it was refused with an HTTP answer; uvicorn would log that as an error of the application


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
