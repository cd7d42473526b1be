"""The state machine of one stream: bytes and messages in, windows to score and messages out. No I/O, no clock; every transport drives it.

    session.receive_text(text) / receive_bytes(data) / stop()       what the client sent
    for window in session.windows(limit): session.scored(window, scorer(window))
    for message in session.messages(): send(wire.encode(message))

Windows may be scored late, in batches, on any thread; results may come in any order, messages leave in media order all the same.
A client's mistake becomes an `error` message and the session goes on; the twentieth, or a fatal one, sets `failure` and ends it.
"""

from __future__ import annotations

from app.core import wire
from app.core.b64 import decode_base64
from app.core.counters import Counters
from app.core.errors import NonFiniteAudio, NotReady, Overrun, PeerError, SessionTooLong, TooManyErrors, VoxproofError
from app.core.intake import Intake
from app.core.messages import Ack, Done, Error, Finalized, Limits, Message, Resumed, Updated, Warning
from app.core.quality import measure
from app.core.steps import Command, End, Step, Steps
from app.core.terms import Model, Terms
from app.core.track import Track, conclude_all
from app.core.windows import Scored, Span, Window

MAX_ORDERS = 64  # finalize and update messages in line; a client that sends more at once waits as it does for audio
EXPIRING_MS = 60_000  # how long before its end a session hears of it


