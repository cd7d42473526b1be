"""One channel of a session: its scored windows become `segment`, `verdict`, `alert` and `warning` messages, in order. Used by `session`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from app.core.messages import Alert, ChannelResult, Message, QualityInfo, RangeResult, Segment, Segments, Verdict, Warning
from app.core.quality import CLIP_SHARE, LOW_DBFS, NARROW_HZ, Quality
from app.core.ring import FrameMemory
from app.core.terms import Model
from app.core.verdict import Final, Heard, OperatingPoint, Running, RunningState, Tally, conclude, score_of
from app.core.windows import Scored, Span
from app.core.wire import Config

LOW_LEVEL_HOPS = 4  # consecutive hops under LOW_DBFS before the client hears about it
NARROW_WINDOWS = 3  # consecutive windows with speech and no band above NARROW_HZ
LLR_DIGITS, SCORE_DIGITS = 4, 6
LOW_LEVEL = "The sound is nearly silent: check the microphone or the source."
CLIPPED = "The sound is clipped: lower the level, because clipping hides the evidence."
NARROWBAND = "The sound holds telephone bandwidth only: verdicts are less certain."


@dataclass(frozen=True)
class TrackState:
    """What a track must know to go on, beside what it has heard."""

    running: RunningState
    low_hops: int
    narrow_windows: int
    clipped_until_ms: int
    alarmed: bool


class Track:
    """State of one channel. `memory` belongs to the scorer."""

    def __init__(self, channel: int, label: str | None, memory: FrameMemory | None, model: Model) -> None:
        self.channel, self.label, self.memory = channel, label, memory
        self._running = Running(model.pool_windows, model.hysteresis_hops)
        self._range_llr = model.range_llr
        self.heard: list[Heard] = []
        self.packed = bytearray()  # the same as bytes, for snapshots
        self._tally = Tally()
        self._low_hops = self._narrow_windows = 0
        self._clipped_until_ms = -1
        self._alarmed = False

    def state(self) -> TrackState:
        return TrackState(self._running.state(), self._low_hops, self._narrow_windows, self._clipped_until_ms, self._alarmed)

    def restore(self, state: TrackState, heard: list[Heard]) -> None:
        """Goes on where a track of another process was."""
        self._running.restore(state.running)
        self._low_hops, self._narrow_windows, self._clipped_until_ms = state.low_hops, state.narrow_windows, state.clipped_until_ms
        self._alarmed = state.alarmed
        self.heard = heard
        for each in heard:
            self._tally.add(each.verdict)

    @property
    def wants_bandwidth(self) -> bool:
        """Whether narrowband speech is still to be told from wide."""
        return 0 <= self._narrow_windows < NARROW_WINDOWS

    def hear(
        self, span: Span, start_ms: int, end_ms: int, scored: Scored, quality: Quality, config: Config, point: OperatingPoint
    ) -> Iterator[Message]:
        """The messages of one regular window."""
        verdict = point.verdict(scored.llr)
        heard = Heard(start_ms, end_ms, scored.llr, scored.speech_ms, scored.new_speech_ms, verdict)
        self.heard.append(heard)
        self._tally.add(verdict)
        yield from self._warnings(heard, quality)
        yield self.segment(span.index, heard, quality, config, interim=False)
        before = self._running.speech_ms
        standing = self._running.hear(heard, point)
        if config.interim or standing.changed or (before == 0 and self._running.speech_ms > 0):
            yield Verdict(
                as_of_ms=end_ms, channel=self.channel, verdict=standing.verdict, score=_score(standing.llr), llr=_llr(standing.llr),
                speech_ms=self._running.speech_ms, segments=self._segments(), state=standing.state, changed=standing.changed,
            )  # fmt: skip
        if standing.alarm:
            self._alarmed = standing.alarm == "raised"
            yield Alert(at_ms=end_ms, rule="spoof_onset", channel=self.channel, score=_score(standing.llr), cleared=not self._alarmed)

    def look(self, span: Span, start_ms: int, end_ms: int, scored: Scored, quality: Quality, config: Config, point: OperatingPoint) -> Segment:
        """The message of an interim window: nothing is pooled."""
        heard = Heard(start_ms, end_ms, scored.llr, scored.speech_ms, scored.new_speech_ms, point.verdict(scored.llr))
        return self.segment(span.index, heard, quality, config, interim=True)

    def segment(self, index: int, heard: Heard, quality: Quality, config: Config, *, interim: bool) -> Segment:
        message = Segment(
            index=index, channel=self.channel, start_ms=heard.start_ms, end_ms=heard.end_ms, verdict=heard.verdict,
            score=_score(heard.llr), llr=_llr(heard.llr), speech_ms=heard.speech_ms,
        )  # fmt: skip
        if interim:
            message.interim = True
        if config.detail == "full":
            message.quality = QualityInfo.of(quality)
        return message

    def conclude(self, point: OperatingPoint, duration_ms: int) -> tuple[ChannelResult, list[RangeResult], Final]:
        """The channel's part of `done`."""
        final = conclude(self.heard, point, duration_ms, self._range_llr)
        result = ChannelResult(
            channel=self.channel, label=self.label, verdict=final.verdict, score=_score(final.llr), llr=_llr(final.llr),
            speech_ms=final.speech_ms, segments=self._segments(),
        )  # fmt: skip
        ranges = [RangeResult(channel=self.channel, start_ms=r.start_ms, end_ms=r.end_ms, score=_score(r.llr) or 0.0) for r in final.ranges]
        return result, ranges, final

    def _segments(self) -> Segments:
        return Segments(**asdict(self._tally))

    def _warnings(self, heard: Heard, quality: Quality) -> Iterator[Message]:
        range_ms = (heard.start_ms, heard.end_ms)
        self._low_hops = self._low_hops + 1 if quality.level_dbfs < LOW_DBFS else 0
        if self._low_hops == LOW_LEVEL_HOPS:
            yield Warning(code="low_level", message=LOW_LEVEL, channel=self.channel, range_ms=range_ms)
        if quality.clipping > CLIP_SHARE and heard.end_ms > self._clipped_until_ms:
            self._clipped_until_ms = heard.end_ms + 10_000
            yield Warning(code="clipping", message=CLIPPED, channel=self.channel, range_ms=range_ms)
        if self.wants_bandwidth and heard.llr is not None and quality.bandwidth_hz is not None:
            self._narrow_windows = self._narrow_windows + 1 if quality.bandwidth_hz < NARROW_HZ else -1
            if self._narrow_windows == NARROW_WINDOWS:
                yield Warning(code="narrowband", message=NARROWBAND, channel=self.channel, range_ms=range_ms)


def conclude_all(tracks: list[Track], point: OperatingPoint, duration_ms: int) -> tuple[ChannelResult, list[ChannelResult], list[RangeResult]]:
    """The channel that speaks for the session, every channel's result, and all spoofed ranges.

    The highest llr speaks for all, but a channel with a spoofed range outranks one that merely has a higher mean.
    """
    results = [track.conclude(point, duration_ms) for track in tracks]
    top = max(results, key=lambda r: (r[2].verdict == "spoof", r[2].llr if r[2].llr is not None else float("-inf")))
    return top[0], [r[0] for r in results], [x for r in results for x in r[1]]


def _llr(llr: float | None) -> float | None:
    return None if llr is None else round(llr, LLR_DIGITS)


def _score(llr: float | None) -> float | None:
    score = score_of(llr)
    return None if score is None else round(score, SCORE_DIGITS)
