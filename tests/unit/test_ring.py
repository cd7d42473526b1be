"""The two memories against plain models: an array that forgets nothing, and a dict of frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.ring import FrameMemory, Overwritten, SampleRing


@settings(max_examples=150)
@given(st.integers(1, 50), st.integers(1, 2), st.lists(st.integers(0, 130), max_size=12), st.data())
def test_the_ring_is_the_end_of_the_stream(capacity: int, channels: int, sizes: list[int], data: st.DataObject) -> None:
    ring, stream = SampleRing(channels, capacity), np.zeros((channels, 0), np.float32)
    for size in sizes:
        piece = stream.shape[1] + 1 + np.arange(channels * size, dtype=np.float32).reshape(channels, size)
        ring.write(piece)
        stream = np.concatenate((stream, piece), axis=1)
        assert (ring.end, ring.start) == (stream.shape[1], max(0, stream.shape[1] - capacity))
        start = data.draw(st.integers(-20, ring.end + 20))
        stop = data.draw(st.integers(start, ring.end + 40))
        channel = data.draw(st.integers(0, channels - 1))
        first, last = max(start, 0), min(stop, ring.end)
        if first < last and first < ring.start:
            with pytest.raises(ValueError, match="gone"):
                ring.read(channel, start, stop)
            continue
        expected = np.zeros(stop - start, np.float32)
        if first < last:
            expected[first - start : last - start] = stream[channel, first:last]
        np.testing.assert_array_equal(ring.read(channel, start, stop), expected)


def test_what_was_read_is_a_copy() -> None:
    ring = SampleRing(1, 4)
    ring.write(np.ones((1, 4), np.float32))
    got = ring.read(0, 0, 4)
    ring.write(np.full((1, 4), 2, np.float32))
    got[:] = got + 10
    np.testing.assert_array_equal(ring.read(0, 4, 8), [2, 2, 2, 2])
    np.testing.assert_array_equal(got, [11, 11, 11, 11])


WRITES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)), max_size=10)


@settings(max_examples=150)
@given(st.integers(1, 20), WRITES, st.integers(0, 60), st.integers(0, 25))
def test_frames_are_what_was_last_written_at_their_slot(capacity: int, writes: list[tuple[int, int]], first: int, count: int) -> None:
    memory, slots = FrameMemory(capacity, 2), {}
    for turn, (at, size) in enumerate(writes):
        values = np.array([[turn + 1, at + i] for i in range(size)], np.float32).reshape(size, 2)
        memory.write(at, values, values[:, 0] / 100)
        slots.update({(at + i) % capacity: (at + i, values[i]) for i in range(size)})
    frames, speech = memory.read(first, first + count)
    assert frames.shape == (count, 2) and speech.shape == (count,)
    for i in range(count):
        number, values = slots.get((first + i) % capacity, (-1, np.zeros(2)))
        wanted = values if number == first + i else np.zeros(2)
        np.testing.assert_array_equal(frames[i], wanted)
        assert speech[i] == np.float32(wanted[0] / 100)


def test_writing_twice_is_harmless() -> None:
    memory = FrameMemory(10, 1)
    values = np.arange(8, dtype=np.float32)[:, None]
    for _ in range(2):
        memory.write(5, values, values[:, 0])
        np.testing.assert_array_equal(memory.read(4, 14)[0][:, 0], [0, *range(8), 0])


def test_a_gap_is_not_valid_even_when_its_slot_holds_rubbish() -> None:
    memory = FrameMemory(4, 1)
    memory.write(0, np.full((4, 1), np.nan, np.float32), np.full(4, np.nan, np.float32))
    frames, speech = memory.read(4, 8)
    assert not frames.any() and not speech.any() and np.isfinite(frames).all()


def test_what_was_read_from_the_memory_does_not_change() -> None:
    memory = FrameMemory(4, 1)
    memory.write(0, np.ones((4, 1), np.float32), np.ones(4, np.float32))
    frames, speech = memory.read(0, 4)
    memory.write(4, np.zeros((4, 1), np.float32), np.zeros(4, np.float32))
    assert frames.all() and speech.all()


@given(WRITES, WRITES)
def test_what_was_written_can_be_taken_back(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> None:
    memory = FrameMemory(12, 1)

    def write(turn: float, writes: list[tuple[int, int]]) -> list[Overwritten]:
        return [memory.write(at, np.full((size, 1), turn, np.float32), np.full(size, turn, np.float32)) for at, size in writes]

    write(1, before)
    seen = memory.read(0, 90)
    for each in reversed(write(2, after)):
        memory.take_back(each)
    for got, wanted in zip(memory.read(0, 90), seen, strict=True):
        np.testing.assert_array_equal(got, wanted)
