"""A session's waiting line: audio, commands and dropped ranges keep their order and their time."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.intake import Intake
from tests.fake import WHOLE

OPS = st.lists(st.tuples(st.sampled_from(["push", "push", "take", "drop", "order"]), st.integers(1, 90).map(lambda n: 101 * n)), max_size=25)


def stereo() -> Intake[int]:
    return Intake("pcm_s16le", 16000, 2, "separate", WHOLE)


@settings(max_examples=150)
@given(OPS)
def test_dropping_keeps_time_and_everything_else(ops: list[tuple[str, int]]) -> None:
    """Against a plain list of samples: what was dropped reads as zero, nothing moves, commands stay where they were given."""
    intake, model, dropped, orders, seen = stereo(), np.zeros(0, np.int16), 0, [], []

    def take() -> None:
        item = intake.take()
        if isinstance(item, int) and not isinstance(item, bool):
            seen.append((item, intake.taken_frames))

    for number, (op, size) in enumerate(ops):
        if op == "push":
            new = (1 + np.arange(len(model), len(model) + size) % 30000).astype(np.int16)
            model = np.concatenate((model, new))
            intake.push(np.stack((new, -new), axis=1).astype("<i2").tobytes())
        elif op == "take":
            take()
        elif op == "order":
            intake.order(number)
            orders.append((number, len(model)))
        elif count := min(size, intake.waiting_frames):
            waiting = intake.taken_frames + np.flatnonzero(model[intake.taken_frames :])
            start, stop = intake.drop_oldest(count)
            assert (start, stop) == (waiting[0], waiting[count - 1] + 1)
            model[waiting[:count]] = 0
            dropped += count
        assert intake.received_frames == len(model) and intake.dropped_frames == dropped
        assert intake.waiting_frames == np.count_nonzero(model[intake.taken_frames :])
        assert intake.waiting_orders == len(orders) - len(seen)
    while intake.taken_frames < len(model) or len(seen) < len(orders):
        take()
    assert intake.take() is False and intake.waiting_frames == 0 and intake.waiting_orders == 0 and seen == orders
    assert intake.ring.end == len(model)
    tail = model[intake.ring.start :] / np.float32(32768)
    np.testing.assert_array_equal(intake.ring.read(0, intake.ring.start, intake.ring.end), tail)
    np.testing.assert_array_equal(intake.ring.read(1, intake.ring.start, intake.ring.end), -tail)


@given(st.integers(1, 100).map(lambda n: 997 * n))
def test_a_take_is_a_quarter_second_at_most(count: int) -> None:
    intake = stereo()
    intake.push(bytes(4 * count))
    while intake.waiting_frames:
        before = intake.taken_frames
        assert intake.take() is True
        assert intake.taken_frames - before == min(4000, count - before)


@given(st.binary(max_size=400), st.integers(0, 60), st.integers(0, 100))
def test_room_never_lets_more_in_than_allowed(data: bytes, already: int, most: int) -> None:
    intake = stereo()
    intake.push(bytes(4 * already + 3))  # three bytes of a frame are under way
    fitting = intake.room(data, most)
    assert data.startswith(fitting)
    intake.push(fitting)
    assert intake.received_frames <= max(most, already)
    if len(fitting) < len(data):
        assert intake.received_frames >= most


@given(st.integers(0, 231).map(lambda n: 8000 + 379 * n), st.integers(0, 250).map(lambda n: 997 * n))
def test_rejoining_skips_exactly_what_rounding_sends_twice(rate: int, count: int) -> None:
    intake: Intake[int] = Intake("mulaw", rate, 1, "separate", WHOLE)
    intake.push(bytes(count))
    from_frame = intake.rejoin() * rate // 1000
    assert 0 <= count - from_frame <= rate // 1000 + 1
    intake.push(bytes(count - from_frame))
    assert intake.received_frames == count
    intake.push(b"12345")
    assert intake.received_frames == count + 5


def test_mixing_is_the_mean_of_the_channels() -> None:
    intake: Intake[int] = Intake("pcm_s16le", 16000, 2, "mix", WHOLE)
    both = np.random.default_rng(0).integers(-9000, 9000, (800, 2)).astype("<i2")
    intake.push(both.tobytes())
    assert intake.take() is True and intake.tracks == 1
    np.testing.assert_allclose(intake.ring.read(0, 0, 800), both.mean(axis=1) / 32768, atol=1e-7)


def test_bad_floats_are_counted_and_zero() -> None:
    intake: Intake[int] = Intake("pcm_f32le", 16000, 1, "separate", WHOLE)
    data = np.array([0.5, np.nan, -np.inf, 0.25], "<f4").tobytes()
    assert [intake.push(data[:7]), intake.push(data[7:])] == [0, 2]  # cut through the NaN
    intake.take()
    np.testing.assert_array_equal(intake.ring.read(0, 0, 4), [0.5, 0, 0, 0.25])
