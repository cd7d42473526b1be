"""The WebSocket under a live client: `open_socket` gives one, and every way it can end is a `Closed`. The only file that knows `websockets`.

A test, or another transport, hands `stream.LiveClient` something else with the same three words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from app.core.wire import PROTOCOL

ABNORMAL = 1006
TRY_LATER = 1013

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
PING_INTERVAL_S, PING_TIMEOUT_S = 10.0, 20.0  # a dead line is noticed within the server's resume window of a minute
MAX_MESSAGE_BYTES = 16 << 20


class Closed(Exception):
    """The connection is over. `code` is the WebSocket close code, 1006 when there was none; `opened`: there had been a connection."""

    def __init__(self, code: int, reason: str, *, opened: bool = True) -> None:
        self.code, self.reason, self.opened = code, reason, opened
        super().__init__(f"{reason} ({code})")


class Refused(Exception):
    """The address is no use: not a WebSocket URL, or an answer that will be the same next time."""


class Socket(Protocol):
    async def send(self, data: str | bytes) -> None:
        """Returns when there is room for more. Raises Closed."""
        ...

    async def recv(self) -> str | bytes:
        """The next message. Raises Closed."""
        ...


@asynccontextmanager
async def open_socket(url: str, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
    """Raises Closed when no connection can be made, Refused when trying again cannot help."""
    try:
        connection = await connect(
            url, subprotocols=[Subprotocol(PROTOCOL)], compression=None, additional_headers=dict(headers), open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S, ping_interval=PING_INTERVAL_S, ping_timeout=PING_TIMEOUT_S, max_size=MAX_MESSAGE_BYTES,
        )  # fmt: skip
    except InvalidURI:
        raise Refused(f"{url} is not the address of a WebSocket (ws:// or wss://).") from None
    except InvalidStatus as exc:
        status = exc.response.status_code
        if status >= 500 or status == 429:
            raise Closed(TRY_LATER, f"the server answered HTTP {status}", opened=False) from None
        raise Refused(f"{url} answered HTTP {status}: there is no live stream at this address, or not for us.") from None
    except TimeoutError:
        raise Closed(ABNORMAL, f"no answer from {url} within {OPEN_TIMEOUT_S:g} s", opened=False) from None
    except (OSError, EOFError) as exc:
        raise Closed(ABNORMAL, f"no connection to {url}: {_words(exc)}", opened=False) from None
    except InvalidHandshake as exc:
        raise Refused(f"{url} does not speak WebSocket: {_words(exc)}.") from None
    try:
        yield _Socket(connection)
    finally:
        await connection.close()


class _Socket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, data: str | bytes) -> None:
        try:
            await self._connection.send(data)
        except ConnectionClosed as exc:
            raise _closed(exc) from None

    async def recv(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed as exc:
            raise _closed(exc) from None


def _closed(exc: ConnectionClosed) -> Closed:
    # What we sent counts only if it came first: our own 1011 for a ping that nobody answered.
    frame = exc.sent if exc.sent is not None and not exc.rcvd_then_sent else exc.rcvd
    if frame is None:
        return Closed(ABNORMAL, "the connection broke")
    return Closed(frame.code, frame.reason or "the server closed the connection")


def _words(exc: BaseException) -> str:
    """An exception as a reader wants it: `[Errno 111] Connect call failed ('127.0.0.1', 80)` is `connection refused`."""
    if isinstance(exc, ConnectionRefusedError):
        return "connection refused"
    return (getattr(exc, "strerror", None) or str(exc) or type(exc).__name__).rstrip(".")