class Session:
    """Raises BadConfig or FormatUnknown when `start` cannot be honoured; afterwards only `failure` tells of an end that was not asked for."""

    def __init__(
        self, session_id: str, resume_token: str, model: Model, limits: Limits, start: wire.Start, *,
        max_bad_messages: int = 20, portable: bool = False,
    ) -> None:  # fmt: skip
        """`portable`: `snapshot` may be asked for what another process needs to go on."""
        self.terms = terms = Terms(model, start)
        audio = terms.audio
        self.id, self.resume_token = session_id, resume_token
        self.failure: VoxproofError | None = None
        self.closed = False
        self._limits = limits
        form = (audio.encoding, audio.sample_rate, audio.channels, terms.config.channel_mode)
        self.intake: Intake[Command] = Intake(*form, terms.layout, portable=portable)
        self.tracks = [Track(c, terms.label(c), terms.layout.memory(), model) for c in range(self.intake.tracks)]
        self.counters, self.processed = Counters(), 0
        self.safe_ms: int | None = None  # up to where the session can be taken up again if this process dies; None: that is not provided for
        self.anew = False  # it came from another process, and the scorer's memory is still empty
        self._steps = Steps()
        self._out: list[Message] = []
        self._max_bad, self._max_frames = max_bad_messages, limits.max_session_seconds * audio.sample_rate
        self._stopping = self._late_said = False
        self._greet()

    # --- in -------------------------------------------------------------------------------------------------

    def receive_text(self, text: str) -> None:
        """One text message of the client, of any kind but a resume."""
        try:
            message = wire.parse(text)
            if isinstance(message, wire.Stop):
                self.stop()
            elif isinstance(message, wire.AudioData):
                self.receive_bytes(decode_base64(message.data, field="data"))
            elif isinstance(message, wire.Start):
                raise NotReady("The session has started already.")
            elif not isinstance(message, wire.Keepalive):
                self._order(message)
        except PeerError as exc:
            self.complain(exc)

    def receive_bytes(self, data: bytes) -> None:
        """Raw audio in the format of `start`, any number of bytes."""
        if self.closed:
            return
        if self._stopping:
            if not self._late_said:  # once, and not counted: a recorder goes on a little after stop
                self._late_said = True
                self._say(Error.of(NotReady("Audio came after the end; it is not used."), fatal=False))
            return
        self.counters.bytes += len(data)
        self.counters.pieces += 1
        fitting = self.intake.room(data, self._max_frames)
        if self.intake.push(fitting):
            self.complain(NonFiniteAudio())
        if len(fitting) < len(data):
            self._stopping = True
            self.intake.order(End(SessionTooLong(f"A session carries at most {self._limits.max_session_seconds} s of audio; start a new one.")))
        self._expiring()
        self._overflow()
        if self.closed:
            return
        received_s = self.received_ms // 1000
        if received_s > self.counters.acked_s:
            self.counters.acked_s = received_s
            self._say(self._ack())

    def stop(self) -> None:
        """The client's end of the stream. Asking twice is harmless."""
        if not self._stopping and not self.closed:
            self._stopping = True
            self.intake.order(End())

    def fail(self, failure: VoxproofError) -> None:
        """Ends the session now, with an error message; audio not scored yet is given up."""
        if not self.closed:
            self.failure, self.closed = failure, True
            self._steps.clear()
            self._say(Error.of(failure, fatal=True))

    def warn(self, warning: Warning) -> None:
        """A warning from outside (decoding, lag) takes its place among the messages."""
        self._say(warning)

    # --- windows --------------------------------------------------------------------------------------------

    def windows(self, limit: int = 8) -> list[Window]:
        """The next windows to score, about `limit` of them at most; each is handed out once. Empty: more audio is needed first."""
        out: list[Window] = []
        while len(out) < limit and not self.closed:
            span = self.intake.next_span()
            if span is not None:
                out += self._open(span)
                continue
            taken = self.intake.take()
            if taken is False:
                break
            if isinstance(taken, End):
                out += self._open_tail()
            if taken is not True:
                if isinstance(taken, wire.Finalize):
                    span = self.intake.rest_span(at_end=False)
                    out += self._open(span, interim=True) if span else []
                if isinstance(taken, wire.Update):
                    self.terms.update(taken.config)
                self._steps.add(Step(self.terms.config, command=taken, as_of_ms=self.intake.model_ms(self.intake.ring.end)))
        self._advance()
        return out

    def scored(self, window: Window, scored: Scored) -> None:
        """The scorer's answer for a window handed out earlier."""
        self._steps.score(window, scored)
        self._advance()

    def messages(self) -> list[Message]:
        """What is to be sent now, in order, once."""
        out, self._out = self._out, []
        return out

    # --- resume ---------------------------------------------------------------------------------------------

    def rejoin(self) -> None:
        """A new connection takes the session over: `ready` comes again, as message 1. Whoever sends the messages says the missed ones again."""
        now = {"config": self.terms.applied_config(self.terms.config), "resume": Resumed(accepted=True, continue_from_ms=self.intake.rejoin())}
        ready = self._ready.model_copy(update=now)
        self._out.insert(0, ready)

    # --- facts ----------------------------------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether no window or command is between being handed out and being answered: only then there is a state to copy."""
        return not len(self._steps)

    @property
    def received_ms(self) -> int:
        return self.intake.ms(self.intake.received_frames)

    @property
    def processed_ms(self) -> int:
        """Media time up to which every window has been scored and answered."""
        return self.intake.model_ms(self.processed)

    @property
    def buffered_ms(self) -> int:
        return max(0, self.received_ms - self.processed_ms)

    @property
    def full(self) -> bool:
        """Whether more audio should wait outside (the buffer's limit is reached)."""
        return self._brimful or self.intake.waiting_orders >= MAX_ORDERS

    @property
    def _brimful(self) -> bool:
        return self.intake.waiting_frames >= self._limits.max_buffer_seconds * self.intake.rate

    def _greet(self) -> None:
        self._ready = self.terms.ready(self.id, self.resume_token, self._limits)
        self._say(self._ready)
        if unknown := self._ready.unknown_fields:
            self._say(Warning(code="unknown_field", message="Not understood and ignored: " + ", ".join(unknown)[:400] + "."))

    def _order(self, message: wire.Finalize | wire.Update) -> None:
        if self._stopping:
            raise NotReady("The session is ending.")
        if isinstance(message, wire.Update):
            self.terms.check_update(message.config)
        self.intake.order(message)

    def _open(self, span: Span, *, interim: bool = False) -> list[Window]:
        windows = self._remembered(span) if self.anew else []
        for track in self.tracks:
            window = Window(track.channel, span, self.intake.ring.read(track.channel, span.read_from, span.read_to), track.memory, interim)
            newest = self.intake.ring.read(track.channel, span.since, span.end)
            bandwidth = self.terms.config.detail == "full" or track.wants_bandwidth
            quality = measure(newest, self.intake.layout.rate, bandwidth=bandwidth)
            self._steps.add(Step(self.terms.config, window, quality))
            windows.append(window)
        return windows

    def _remembered(self, span: Span) -> list[Window]:
        """Windows that were answered long ago: the scorer hears them for its memory, and what it says is not used."""
        self.anew, read = False, self.intake.ring.read
        return [Window(t.channel, s, read(t.channel, s.read_from, s.read_to), t.memory) for s in self.intake.layout.again(span) for t in self.tracks]

    def _open_tail(self) -> list[Window]:
        self.intake.flush()
        windows: list[Window] = []
        while span := self.intake.next_span() or self.intake.rest_span(at_end=True):
            windows += self._open(span)
        return windows

    def _advance(self) -> None:
        for step in self._steps.due():
            if step.window is not None:
                self._hear(step, step.window)
            elif isinstance(step.command, wire.Finalize):
                done = Finalized(as_of_ms=step.as_of_ms)
                if step.command.id is not None:
                    done.id = step.command.id
                self._say(done)
            elif isinstance(step.command, wire.Update):
                self._say(Updated(config=self.terms.applied_config(step.config)))
            elif isinstance(step.command, End):
                self._finish(step.config, step.command.failure)

    def _hear(self, step: Step, window: Window) -> None:
        assert step.scored is not None and step.quality is not None
        track, span = self.tracks[window.channel], window.span
        # The resampler may round the last sample up; media time never passes the audio's own end.
        start_ms, end_ms = self.intake.model_ms(span.start), min(self.intake.model_ms(span.end), self.received_ms)
        point = self.terms.point(step.config)
        if window.interim:
            self._say(track.look(span, start_ms, end_ms, step.scored, step.quality, step.config, point))
            return
        for message in track.hear(span, start_ms, end_ms, step.scored, step.quality, step.config, point):
            self._say(message)
        if window.channel == len(self.tracks) - 1:
            self.processed = span.end

    def _finish(self, config: wire.Config, failure: VoxproofError | None) -> None:
        if failure is not None:
            self.failure = failure
            self._say(Error.of(failure, fatal=True))
        top, channels, ranges = conclude_all(self.tracks, self.terms.point(config), self.received_ms)
        done = Done(
            session_id=self.id, duration_ms=self.received_ms, speech_ms=top.speech_ms, verdict=top.verdict, score=top.score, llr=top.llr,
            channels=channels, spoof_ranges=ranges, segments_total=sum(c.segments.total for c in channels),
            dropped_ms=self.intake.ms(self.intake.dropped_frames), model=self.terms.info,
        )  # fmt: skip
        self._say(done)
        self.closed = True

    def _ack(self) -> Ack:
        # What lies before `processed_ms` the client forgets: so it must not be more than a snapshot holds.
        processed_ms = self.processed_ms if self.safe_ms is None else min(self.safe_ms, self.processed_ms)
        counted = {"bytes": self.counters.bytes, "frames": self.counters.pieces}
        return Ack(received_ms=self.received_ms, processed_ms=processed_ms, buffered_ms=self.buffered_ms, **counted)

    def _overflow(self) -> None:
        if not self._brimful or self.terms.config.on_overflow == "block":
            return
        if self.terms.config.on_overflow == "close":
            self.fail(Overrun())
            return
        # Half the buffer at once, so that a client that stays too fast gets a warning now and then instead of with every frame.
        keep = int(self._limits.max_buffer_seconds * self.intake.rate / 2)
        start, end = self.intake.drop_oldest(self.intake.waiting_frames - keep)
        range_ms = (self.intake.ms(start), self.intake.ms(end))
        self._say(Warning(code="dropped_audio", message="Audio came faster than it could be scored; this range was dropped.", range_ms=range_ms))

    def _expiring(self) -> None:
        left_ms = self._limits.max_session_seconds * 1000 - self.received_ms
        if not self.counters.expiring_said and left_ms <= EXPIRING_MS and self._limits.max_session_seconds * 1000 > EXPIRING_MS:
            self.counters.expiring_said = True
            self._say(Warning(code="expiring", message=f"The session ends in {left_ms // 1000} s of audio: its limit is near."))

    def complain(self, problem: VoxproofError) -> None:
        """A client's mistake, seen here or by the transport: answered, counted, and fatal the twentieth time."""
        if self.closed:
            return
        self._say(Error.of(problem, fatal=False))
        self.counters.bad += 1
        if self.counters.bad >= self._max_bad:
            self.fail(TooManyErrors())

    def _say(self, message: Message) -> None:
        self.counters.seq += 1
        message.numbered(self.counters.seq)
        self._out.append(message)
