"""Two bounded memories of a stream, both addressed by absolute position: the last samples, and the last frame embeddings.

`SampleRing` is written by `session` and read when a window is cut. `FrameMemory` is written by a scorer of the `frames` kind, so
that a second of audio is encoded once although windows overlap.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.core.pcm import Samples


class SampleRing:
    """The last `capacity` samples of each channel, from `begin` on. `end` is the absolute position after the newest one."""

    def __init__(self, channels: int, capacity: int, begin: int = 0) -> None:
        self.capacity, self._begin = capacity, begin
        self.end = begin
        self._data = np.zeros((channels, capacity), np.float32)

    @property
    def start(self) -> int:
        """Absolute position of the oldest sample still held."""
        return max(self._begin, self.end - self.capacity)

    def write(self, samples: Samples) -> None:
        """Appends float32 [channels, n]; the oldest samples give way."""
        count = samples.shape[1]
        kept = samples[:, -self.capacity :]
        at = (self.end + count - kept.shape[1]) % self.capacity
        room = self.capacity - at
        self._data[:, at : at + kept.shape[1]] = kept[:, :room]
        if kept.shape[1] > room:
            self._data[:, : kept.shape[1] - room] = kept[:, room:]
        self.end += count

    def read(self, channel: int, start: int, stop: int) -> Samples:
        """A copy of [start, stop) of one channel; zeros stand for what lies before position 0 or after `end`.

        Asking for samples that were overwritten is a mistake of ours: ValueError.
        """
        have_from, have_to = max(start, 0), min(stop, self.end)
        if have_from < self.start and have_from < have_to:
            raise ValueError(f"samples {start}..{stop} are gone; the ring starts at {self.start}")
        out = np.zeros(stop - start, np.float32)
        while have_from < have_to:
            at = have_from % self.capacity
            count = min(have_to - have_from, self.capacity - at)
            out[have_from - start : have_from - start + count] = self._data[channel, at : at + count]
            have_from += count
        return out


Overwritten = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]


class FrameMemory:
    """Embeddings and speech probabilities of the last `capacity` frames of one channel, by absolute frame number.

    A frame that was never written reads as zeros, which is no speech. Writing a frame twice is harmless.
    """

    def __init__(self, capacity: int, size: int) -> None:
        self.capacity = capacity
        self._frames = np.zeros((capacity, size), np.float32)
        self._speech = np.zeros(capacity, np.float32)
        self._number = np.full(capacity, -1, np.int64)

    def write(self, first: int, frames: npt.NDArray[np.float32], speech: npt.NDArray[np.float32]) -> Overwritten:
        """Stores frames `first`, `first + 1`, ...: embeddings [n, size], speech probabilities [n]. Gives what was in their place."""
        numbers = np.arange(first, first + len(frames))[-self.capacity :]
        at = numbers % self.capacity
        before = at, self._frames[at], self._speech[at], self._number[at]  # indexed by an array, so these are copies
        self._frames[at], self._speech[at], self._number[at] = frames[-self.capacity :], speech[-self.capacity :], numbers
        return before

    def take_back(self, before: Overwritten) -> None:
        """Undoes the newest write that was not undone: how a scorer takes back what it wrote when scoring fails later on."""
        at, self._frames[at], self._speech[at], self._number[at] = before

    def read(self, first: int, stop: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Embeddings [n, size] and speech probabilities [n] of frames first..stop; unknown frames are zero."""
        numbers = np.arange(first, stop)
        at = numbers % self.capacity
        known = self._number[at] == numbers
        frames, speech = self._frames[at], self._speech[at]
        if not known.all():
            frames[~known], speech[~known] = 0, 0
        return frames, speech

