"""The older contract of seed 003: `POST /analyze` and `WS /ws`, with its field names and its error shapes.

`/ws` takes one JSON message a file and answers each; it turns into the native protocol when its first text is a `start`.
Only `audio_data` is read: older pages call WebM `.wav`, and send data-URLs.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from app.core.b64 import decode_base64
from app.core.errors import BadJson, BadMessage, EmptyAudio, IdleTimeout, Internal, VoxproofError
from app.service.access import Principal
from app.service.services import OLDER_CONFIG, Services, TwoClass
from app.status import STATUS
from app.web.admission import admitted, while_authorised
from app.web.errors import headers_of, log
from app.web.stream import Socket, chosen_subprotocol, refuse_foreign, serve
from app.web.upload import read_audio


async def analyze(request: Request) -> Response:
    """POST /analyze: multipart `file` -> `{classification, confidence, raw_score}`; errors as `{detail, error, code}`, see `refusal`."""
    services: Services = request.app.state.services
    with services.uploads.enter():
        data = await read_audio(request, services.settings.max_upload_bytes, services.settings.max_upload_seconds)
        return JSONResponse((await _judged(services, data, request.state.principal)).content())


def refusal(request: Request, exc: VoxproofError) -> Response:
    text = _sentence(exc)
    return JSONResponse({"detail": text, "error": text, "code": exc.code}, STATUS[exc.code].http, headers_of(exc))


async def ws(websocket: WebSocket) -> None:
    """WS /ws."""
    services: Services = websocket.app.state.services
    settings = services.settings
    if await refuse_foreign(websocket, settings.allowed_origins):
        return
    await websocket.accept(subprotocol=chosen_subprotocol(websocket))
    socket = Socket(websocket, settings.max_message_bytes)
    try:
        with services.older_sockets.enter():
            principal, start = await admitted(websocket, socket, "stream")
            if start is None:
                async with while_authorised(socket, services, principal):
                    start = await _converse(socket, services, principal)
        if start is None:
            return
    except ConnectionError:
        return
    except (TimeoutError, VoxproofError) as exc:
        problem = exc if isinstance(exc, VoxproofError) else IdleTimeout()
        services.metrics.error("live", problem.code)
        await _say_goodbye(socket, problem)
        return
    await serve(websocket, services, start, principal)


async def _converse(socket: Socket, services: Services, principal: Principal) -> str | None:
    """One answer a message, until the peer leaves; or the first text, when it is a `start`."""
    settings, first = services.settings, True
    while True:
        async with asyncio.timeout(settings.older_idle_timeout_seconds):
            message = await socket.receive()
        if message is None:
            return None
        if first and isinstance(message, str) and len(message) <= settings.max_frame_bytes and _is_start(message):
            return message
        first = False
        await socket.send(json.dumps(await _answer(services, message, principal)))


async def _say_goodbye(socket: Socket, problem: VoxproofError) -> None:
    try:
        await socket.send(json.dumps({"error": _sentence(problem)}))
    except ConnectionError:
        return
    await socket.close(STATUS[problem.code].close)


async def _answer(services: Services, message: str | bytes, principal: Principal) -> dict[str, Any]:
    """The contract's answer to one message; a mistake is an answer too, and the socket stays open."""
    try:
        if isinstance(message, bytes):
            raise BadMessage("Send a JSON text message with the field audio_data.")
        (await services.quotas.request(principal, "requests")).check()
        with services.uploads.enter():
            return (await _judged(services, await asyncio.to_thread(_audio_of, message), principal)).content()
    except VoxproofError as exc:
        problem = exc
    except Exception:
        log.exception("a message on /ws failed")
        problem = Internal()
    services.metrics.error("live", problem.code)
    return {"error": _sentence(problem)}


async def _judged(services: Services, data: bytes, principal: Principal) -> TwoClass:
    return TwoClass.of(await services.check(data, OLDER_CONFIG, principal=principal))


def _audio_of(text: str) -> bytes:
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise BadJson() from None
    if not isinstance(content, dict) or not isinstance(content.get("audio_data"), str):
        raise BadMessage("The message needs a string field 'audio_data'.", field="audio_data")
    data = decode_base64(content["audio_data"], field="audio_data")
    if not data:
        raise EmptyAudio()
    return data


def _is_start(text: str) -> bool:
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("type") == "start"


def _sentence(exc: VoxproofError) -> str:
    return f"Failed to process audio: {exc.message}"
