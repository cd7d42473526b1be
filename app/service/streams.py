"""All live streams of this process: handshake, admission, and the sessions that wait to be resumed. Called by the WebSocket routes.

A connection ends in exactly one of three ways for its session: over, parked for `resume_window_seconds`, or taken by another connection.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from contextlib import suppress

from app.core import wire
from app.core.errors import (
    BadConfig,
    FormatUnknown,
    HandshakeTimeout,
    Internal,
    NotReady,
    TakenOver,
    TooManyErrors,
    UnknownSession,
    VoxproofError,
)
from app.core.messages import Error, Limits
from app.core.session import Session
from app.core.terms import Model
from app.scoring.batch import Batcher
from app.service.limits import Gate
from app.service.live import Connection, Stream, complete_error
from app.settings import Settings
from app.status import STATUS

NORMAL = 1000

log = logging.getLogger(__name__)


class Streams:
    """`serve` takes a connection from its first message to its close code."""

    def __init__(self, model: Model, batcher: Batcher, gate: Gate, settings: Settings) -> None:
        self._model, self._batcher, self._gate, self._settings = model, batcher, gate, settings
        self._limits = Limits(
            max_session_seconds=settings.max_session_seconds, idle_timeout_seconds=settings.idle_timeout_seconds,
            max_frame_bytes=settings.max_frame_bytes, max_buffer_seconds=settings.max_buffer_seconds,
        )  # fmt: skip
        self._streams: dict[str, Stream] = {}
        self._parked: dict[str, asyncio.TimerHandle] = {}

    @property
    def open(self) -> int:
        return self._gate.open

    @property
    def parked(self) -> int:
        return len(self._parked)

    async def serve(self, connection: Connection, start: wire.Start | None, first_text: str | None = None) -> int:
        """Serves one connection; `start` is known when the query named the format. Gives the code to close it with."""
        try:
            if start is None:
                start = await self._handshake(connection, first_text)
                if start is None:
                    return NORMAL
            with self._gate.enter(instead=self._takes_over(start)):
                return await self._converse(connection, start)
        except VoxproofError as exc:
            return await self.refuse(connection, exc)
        except Exception:
            log.exception("a live stream failed")
            return await self.refuse(connection, Internal())

    async def refuse(self, connection: Connection, problem: VoxproofError) -> int:
        """Says why the connection ends, if the peer still listens; gives the close code."""
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(self._settings.send_timeout_seconds):
                await connection.send(wire.encode(complete_error(Error.of(problem, fatal=True)).numbered(1)))
        return STATUS[problem.code].close

    async def _handshake(self, connection: Connection, text: str | bytes | None) -> wire.Start | None:
        """The first `start` of a client; None when it left or said stop. Raises what makes the connection hopeless."""
        bad = 0
        try:
            async with asyncio.timeout(self._settings.handshake_timeout_seconds):
                while True:
                    if text is None:
                        text = await connection.receive()
                    if text is None:
                        return None
                    if isinstance(text, bytes):
                        raise FormatUnknown()
                    try:
                        message = wire.parse(text)
                        if isinstance(message, wire.Start):
                            return message
                        if isinstance(message, wire.Stop):
                            return None
                        if not isinstance(message, wire.Keepalive):
                            raise NotReady("The first message must be start.")
                    except BadConfig:
                        raise
                    except VoxproofError as exc:
                        bad += 1
                        if bad >= self._settings.max_bad_messages:
                            raise TooManyErrors() from None
                        await connection.send(wire.encode(complete_error(Error.of(exc, fatal=False)).numbered(1)))
                    text = None
        except TimeoutError:
            raise HandshakeTimeout() from None
        except ConnectionError:
            return None

    async def _converse(self, connection: Connection, start: wire.Start) -> int:
        stream = self._opened(start) if start.resume is None else self._resumed(start.resume)
        try:
            ending = await stream.run(connection, resume_after=start.resume.last_seq if start.resume else None)
        except BaseException:
            self._forget(stream.session.id)  # a bug of ours, or this task was cancelled: windows may be lost, so nobody can go on with it
            raise
        if isinstance(ending, TakenOver):
            pass  # it belongs to the other connection now
        elif stream.over or connection.abandoned:
            self._forget(stream.session.id)
        else:
            self._park(stream)
        return NORMAL if ending is None else STATUS[ending.code].close

    def _takes_over(self, start: wire.Start) -> bool:
        """Whether it names a session that has a connection now. Whether it may have it, `_resumed` says."""
        return start.resume is not None and start.resume.session_id in self._streams.keys() - self._parked.keys()

    def _opened(self, start: wire.Start) -> Stream:
        session_id = start.session_id or secrets.token_hex(16)
        if session_id in self._streams:
            raise BadConfig("A session of this id is open already.", field="session_id")
        settings = self._settings
        session = Session(
            session_id, secrets.token_urlsafe(24), self._model, self._limits, start, max_bad_messages=settings.max_bad_messages
        )
        stream = Stream(
            session, self._batcher, idle_timeout_s=settings.idle_timeout_seconds, send_timeout_s=settings.send_timeout_seconds,
            lagging_ms=settings.lagging_ms,
        )  # fmt: skip
        self._streams[session_id] = stream
        return stream

    def _resumed(self, resume: wire.Resume) -> Stream:
        stream = self._streams.get(resume.session_id)
        # Compared in any case, so that the time taken does not tell whether the id exists.
        token = stream.session.resume_token if stream else secrets.token_urlsafe(24)
        if not hmac.compare_digest(token.encode(), resume.resume_token.encode()) or stream is None:
            raise UnknownSession()
        if timer := self._parked.pop(resume.session_id, None):
            timer.cancel()
        stream.take_over()
        return stream

    def _park(self, stream: Stream) -> None:
        if not self._settings.max_parked:
            self._forget(stream.session.id)
            return
        while len(self._parked) >= self._settings.max_parked:
            self._forget(next(iter(self._parked)))
        later = asyncio.get_running_loop().call_later(self._settings.resume_window_seconds, self._forget, stream.session.id)
        self._parked[stream.session.id] = later

    def _forget(self, session_id: str) -> None:
        if timer := self._parked.pop(session_id, None):
            timer.cancel()
        self._streams.pop(session_id, None)
