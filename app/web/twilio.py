"""`WS /v1/twilio`: a phone call from Twilio Media Streams. Twilio's messages become a native stream's (`core.twilio`); nothing is sent back.

Twilio passes no headers of ours on, so the token is a parameter of the stream; it does not read answers, so verdicts are fetched with
`GET /v1/sessions/{id}` or come by webhook; and it never resumes, so a broken connection is the end of the call.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections import deque
from collections.abc import Iterator

from pydantic import SecretStr
from starlette.websockets import WebSocket

from app.core.errors import BadConfig, HandshakeTimeout, PeerError, TooManyErrors, Unauthorized, VoxproofError
from app.core.twilio import Call, Item, Opening, parse
from app.service.services import Services
from app.service.streams import NORMAL
from app.status import STATUS
from app.web.admission import admit, while_authorised
from app.web.stream import Socket, refuse_foreign

log = logging.getLogger(__name__)


async def twilio(websocket: WebSocket) -> None:
    """WS /v1/twilio."""
    services: Services = websocket.app.state.services
    settings = services.settings
    if await refuse_foreign(websocket, settings.allowed_origins):
        return
    await websocket.accept()
    socket = Socket(websocket, settings.max_frame_bytes)
    try:
        if settings.twilio_auth_token is not None and not is_signed(websocket, settings.twilio_auth_token):
            raise Unauthorized("The signature of Twilio is missing or not valid.")
        async with asyncio.timeout(settings.handshake_timeout_seconds):
            opened = await _opening(socket, settings.max_bad_messages)
        if opened is None:
            await socket.close(NORMAL)
            return
        opening, number = opened
        principal = await admit(websocket, "stream", opening.token)
    except (TimeoutError, VoxproofError) as exc:
        problem = exc if isinstance(exc, VoxproofError) else HandshakeTimeout()
        log.warning("a phone call was refused: %s (%s)", problem.code, problem.message)
        await socket.close(STATUS[problem.code].close)
        return
    line = Line(socket, Call(opening, number), replies=opening.replies)
    async with while_authorised(socket, services, principal):
        code = await services.streams.serve(line, opening.start, principal=principal)
    await socket.close(code)


class Line:
    """A call as `service.live.Connection`: it brings a native stream's messages, and what is sent goes nowhere unless it was asked for."""

    abandoned = True  # from the start: Twilio never comes back to a stream

    def __init__(self, socket: Socket, call: Call, *, replies: bool) -> None:
        self._socket, self._call, self._replies = socket, call, replies
        self._items: deque[Item] = deque()

    async def receive(self) -> Item | None:
        while not self._items:
            text = await self._socket.receive()
            if text is not None:
                self._items += self._call.receive(text)
            elif self._call.ended:
                return None
            else:  # somebody hung up without a word: what was heard is judged all the same
                self._replies = False
                self._items += self._call.end()
        return self._items.popleft()

    async def send(self, text: str) -> None:
        if text.startswith('{"type":"error"'):
            message = json.loads(text)
            log.warning("a phone call: %s (%s)", message["code"], message["message"])
        if self._replies:
            await self._socket.send(text)


async def _opening(socket: Socket, max_bad: int) -> tuple[Opening, int | None] | None:
    """What `start` asks for, and its number; None when the peer left or stopped first. Raises what makes the call hopeless."""
    bad = 0
    while (text := await socket.receive()) is not None:
        try:
            event = parse(text)
        except BadConfig:
            raise
        except PeerError:
            event = None
        if event is not None and event.event == "start":
            return Opening(event), event.sequenceNumber
        if event is not None and event.event == "stop":
            return None
        if event is None or event.event == "media":
            bad += 1
            if bad >= max_bad:
                raise TooManyErrors("Something else came instead of start.")
    return None


def is_signed(websocket: WebSocket, secret: SecretStr) -> bool:
    """Whether X-Twilio-Signature is Twilio's HMAC-SHA1 of this address, as some proxy may have changed it on the way."""
    given = websocket.headers.get("x-twilio-signature", "").encode("latin-1", "replace")
    key = secret.get_secret_value().encode()
    return any([hmac.compare_digest(signature(key, url), given) for url in _urls(websocket)])


def signature(key: bytes, url: str) -> bytes:
    return base64.b64encode(hmac.new(key, url.encode(), hashlib.sha1).digest())


def _urls(websocket: WebSocket) -> Iterator[str]:
    """What Twilio may have called us: it signs the address as it was written in the TwiML, of which a host and a path reach us."""
    headers, scope = websocket.headers, websocket.scope
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    query = scope.get("query_string", b"").decode("latin-1")
    for host in {headers.get("host", ""), headers.get("x-forwarded-host", "").rpartition(",")[2].strip()} - {""}:
        for name in {host, host.removesuffix(":443"), host.removesuffix(":80")}:
            for scheme in ("wss", "https", "ws", "http"):
                for end in ("", "/"):
                    yield f"{scheme}://{name}{path}{end}" + (f"?{query}" if query else "")
