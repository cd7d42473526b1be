"""One live stream over any connection: reads and scores at the same time, so that pings are answered while the detector works.

`Stream` outlives its connection: when that breaks, the session is parked and a later connection takes it up where it was. Called by `streams`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Iterable

from app.core import wire
from app.core.errors import IdleTimeout, ShuttingDown, SlowReader, TakenOver, VoxproofError
from app.core.messages import Ack, Error, Message, Segment, Warning
from app.core.session import Session
from app.core.snapshot import Said
from app.scoring.batch import Batcher
from app.service.peers import Connection, Observer, Recalling
from app.service.quotas import Meter
from app.service.resume import Keeper
from app.status import STATUS

LIVE_BATCH = 8  # windows one stream may have in flight; a stream that keeps up has one per channel
LAGGING_EVERY_S = 10.0
REPLAY_MESSAGES = 2048  # kept for a resume: minutes of messages, against a resume window of one

log = logging.getLogger(__name__)


class Stream:
    """A session and the wall-clock facts around it. `run` serves one connection; one at a time."""

    def __init__(
        self, session: Session, batcher: Batcher, *, idle_timeout_s: float, send_timeout_s: float, lagging_ms: int,
        observers: tuple[Observer, ...] = (), keeper: Keeper | None = None, said: Iterable[Said] = (),
    ) -> None:  # fmt: skip
        """`said`: what another process has said for the session."""
        self.session, self.keeper = session, keeper
        self._observers = observers
        self.owner = ""  # whose principal opened it; nobody else may resume it
        self._batcher, self._idle_timeout_s, self._send_timeout_s, self._lagging_ms = batcher, idle_timeout_s, send_timeout_s, lagging_ms
        self._said: deque[Said] = deque(said, maxlen=REPLAY_MESSAGES)
        for observer in observers:
            if self._said and isinstance(observer, Recalling):
                observer.recalled(self._said)
        self._arrivals: deque[tuple[int, float]] = deque()  # (received_ms afterwards, when)
        self._asked_at = float("-inf")  # when the last text message came: finalize and stop make windows of audio that came long before
        self._lagging_said_at = float("-inf")
        self._latency_ms = 0
        self._wake, self._room, self._turn = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        self._ending: VoxproofError | None = None
        self._gone = self._scoring = self._leaving = self._told = False
        self.stays = False  # its peer would not resume it elsewhere
        self._runs = 0

    @property
    def name(self) -> tuple[str, str]:
        return self.owner, self.session.id

    @property
    def over(self) -> bool:
        """Whether the session has ended and its end was told."""
        return self.session.closed and not self._gone

    def ended(self) -> None:
        """Whoever keeps the stream lets it go."""
        for observer in self._observers:
            try:
                observer.ended()
            except Exception:
                log.exception("an observer failed")

    def take_over(self) -> None:
        """Ends the connection being served, if there is one; the next `run` waits until it has let go."""
        if self._turn.locked():
            self._end(TakenOver())

    def warn_of_end(self) -> None:
        if self._turn.locked() and not self._told and not self.session.closed:
            self._told = True
            self.session.warn(Warning(code="expiring", message="The server is shutting down: the session ends here soon; resume it elsewhere."))
            self._wake.set()

    def leave(self) -> None:
        """The server ends: what has been received is scored still, then the connection closes, for the client to resume elsewhere."""
        self.warn_of_end()
        if self._turn.locked() and self._ending is None and not self.session.closed:
            if self.stays:
                self.session.stop()  # its verdict now, or never
                self._wake.set()
                return
            self._leaving = True
            self._end(ShuttingDown())

    def hurry(self) -> None:
        """There is no time for what waits still."""
        self._leaving = False
        self._wake.set()

    def keep(self) -> Awaitable[bool]:
        """Puts the session on the shelf, as it is now. False: another server has it."""
        assert self.keeper is not None
        self._log_all()
        return self.keeper.keep(self._said)

    async def run(self, connection: Connection, *, resume_after: int | None = None, meter: Meter | None = None) -> VoxproofError | None:
        """Serves until the session closes (None or its failure) or this connection ends; `resume_after`: the last seq a resuming client has.

        Afterwards `over` tells whether the session is done with; if not, it can be resumed.
        """
        self._runs += 1
        own = self._runs
        async with self._turn:
            self._ending, self._gone, self._leaving = None, False, False
            self.stays = connection.abandoned
            if own != self._runs:  # while this one waited for its turn, another came
                self._ending = TakenOver()
                await self._say_ending(connection)
                return self._ending
            if resume_after is not None:
                self._arrivals.clear()  # the time without a connection is nobody's lag
                await self._say_again(connection, resume_after)
            tasks = [asyncio.create_task(self._read(connection, meter))]
            if self.keeper is not None:
                tasks.append(asyncio.create_task(self.keeper.run(lost=lambda: self._end(TakenOver()), nudge=self._wake.set)))
            try:
                await self._serve(connection, tasks[0])
            finally:
                tasks[0].cancel()
                if self.keeper is not None:
                    self.keeper.stop()
                await asyncio.gather(*tasks, return_exceptions=True)
        return self.session.failure if self.session.closed else self._ending

    async def _serve(self, connection: Connection, reader: asyncio.Task[None]) -> None:
        session = self.session
        while True:
            self._wake.clear()
            windows = session.windows(LIVE_BATCH)
            self._scoring = bool(windows)
            if windows:
                try:
                    scored = await self._batcher.score(windows)
                except VoxproofError as exc:
                    session.fail(exc)
                else:
                    for window, score in zip(windows, scored, strict=True):
                        session.scored(window, score)
            texts = self._log_all()
            if self.keeper is not None:
                self.keeper.offer(self._said, whole=not windows)
            await self._put(connection, texts)
            if not session.full:
                self._room.set()
            if session.closed or (self._ending is not None and not self._leaving) or ((self._gone or self._leaving) and not windows):
                break
            if not windows:
                if reader.done():
                    reader.result()  # it ends by itself only when the peer is gone; anything else is a bug of ours
                await self._wake.wait()
        if not session.closed:
            await self._say_ending(connection)

    async def _say_again(self, connection: Connection, last_seq: int) -> None:
        """`ready`, then what the peer has missed."""
        self._log_all()
        self.session.rejoin()
        missed = [text for seq, text in self._said if seq > max(1, last_seq)]
        await self._put(connection, [*self._log(self.session.messages()), *missed])

    async def _say_ending(self, connection: Connection) -> None:
        if self._ending is not None:
            # It belongs to this connection, not to the session: it takes no number, so that nothing is missed on a resume.
            await self._send(connection, [Error.of(self._ending, fatal=True).numbered(0)])

    async def _read(self, connection: Connection, meter: Meter | None) -> None:
        session = self.session
        heard_ms = session.received_ms
        try:
            while True:
                while session.full and not session.closed:
                    self._room.clear()
                    await self._room.wait()
                try:
                    async with asyncio.timeout(self._idle_timeout_s):
                        message = await connection.receive()
                except TimeoutError:
                    if self._scoring:
                        continue  # it is the peer that waits
                    raise IdleTimeout(f"Nothing was received for {self._idle_timeout_s:g} s.") from None
                if message is None:
                    self._gone = True
                    return
                if isinstance(message, str):
                    self._asked_at = time.monotonic()
                    session.receive_text(message)
                elif isinstance(message, bytes):
                    session.receive_bytes(message)
                elif isinstance(message, Warning):
                    session.intake.lost(message.range_ms)
                    session.warn(message)
                else:
                    session.complain(message)
                received_ms = session.received_ms
                if not self._arrivals or received_ms > self._arrivals[-1][0]:
                    self._arrivals.append((received_ms, time.monotonic()))
                self._wake.set()
                size_bytes = len(message) if isinstance(message, str | bytes) else 0
                if meter is not None and meter.heard(received_ms - heard_ms, size_bytes):
                    await meter.count()
                heard_ms = received_ms
        except VoxproofError as exc:
            self._end(exc)
        finally:
            self._wake.set()

    def _end(self, ending: VoxproofError) -> None:
        # Whoever lost the session to another connection must not park it, whatever else went wrong.
        if self._ending is None or isinstance(ending, TakenOver):
            self._ending = ending
        self._wake.set()

    async def _send(self, connection: Connection, messages: list[Message]) -> None:
        await self._put(connection, self._log(messages))

    def _log_all(self) -> list[str]:
        """Everything the session has to say; saying it may make it say that it lags."""
        texts = []
        while messages := self.session.messages():
            texts += self._log(messages)
        return texts

    def _log(self, messages: list[Message]) -> list[str]:
        """The texts of new messages, kept for a peer that misses them (as text: a message as an object takes ten times the room)."""
        texts = []
        for message in messages:
            self._complete(message)
            texts.append(wire.encode(message))
            for observer in self._observers:
                try:
                    observer.said(message)
                except Exception:  # a stream does not end because somebody else could not listen
                    log.exception("an observer failed")
            if message.seq > 1:
                self._said.append((message.seq, texts[-1]))
        return texts

    async def _put(self, connection: Connection, texts: list[str]) -> None:
        if self._gone:
            return
        try:
            for text in texts:
                async with asyncio.timeout(self._send_timeout_s):
                    await connection.send(text)
        except ConnectionError:
            self._gone = True
        except TimeoutError:
            # It cannot even be told.
            self._gone = True
            self._end(SlowReader())

    def _complete(self, message: Message) -> None:
        """Adds what the core cannot know: wall-clock fields and transport numbers."""
        if isinstance(message, Segment) and message.latency_ms is None:
            message.latency_ms = self._latency_ms = self._lag_ms(message)
            now = time.monotonic()
            if self._latency_ms > self._lagging_ms and now - self._lagging_said_at > LAGGING_EVERY_S:
                self._lagging_said_at = now
                self.session.warn(Warning(code="lagging", message=f"Verdicts come {self._latency_ms} ms late: the server is busy."))
                self._wake.set()
        elif isinstance(message, Ack) and message.lag_ms is None:  # one that is said again stays as it was
            message.lag_ms = self._latency_ms
        elif isinstance(message, Error):
            complete_error(message)

    def _lag_ms(self, segment: Segment) -> int:
        """Time since the last sample of the segment was received; or, for one that was asked for by finalize or stop, since then."""
        while len(self._arrivals) > 1 and self._arrivals[0][0] < segment.end_ms:
            self._arrivals.popleft()
        since = self._arrivals[0][1] if self._arrivals else time.monotonic()
        if segment.interim or segment.end_ms >= self.session.received_ms - 1:
            since = max(since, self._asked_at)
        return max(0, round((time.monotonic() - since) * 1000))


def complete_error(message: Error) -> Error:
    """Fills in the numbers of the status table."""
    status = STATUS[message.code]
    message.close_code, message.retryable = status.close, status.retryable
    return message
