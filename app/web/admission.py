"""Admission of a WebSocket, after its handshake: by header, subprotocol, query, or the token in its first `start`; and its end with its key.

Called by `stream`, `compat` and `twilio`. Whatever is raised is spoken by them in their own shape.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

from starlette.websockets import WebSocket

from app.core.errors import AuthorisationExpired, HandshakeTimeout, PeerError, Unauthorized, VoxproofError
from app.service.access import Access, Principal, Scope
from app.service.services import Services
from app.web.caller import caller_of

SHORTEST_S = 0.05  # between two looks at a key that is about to end

log = logging.getLogger(__name__)


class Receiver(Protocol):
    async def receive(self) -> str | bytes | None: ...


class Interruptible(Protocol):
    def interrupt(self, reason: VoxproofError) -> None:
        """What `receive` raises from now on, also where somebody waits in it."""
        ...


async def admitted(websocket: WebSocket, socket: Receiver, scope: Scope, *, waits: bool = True) -> tuple[Principal, str | None]:
    """Who opened it; and its first text, which was read when nothing before it carried a key or token (`waits`: it may).

    Raises what `Access.admit` raises, HandshakeTimeout, and ConnectionError when the peer left.
    """
    services: Services = websocket.app.state.services
    caller = caller_of(websocket)
    if not waits or caller.secret is not None or caller.token is not None or not await services.access.required():
        return await admit(websocket, scope), None
    seconds = services.settings.token_timeout_seconds
    try:
        async with asyncio.timeout(seconds):
            message = await socket.receive()
    except TimeoutError:
        await _count_stranger(services, caller.address)
        raise HandshakeTimeout(f"Neither a key nor a start with a token came within {seconds:g} s.") from None
    if message is None:
        raise ConnectionError
    text = message if isinstance(message, str) and len(message) <= services.settings.max_frame_bytes else ""
    token = token_of(text)
    if token is None:
        await _count_stranger(services, caller.address)
        raise Unauthorized("This needs a key in a header, or a token: in the subprotocol, in the address, or in the start.")
    return await admit(websocket, scope, token), text


async def admit(websocket: WebSocket, scope: Scope, token: str | None = None) -> Principal:
    """As `Access.admit`, with a token that came by a message, if one did."""
    services: Services = websocket.app.state.services
    caller = caller_of(websocket)
    if token is not None and caller.secret is None and caller.token is None:
        caller = replace(caller, token=token)
    try:
        principal = await services.access.admit(caller, scope)
    except PeerError:
        await _count_stranger(services, caller.address)
        raise
    websocket.state.principal = principal
    return principal


async def _count_stranger(services: Services, address: str) -> None:
    """Whoever was not admitted counts against their address. Raises RateLimited."""
    (await services.quotas.stranger(address, "requests")).check()


def token_of(text: str) -> str | None:
    """The token of a `start`, if it is one and has one."""
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    token = content.get("token") if isinstance(content, dict) and content.get("type") == "start" else None
    return token if isinstance(token, str) else None


@asynccontextmanager
async def while_authorised(socket: Interruptible, services: Services, principal: Principal) -> AsyncIterator[None]:
    """Interrupts the socket when the key it was opened with is revoked or expires: a look now and then, and one at its end."""
    if principal.key_id is None:
        yield
        return
    watch = asyncio.create_task(_watch(socket, services.access, principal, services.settings.key_check_seconds))
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def _watch(socket: Interruptible, access: Access, principal: Principal, every_s: float) -> None:
    ends_at = principal.expires_at
    while True:
        left_s = every_s if ends_at is None else min(every_s, ends_at - time.time())
        await asyncio.sleep(max(left_s, SHORTEST_S))
        try:
            ends_at = await access.still(principal)
        except AuthorisationExpired as exc:
            socket.interrupt(exc)
            return
        except Exception:
            log.exception("the key of a live session could not be checked")
