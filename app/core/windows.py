"""Which stretches of audio are scored, in absolute model-rate samples. Pure arithmetic; `session` cuts what this names.

Window k ends at `first + k * hop` and starts at most `window` earlier, so windows grow until they are full and then slide. At the end of
a stream one more window (the tail) ends with the last sample, if there is anything after the last window.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from app.core.errors import BadConfig
from app.core.pcm import Samples
from app.core.ring import FrameMemory

MIN_HOP_SECONDS = 0.25  # scoring costs as much as windows are many: a client may double the default rate, not more


@dataclass(frozen=True)
class FrameLayout:
    """A frame encoder's geometry in samples: frame i needs exactly [i*frame - left, (i+1)*frame + right)."""

    frame: int
    left: int
    right: int
    embedding_size: int


@dataclass(frozen=True)
class Layout:
    """A detector's geometry in samples at `rate`. `frames` is None for a whole-window classifier."""

    rate: int
    window: int
    first: int
    hop: int
    frames: FrameLayout | None = None

    def end_of(self, index: int) -> int:
        return self.first + index * self.hop

    def start_of(self, end: int) -> int:
        return max(0, end - self.window)

    @property
    def history(self) -> int:
        """How many samples before the newest one may still be asked for when a window is cut."""
        if self.frames is None:
            return self.window
        return max(self.first, self.hop) + self.frames.left + self.frames.right + 2 * self.frames.frame

    @property
    def reach(self) -> int:
        """How many samples before the newest one `again` may ask for."""
        if self.frames is None:
            return self.window
        return self.window + max(self.first, self.hop) + self.frames.left + self.frames.right + 2 * self.frames.frame

    def memory(self) -> FrameMemory | None:
        """An empty embedding memory for one channel, or None for a whole-window classifier."""
        if self.frames is None:
            return None
        return FrameMemory(self.window // self.frames.frame + 2, self.frames.embedding_size)

    def with_hop(self, hop_seconds: float) -> Layout:
        """The same layout with another hop, which need not be a whole number of frames; BadConfig unless it is 0.25 s..window."""
        hop = round(hop_seconds * self.rate)
        if not MIN_HOP_SECONDS * self.rate <= hop <= self.window:
            raise BadConfig(f"hop_seconds must be between {MIN_HOP_SECONDS} and {self.window / self.rate:g}.", field="config.hop_seconds")
        return replace(self, hop=hop)

    def span(self, index: int, since: int, end: int, *, at_end: bool) -> Span:
        """The frames and samples a window ending at `end` needs, when everything up to `since` was windowed before.

        `at_end`: the stream ends here, so zeros stand for the right context of the last frames.
        """
        start = self.start_of(end)
        if self.frames is None:
            return Span(index, start, end, since, start, end, 0, 0, 0)
        frame, right = self.frames.frame, 0 if at_end else self.frames.right
        first, stop = self._frames_by(since), max(0, (end - right) // frame)
        return Span(
            index, start, end, since, first * frame - self.frames.left, stop * frame + self.frames.right, first, stop, -(-start // frame)
        )

    def again(self, span: Span) -> list[Span]:
        """The regular windows before `span` that wrote the frames it pools: a scorer with an empty memory must hear them first, cut as they were."""
        spans: list[Span] = []
        index = span.index - 1 if self.frames is not None else -1
        while index >= 0:
            before = self.span(index, self.end_of(index - 1) if index else 0, self.end_of(index), at_end=False)
            if before.stop_frame <= span.pool_from:
                break
            spans.insert(0, before)
            index -= 1
        return spans

    def _frames_by(self, end: int) -> int:
        """How many frames exist once the samples before `end` have arrived."""
        assert self.frames is not None
        return max(0, (end - self.frames.right) // self.frames.frame)


@dataclass(frozen=True)
class Span:
    """One window: [start, end) is what the verdict covers, [since, end) what is new in it, [read_from, read_to) what the model hears."""

    index: int
    start: int
    end: int
    since: int
    read_from: int
    read_to: int
    first_frame: int  # frames first_frame..stop_frame are to be encoded,
    stop_frame: int
    pool_from: int  # and pool_from..stop_frame pooled


@dataclass(frozen=True, eq=False)
class Window:
    """What a scorer gets: a span of one channel with its samples, and the channel's frame memory (frames kind)."""

    channel: int
    span: Span
    audio: Samples = field(repr=False)
    memory: FrameMemory | None = field(default=None, repr=False)
    interim: bool = False


@dataclass(frozen=True)
class Scored:
    """A scorer's answer for one window. `llr`: natural log, positive = spoof, None when there is too little speech.

    `speech_ms` is the speech in the window, `new_speech_ms` the part of it not counted in an earlier window.
    """

    llr: float | None
    speech_ms: int
    new_speech_ms: int
