"""WebSocket routes: `/v1/stream` (native) and the transport both routes share. They move messages; `service.streams` does the rest."""

from __future__ import annotations

import asyncio
import logging

from starlette.responses import PlainTextResponse
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from app.core import wire
from app.core.errors import BadUtf8, ForeignOrigin, FrameTooBig, VoxproofError
from app.service.access import Principal
from app.service.services import Services
from app.status import STATUS
from app.web.admission import admitted, while_authorised
from app.web.caller import caller_of

log = logging.getLogger(__name__)

CLOSE_PATIENCE_S = 5.0  # a peer that does not read cannot hold our close frame up for longer


class Socket:
    """A WebSocket as `service.live.Connection`."""

    def __init__(self, websocket: WebSocket, max_frame_bytes: int) -> None:
        self._websocket, self._max_frame_bytes = websocket, max_frame_bytes
        self._waiting: asyncio.Timeout | None = None
        self._interruption: VoxproofError | None = None
        self.abandoned = False

    async def receive(self) -> str | bytes | None:
        if self._websocket.client_state is not WebSocketState.CONNECTED:
            return None
        message = await self._next()
        if message["type"] == "websocket.disconnect":
            self.abandoned = message.get("code") == 1000
            return None
        # Both keys are looked at: `receive_bytes()` on a text frame is a bare KeyError.
        data: str | bytes | None = message.get("bytes")
        if data is None:
            data = str(message.get("text") or "")
        # Characters are at most as many as bytes; base64 and JSON are ASCII, so this is the size for all honest messages.
        if len(data) > self._max_frame_bytes:
            raise FrameTooBig(f"The message has {len(data)} bytes; the limit is {self._max_frame_bytes}.")
        if isinstance(data, str) and not data.isascii():
            try:
                data.encode()
            except UnicodeEncodeError:  # surrogates: see `protocol`
                raise BadUtf8() from None
        return data

    async def _next(self) -> Message:
        if self._interruption is None:
            try:
                async with asyncio.timeout(None) as self._waiting:
                    return await self._websocket.receive()
            except TimeoutError:
                if self._interruption is None:
                    raise
            finally:
                self._waiting = None
        raise self._interruption

    def interrupt(self, reason: VoxproofError) -> None:
        """What `receive` raises from now on, also where somebody waits in it."""
        self._interruption = reason
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def send(self, text: str) -> None:
        try:
            await self._websocket.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as exc:  # RuntimeError: starlette's word for "already closed"
            raise ConnectionError from exc

    async def close(self, code: int) -> None:
        try:
            async with asyncio.timeout(CLOSE_PATIENCE_S):
                await self._websocket.close(code)
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            log.debug("the peer was gone before the close frame")


async def stream(websocket: WebSocket) -> None:
    """WS /v1/stream."""
    services: Services = websocket.app.state.services
    if await refuse_foreign(websocket, services.settings.allowed_origins):
        return
    await websocket.accept(subprotocol=chosen_subprotocol(websocket))
    await serve(websocket, services)


async def serve(websocket: WebSocket, services: Services, first_text: str | None = None, principal: Principal | None = None) -> None:
    """Runs the native protocol on an accepted socket (`/ws` hands over here, with who was admitted, when its first text is a start)."""
    socket = Socket(websocket, services.settings.max_frame_bytes)
    try:
        start = None
        if principal is None:
            principal, first_text = await admitted(websocket, socket, "stream", waits="encoding" not in websocket.query_params)
        if first_text is None:
            start = wire.start_from_query(websocket.query_params)
    except ConnectionError:
        return
    except VoxproofError as exc:
        await socket.close(await services.streams.refuse(socket, exc))
        return
    async with while_authorised(socket, services, principal):
        code = await services.streams.serve(socket, start, first_text, principal)
    await socket.close(code)


def chosen_subprotocol(websocket: WebSocket) -> str | None:
    """`voxproof.v1` if the client offers it; never a `token.…` one."""
    return wire.PROTOCOL if wire.PROTOCOL in websocket.scope.get("subprotocols", []) else None


async def refuse_foreign(websocket: WebSocket, allowed: list[str]) -> bool:
    """Answers HTTP 403 before the upgrade when a page of another origin opens the socket; programs send no Origin."""
    caller = caller_of(websocket)
    websocket.state.address = caller.address  # for the log, also of who is refused
    if not caller.foreign or caller.origin in allowed or "*" in allowed:
        return False
    await websocket.send_denial_response(PlainTextResponse(ForeignOrigin.default_message, STATUS[ForeignOrigin.code].http))
    return True
