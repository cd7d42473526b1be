"""All live streams of this process: handshake, admission, and the sessions that wait to be resumed. Called by the WebSocket routes.

A connection ends in exactly one of three ways for its session: over, parked for `resume_window_seconds`, or taken by another connection. With
Redis (`resume`), a session may also be taken by another server: by its client, when this one ends or cannot be reached.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from weakref import WeakValueDictionary

from app.core import wire
from app.core.errors import (
    BadConfig,
    FormatUnknown,
    HandshakeTimeout,
    Internal,
    LimitsUnavailable,
    NotReady,
    QuotaExceeded,
    RateLimited,
    ShuttingDown,
    TakenOver,
    TooManyErrors,
    UnknownSession,
    VoxproofError,
)
from app.core.messages import Error, Limits
from app.core.session import Session
from app.core.snapshot import BadSnapshot, Said, restored
from app.core.terms import Model
from app.scoring.batch import Batcher
from app.service.access import Principal
from app.service.limits import Gate
from app.service.live import Stream, complete_error
from app.service.peers import Connection, Observer, Received
from app.service.quotas import Quotas
from app.service.resume import Keeper, Shelf, key_of, new_holder
from app.settings import Settings
from app.status import STATUS

NORMAL = 1000

Name = tuple[str, str]  # owner and id: nobody learns by a clash which ids others use
MARGIN_S = 3.0  # for snapshots and close frames, when the time of a drain is up
MOST_UNKEPT = 10_000  # messages a client may have heard that the snapshot of its session does not hold

log = logging.getLogger(__name__)

Observe = Callable[[Principal, Session], Observer]  # one observer a session, made when it is opened or taken up here
ANYBODY = Principal()


class Streams:
    """`serve` takes a connection from its first message to its close code."""

    def __init__(
        self, model: Model, batcher: Batcher, gate: Gate, settings: Settings, observe: tuple[Observe, ...] = (), quotas: Quotas | None = None,
        shelf: Shelf | None = None, refused: Callable[[str], None] = lambda code: None,
    ) -> None:  # fmt: skip
        """`refused` hears the code of each connection that came to no session."""
        self._refused = refused
        self._shelf = shelf
        self._resuming: WeakValueDictionary[Name, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Future[object]] = set()
        self._observe, self._quotas = observe, quotas or Quotas(settings)
        self._model, self._batcher, self._gate, self._settings = model, batcher, gate, settings
        self._limits = Limits(
            max_session_seconds=settings.max_session_seconds, idle_timeout_seconds=settings.idle_timeout_seconds,
            max_frame_bytes=settings.max_frame_bytes, max_buffer_seconds=settings.max_buffer_seconds,
        )  # fmt: skip
        self._streams: dict[Name, Stream] = {}
        self._parked: dict[Name, asyncio.TimerHandle] = {}

    @property
    def open(self) -> int:
        return self._gate.open

    @property
    def parked(self) -> int:
        return len(self._parked)

    async def serve(self, connection: Connection, start: wire.Start | None, first_text: str | None = None, principal: Principal = ANYBODY) -> int:
        """Serves one connection; `start` is known when the query named the format. Gives the code to close it with."""
        try:
            if start is None:
                start = await self._handshake(connection, first_text)
                if start is None:
                    return NORMAL
            # A session that is here already, with a connection or waiting for one, is not one more.
            here = start.resume is not None and (principal.owner, start.resume.session_id) in self._streams
            with self._gate.enter(instead=here, back=start.resume is not None):
                return await self._converse(connection, start, principal)
        except VoxproofError as exc:
            return await self.refuse(connection, exc)
        except Exception:
            log.exception("a live stream failed")
            return await self.refuse(connection, Internal())

    async def refuse(self, connection: Connection, problem: VoxproofError) -> int:
        """Says why the connection ends, if the peer still listens; gives the close code."""
        self._refused(problem.code)
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(self._settings.send_timeout_seconds):
                await connection.send(wire.encode(complete_error(Error.of(problem, fatal=True)).numbered(1)))
        return STATUS[problem.code].close

    async def _handshake(self, connection: Connection, text: Received | None) -> wire.Start | None:
        """The first `start` of a client; None when it left or said stop. Raises what makes the connection hopeless."""
        bad = 0
        try:
            async with asyncio.timeout(self._settings.handshake_timeout_seconds):
                while True:
                    if text is None:
                        text = await connection.receive()
                    if text is None:
                        return None
                    if not isinstance(text, str):
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

    async def drain(self, deadline: float) -> None:
        """Sends every live session elsewhere before `deadline` (of the loop's clock), and lets nobody in.

        With snapshots they go at once: what they have sent is scored, the snapshot stored, then the connection closed. Where no other server could
        go on with them (there are no snapshots, or the peer is a telephone network, which never comes back) they are told, and go on until then.
        """
        self._gate.shut()
        now = asyncio.get_running_loop().time()
        end_by = deadline - min(MARGIN_S, (deadline - now) / 4)
        staying = [stream for stream in self._streams.values() if self._shelf is None or stream.stays]
        for stream in self._streams.values():
            stream.warn_of_end() if stream in staying else stream.leave()
        if staying:
            await self._emptied(end_by)
        for stream in [*self._streams.values()]:
            stream.leave()
        await self._emptied(end_by)
        for stream in [*self._streams.values()]:
            stream.hurry()
        await self._gate.emptied()
        await asyncio.gather(*self._tasks)

    async def _emptied(self, end_by: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end_by):
                await self._gate.emptied()

    async def _converse(self, connection: Connection, start: wire.Start, principal: Principal) -> int:
        stream = self._opened(start, principal) if start.resume is None else await self._resumed(start.resume, principal)
        try:
            async with self._quotas.stream(principal, stream.session.id) as meter:
                ending = await stream.run(connection, resume_after=start.resume.last_seq if start.resume else None, meter=meter)
        except (RateLimited, QuotaExceeded, LimitsUnavailable):  # a limit of the caller, before the stream began; who was waiting goes on waiting
            self._forget(stream) if start.resume is None else self._park(stream)
            raise
        except BaseException:
            self._forget(stream)  # a bug of ours, or this task was cancelled: windows may be lost, so nobody can go on with it
            raise
        if isinstance(ending, TakenOver):
            if stream.keeper is not None and stream.keeper.lost:
                self._forget(stream)  # it belongs to another server now,
            # or to another connection
        elif stream.over or connection.abandoned:
            self._forget(stream)
            if stream.keeper is not None:
                self._later(stream.keeper.let_go())
        elif isinstance(ending, ShuttingDown) and stream.keeper is not None:
            await stream.keep()  # before the client hears that it is to go
            self._forget(stream)
        else:
            self._park(stream)
        return NORMAL if ending is None else STATUS[ending.code].close

    def _opened(self, start: wire.Start, principal: Principal) -> Stream:
        session_id = start.session_id or secrets.token_hex(16)
        if (principal.owner, session_id) in self._streams:
            raise BadConfig("A session of this id is open already.", field="session_id")
        session = Session(
            session_id, secrets.token_urlsafe(24), self._model, self._limits, start, max_bad_messages=self._settings.max_bad_messages,
            portable=self._shelf is not None,
        )  # fmt: skip
        return self._stream(session, principal, new_holder())

    def _stream(self, session: Session, principal: Principal, holder: bytes, said: Sequence[Said] = ()) -> Stream:
        settings, shelf = self._settings, self._shelf
        keeper = Keeper(shelf, key_of(principal.owner, session.id, session.resume_token), holder, session) if shelf is not None else None
        stream = Stream(
            session, self._batcher, idle_timeout_s=settings.idle_timeout_seconds, send_timeout_s=settings.send_timeout_seconds,
            lagging_ms=settings.lagging_ms, observers=tuple(observe(principal, session) for observe in self._observe), keeper=keeper, said=said,
        )  # fmt: skip
        stream.owner = principal.owner
        self._streams[stream.name] = stream
        return stream

    async def _resumed(self, resume: wire.Resume, principal: Principal) -> Stream:
        """The session of this process, or of the snapshot, whichever has gone further. Raises UnknownSession."""
        if self._shelf is None:
            return self._taken_up(self._known(resume, principal))
        name = principal.owner, resume.session_id
        async with self._resuming.setdefault(name, asyncio.Lock()):  # of several connections at once, one asks the store
            try:
                stream = self._known(resume, principal)
            except UnknownSession:
                pass
            else:
                assert stream.keeper is not None
                if await stream.keeper.reclaim() is None and self._streams.get(stream.name) is stream:
                    return self._taken_up(stream)
                stream.take_over()  # another server has gone on with it: what is here is old. Or it was given up while we asked
                self._forget(stream)
            holder = new_holder()
            held = await self._shelf.seize(key_of(principal.owner, resume.session_id, resume.resume_token), holder)
            if held is None or name in self._streams:
                raise UnknownSession()
            return self._restored(held.value, holder, resume, principal)

    def _restored(self, data: bytes, holder: bytes, resume: wire.Resume, principal: Principal) -> Stream:
        try:
            session, said = restored(data, self._model, self._limits, resume.resume_token, max_bad_messages=self._settings.max_bad_messages)
            if session.id != resume.session_id:
                raise BadSnapshot("it is of another session")
        except BadSnapshot as exc:
            log.warning("a snapshot cannot be used: %s", exc)
            raise UnknownSession() from None
        # The server that was killed may have said more than its snapshot holds. Those messages come again, with new numbers.
        session.counters.seq = max(session.counters.seq, min(resume.last_seq, session.counters.seq + MOST_UNKEPT))
        return self._stream(session, principal, holder, said)

    def _known(self, resume: wire.Resume, principal: Principal) -> Stream:
        stream = self._streams.get((principal.owner, resume.session_id))
        # Compared in any case, so that the time taken does not tell whether the id exists.
        token = stream.session.resume_token if stream else secrets.token_urlsafe(24)
        if not hmac.compare_digest(token.encode(), resume.resume_token.encode()) or stream is None:
            raise UnknownSession()
        return stream

    def _taken_up(self, stream: Stream) -> Stream:
        if timer := self._parked.pop(stream.name, None):
            timer.cancel()
        stream.take_over()
        return stream

    def _park(self, stream: Stream) -> None:
        if self._streams.get(stream.name) is not stream:
            return  # it was given up for a newer state of the session
        if stream.keeper is not None:
            self._later(stream.keep())
        if not self._settings.max_parked:
            self._forget(stream)
            return
        while len(self._parked) >= self._settings.max_parked:
            self._forget(self._streams[next(iter(self._parked))])
        later = asyncio.get_running_loop().call_later(self._settings.resume_window_seconds, self._forget, stream)
        self._parked[stream.name] = later

    def _forget(self, stream: Stream) -> None:
        """This process is done with it."""
        if self._streams.get(stream.name) is not stream:
            return
        del self._streams[stream.name]
        if timer := self._parked.pop(stream.name, None):
            timer.cancel()
        stream.ended()

    def _later(self, work: Awaitable[object]) -> None:
        """What need not be waited for; `drain` does."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
