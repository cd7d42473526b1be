"""From window LLRs to verdicts: per window, running (with hysteresis and state), and for the whole session.

Called by `session`, once per window and channel, in order. Times are milliseconds of media; LLRs are natural logs, positive = spoof.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp, log
from typing import Literal

VerdictName = Literal["bonafide", "spoof", "uncertain", "no_speech"]
State = Literal["warming", "provisional", "stable"]

WARMING_SPEECH_MS = 1000  # below this much scored speech a verdict is not claimed
STABLE_SPEECH_MS = 3000  # from here on, a verdict that held for `hysteresis_hops` more windows counts as stable
RANGE_MIN_MS = 2000  # a spoofed range at least this long makes the whole session spoof,
RANGE_MIN_NEW_MS = 1000  # unless it rests on less new audio than this: the range of a single last window reaches back 2 s
RANGE_GAP_MS = 2000  # two spoofed stretches closer than this are one range (a pause in speech does not split it)


@dataclass(frozen=True)
class OperatingPoint:
    """LLR bounds of a profile: at or above `spoof_llr` is spoof, at or below `bonafide_llr` is bonafide, between is uncertain."""

    bonafide_llr: float
    spoof_llr: float

    def verdict(self, llr: float | None) -> VerdictName:
        if llr is None:
            return "no_speech"
        if llr >= self.spoof_llr:
            return "spoof"
        return "bonafide" if llr <= self.bonafide_llr else "uncertain"

    def at_threshold(self, score: float) -> OperatingPoint:
        """The same point with a caller's own spoof threshold, a score in (0, 1); the uncertain band never lies above it."""
        spoof_llr = log(score / (1 - score))
        return OperatingPoint(min(self.bonafide_llr, spoof_llr), spoof_llr)


def score_of(llr: float | None) -> float | None:
    """P(spoof) at equal priors."""
    if llr is None:
        return None
    return 1 / (1 + exp(-llr)) if llr >= 0 else exp(llr) / (1 + exp(llr))


@dataclass(frozen=True, slots=True)
class Heard:
    """One scored window as the verdict sees it."""

    start_ms: int
    end_ms: int
    llr: float | None
    speech_ms: int
    new_speech_ms: int
    verdict: VerdictName


@dataclass
class Tally:
    """Windows counted by their verdict."""

    total: int = 0
    spoof: int = 0
    bonafide: int = 0
    uncertain: int = 0
    no_speech: int = 0

    def add(self, verdict: VerdictName) -> None:
        self.total += 1
        setattr(self, verdict, getattr(self, verdict) + 1)


@dataclass(frozen=True)
class Standing:
    """The running verdict after a window."""

    verdict: VerdictName
    llr: float | None
    state: State
    changed: bool
    alarm: Literal["raised", "cleared"] | None


@dataclass(frozen=True)
class RunningState:
    """What a `Running` must know to go on."""

    recent: list[float]
    speech_ms: int
    verdict: VerdictName
    candidate: VerdictName
    held: int
    against: int


@dataclass
class Running:
    """The running verdict of one channel: mean LLR of the last `pool_windows` windows with speech.

    A new verdict must be indicated by `hysteresis_hops` windows with speech in a row before it replaces the old one; the first verdict
    after warming up stands at once. Windows without speech change nothing. While warming, the answer is `no_speech` or `uncertain`.
    """

    pool_windows: int
    hysteresis_hops: int
    _recent: deque[float] = field(init=False)
    _speech_ms: int = 0
    _verdict: VerdictName = "no_speech"
    _candidate: VerdictName = "no_speech"
    _held: int = 0
    _against: int = 0

    def __post_init__(self) -> None:
        self._recent = deque(maxlen=self.pool_windows)

    @property
    def speech_ms(self) -> int:
        return self._speech_ms

    def state(self) -> RunningState:
        return RunningState(list(self._recent), self._speech_ms, self._verdict, self._candidate, self._held, self._against)

    def restore(self, state: RunningState) -> None:
        self._recent.extend(state.recent)
        self._speech_ms, self._verdict, self._candidate = state.speech_ms, state.verdict, state.candidate
        self._held, self._against = state.held, state.against

    def hear(self, heard: Heard, point: OperatingPoint) -> Standing:
        self._speech_ms += heard.new_speech_ms
        before = self._verdict
        if heard.llr is not None:
            self._recent.append(heard.llr)
            self._settle(point)
        llr = sum(self._recent) / len(self._recent) if self._recent else None
        changed = self._verdict != before
        alarm: Literal["raised", "cleared"] | None = None
        if changed and "spoof" in (before, self._verdict):
            alarm = "raised" if self._verdict == "spoof" else "cleared"
        return Standing(self._verdict, llr, self._state(), changed, alarm)

    def _settle(self, point: OperatingPoint) -> None:
        if self._speech_ms < WARMING_SPEECH_MS:
            self._verdict = "uncertain"
            return
        indicated = point.verdict(sum(self._recent) / len(self._recent))
        first = self._held == 0
        self._against = self._against + 1 if indicated == self._candidate else 1
        self._candidate = indicated
        if indicated == self._verdict:
            self._held += 1
        elif first or self._against >= self.hysteresis_hops:
            self._verdict, self._held = indicated, 1
        else:
            self._held += 1

    def _state(self) -> State:
        if self._speech_ms < WARMING_SPEECH_MS or not self._held:
            return "warming"
        settled = self._candidate == self._verdict and self._held > self.hysteresis_hops
        return "stable" if settled and self._speech_ms >= STABLE_SPEECH_MS else "provisional"


