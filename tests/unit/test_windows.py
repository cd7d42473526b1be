"""The geometry of windows: every frame exactly once, with its context, from samples the ring still has, for any detector and any hop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import BadConfig
from app.core.intake import Intake
from app.core.resample import Resampler
from app.core.windows import MIN_HOP_SECONDS, FrameLayout, Layout, Span
from tests.fake import FRAMES, WHOLE


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    rate = draw(st.sampled_from([8000, 16000, 22050]))
    frame = 20 + 37 * draw(st.integers(0, 23))
    window = frame * draw(st.integers(max(1, rate // 4 // frame), max(2, rate // frame)))
    first, hop = (max(1, window * draw(st.integers(1, 23)) // 23) for _ in range(2))
    # Small numbers, multiplied: hypothesis draws from a large range mostly what is near its end.
    left, right = draw(st.integers(0, 31)) * 397, draw(st.integers(0, 31)) * 197
    frames = FrameLayout(frame, left, right, 1) if draw(st.sampled_from([True, True, False])) else None
    return Layout(rate, window, first, hop, frames)


def regular(layout: Layout, total: int) -> Iterator[Span]:
    index, since = 0, 0
    while (end := layout.end_of(index)) <= total:
        yield layout.span(index, since, end, at_end=False)
        index, since = index + 1, end


def all_spans(layout: Layout, total: int) -> list[Span]:
    spans = list(regular(layout, total))
    since = spans[-1].end if spans else 0
    return spans + ([layout.span(len(spans), since, total, at_end=True)] if total > since else [])


@settings(max_examples=200)
@given(layouts(), st.integers(0, 90).map(lambda n: n * 997))
def test_windows_tile_the_stream(layout: Layout, total: int) -> None:
    spans, at = all_spans(layout, total), 0
    for index, span in enumerate(spans):
        assert (span.index, span.since) == (index, at) and span.end > span.since
        assert span.start == max(0, span.end - layout.window) <= span.since
        at = span.end
    assert at == total


@settings(max_examples=200)
@given(layouts().filter(lambda layout: layout.frames is not None), st.integers(0, 90).map(lambda n: n * 997))
def test_each_frame_is_encoded_once_with_all_it_hears(layout: Layout, total: int) -> None:
    shape, spans = layout.frames, all_spans(layout, total)
    assert shape is not None
    encoded = [frame for span in spans for frame in range(span.first_frame, span.stop_frame)]
    assert encoded == list(range(len(encoded)))
    tail = bool(spans) and spans[-1].end != layout.end_of(len(spans) - 1)
    if tail:
        assert len(encoded) == total // shape.frame  # nothing of the stream is left out but a piece of a frame
    for span in spans:
        if span.stop_frame > span.first_frame:
            assert span.read_from == span.first_frame * shape.frame - shape.left
            assert span.read_to == span.stop_frame * shape.frame + shape.right
            assert span.read_to <= span.end or (tail and span is spans[-1])
        # What is pooled lies inside the window, and has been encoded by then.
        assert span.pool_from * shape.frame >= span.start and (span.pool_from - 1) * shape.frame < span.start
        assert span.stop_frame * shape.frame <= span.end
        assert span.stop_frame - span.pool_from <= layout.window // shape.frame


@dataclass
class Reader:
    """Opens windows as `Session` does, and compares every sample it reads with the whole stream, resampled in one go."""

    intake: Intake[str]
    stream: np.ndarray
    opened: int = 0

    def check(self, span: Span, *, at_end: bool) -> None:
        for channel in range(self.intake.tracks):
            for start, stop in ((span.read_from, span.read_to), (span.since, span.end)):
                if start >= stop:
                    continue
                expected = np.zeros(stop - start, np.float32)
                # What has not arrived yet reads as zero: only after the end of the stream, or where no frame needs it.
                first, last = max(0, start), min(stop, self.intake.ring.end)
                if first < last:
                    expected[first - start : last - start] = self.stream[channel, first:last]
                np.testing.assert_array_equal(self.intake.ring.read(channel, start, stop), expected)
                if span.stop_frame > span.first_frame and not at_end:
                    assert stop <= self.intake.ring.end
        self.opened += 1

    def drain(self) -> None:
        while True:
            span = self.intake.next_span()
            if span is not None:
                self.check(span, at_end=False)
                continue
            taken = self.intake.take()
            if taken is False:
                return
            if taken == "look" and (span := self.intake.rest_span(at_end=False)):
                self.check(span, at_end=False)
            if taken == "end":
                self.intake.flush()
                while span := self.intake.next_span() or self.intake.rest_span(at_end=True):
                    self.check(span, at_end=True)


@settings(max_examples=120)
@given(
    layouts(), st.sampled_from([8000, 11025, 16000, 44099, 48000, 96000]), st.integers(1, 2), st.integers(0, 50),
    st.lists(st.floats(0, 1), max_size=8), st.integers(0, 255),
)  # fmt: skip
def test_the_ring_always_holds_what_a_window_needs(
    layout: Layout, rate: int, channels: int, deciseconds: int, cuts: list[float], drained: int
) -> None:
    count = (97 * deciseconds) * rate // 1000
    samples = np.random.default_rng(count).integers(-9000, 9000, (count, channels)).astype("<i2")
    whole = Resampler(rate, layout.rate, channels)
    floats = (samples.T / np.float32(32768)).astype(np.float32)
    stream = np.concatenate((whole.feed(floats), whole.flush()), axis=1)
    intake: Intake[str] = Intake("pcm_s16le", rate, channels, "separate", layout)
    reader = Reader(intake, stream)
    for turn, piece in enumerate(np.split(samples, sorted(round(cut * count) for cut in cuts))):
        intake.push(piece.tobytes())
        if turn % 3 == 1:
            intake.order("look")
        if drained >> turn & 1:  # sometimes much waits before anybody looks
            reader.drain()
    intake.order("end")
    reader.drain()
    assert intake.ring.end == stream.shape[1] and intake.waiting_frames == 0
    assert reader.opened >= len(all_spans(layout, stream.shape[1]))


@given(st.floats(0.01, 9))
def test_a_client_may_choose_a_hop_within_limits(hop_seconds: float) -> None:
    for layout in (FRAMES, WHOLE):
        hop = round(hop_seconds * layout.rate)
        if MIN_HOP_SECONDS * layout.rate <= hop <= layout.window:
            assert layout.with_hop(hop_seconds) == Layout(layout.rate, layout.window, layout.first, hop, layout.frames)
        else:
            with pytest.raises(BadConfig) as caught:
                layout.with_hop(hop_seconds)
            assert caught.value.field == "config.hop_seconds"


@settings(max_examples=100)
@given(layouts().filter(lambda layout: layout.frames is not None), st.integers(0, 60).map(lambda n: n * 997))
def test_the_memory_holds_every_frame_a_window_pools(layout: Layout, total: int) -> None:
    memory = layout.memory()
    assert memory is not None
    for span in all_spans(layout, total):
        new = np.arange(span.first_frame, span.stop_frame, dtype=np.float32)
        memory.write(span.first_frame, new[:, None], np.ones(len(new), np.float32))
        frames, speech = memory.read(span.pool_from, max(span.pool_from, span.stop_frame))
        assert speech.all()
        np.testing.assert_array_equal(frames[:, 0], np.arange(span.pool_from, max(span.pool_from, span.stop_frame)))


def test_a_whole_window_classifier_has_no_memory() -> None:
    assert WHOLE.memory() is None and WHOLE.history == WHOLE.window