@dataclass(frozen=True)
class SpoofRange:
    """A stretch judged spoof. `new_ms`: the audio that was new in its windows, so that a single window is not mistaken for a long stretch."""

    start_ms: int
    end_ms: int
    llr: float
    new_ms: int

    @property
    def lasts(self) -> bool:
        """Whether it is long enough, and rests on enough audio, to make a whole session spoof."""
        return self.end_ms - self.start_ms >= RANGE_MIN_MS and self.new_ms >= RANGE_MIN_NEW_MS


@dataclass(frozen=True)
class Final:
    """A channel's verdict over the whole session."""

    verdict: VerdictName
    llr: float | None
    speech_ms: int
    ranges: tuple[SpoofRange, ...]


def conclude(heard: Sequence[Heard], point: OperatingPoint, duration_ms: int, range_llr: float | None = None) -> Final:
    """Pools all windows of a channel, each weighted by the speech in its newest hop; a spoofed range of 2 s makes it spoof.

    `range_llr`: the least mean llr of such a range. A session has many windows and each may err, so what condemns all of it for a part must
    be surer than what judges one window. Ranges are published with a spoof verdict only: beside another one they would accuse all the same.
    """
    scored = [(h.llr, h.new_speech_ms) for h in heard if h.llr is not None]
    weight = sum(w for _, w in scored)
    llr: float | None = None
    if weight:
        llr = sum(v * w for v, w in scored) / weight
    elif scored:
        llr = sum(v for v, _ in scored) / len(scored)
    ranges = spoof_ranges(heard, duration_ms)
    verdict = point.verdict(llr)
    if verdict != "spoof":
        least = point.spoof_llr if range_llr is None else max(point.spoof_llr, range_llr)
        ranges = tuple(r for r in ranges if r.lasts and r.llr >= least)
        verdict = "spoof" if ranges else verdict
    return Final(verdict, llr, sum(h.new_speech_ms for h in heard), ranges)


def spoof_ranges(heard: Sequence[Heard], duration_ms: int) -> tuple[SpoofRange, ...]:
    """Runs of windows whose verdict was spoof, as stretches of time.

    A window speaks for the time around its middle, half-way to its neighbours' middles, because a window turns over when about half of it
    has; the first and the last window reach to the ends. Windows without speech neither make nor break a run.
    """
    middles = [(h.start_ms + h.end_ms) / 2 for h in heard]
    borders = [0.0, *((a + b) / 2 for a, b in pairwise(middles)), float(duration_ms)]
    runs: list[list[int]] = []  # the windows of each
    broken = True
    for index, h in enumerate(heard):
        if h.llr is None:
            continue
        if h.verdict != "spoof":
            broken = True
            continue
        if runs and not broken and borders[index] - borders[runs[-1][-1] + 1] <= RANGE_GAP_MS:
            runs[-1].append(index)
        else:
            runs.append([index])
        broken = False
    return tuple(_range(heard, borders, run) for run in runs)


def _range(heard: Sequence[Heard], borders: Sequence[float], run: Sequence[int]) -> SpoofRange:
    new_ms = sum(heard[i].end_ms - (heard[i - 1].end_ms if i else 0) for i in run)
    llr = sum(heard[i].llr or 0.0 for i in run) / len(run)
    return SpoofRange(round(borders[run[0]]), round(borders[run[-1] + 1]), llr, new_ms)
