"""Source-rate samples -> model-rate samples, with soxr's streaming resampler. Called by `session`.

The output depends on the audio alone: not on how a stream was cut (soxr is fed blocks that end at fixed positions), and not on when it began.
soxr's state cannot be copied to another process; so each second of the stream has a soxr stream of its own, which begins a little earlier to be
warm. A resampler that begins at a `beginning` gives to the bit what one gives that heard everything.
"""

from __future__ import annotations

from collections import deque
from math import gcd

import numpy as np
import soxr

from app.core.pcm import Samples

TURN_SECONDS = 1.0  # after which a new soxr stream takes over; making one takes it 0.05 to 1.4 ms
WARM_SECONDS = 0.1  # measured over all rates: alike to a millionth after 10 ms


class Resampler:
    """`feed` and `flush` take and give float32 [channels, n]. With equal rates, samples pass through untouched."""

    def __init__(self, source_rate: int, target_rate: int, channels: int, begin: int = 0) -> None:
        """`begin`: position of the first sample, 0 or one that `beginning` gave. ValueError for another."""
        self.channels, self.source_rate, self.target_rate = channels, source_rate, target_rate
        self._same = source_rate == target_rate
        # About 20 ms, and a whole number of samples at both rates where the rates allow it.
        step = source_rate // gcd(source_rate, target_rate)
        self._block = step * max(1, source_rate // 50 // step) if step <= source_rate // 25 else source_rate // 50
        self._turn = step * max(1, round(source_rate * TURN_SECONDS / step))  # a whole number of samples at both rates
        self._warm = round(source_rate * WARM_SECONDS)
        if self.beginning(begin + (0 if self._same or not begin else self._warm)) != begin:
            raise ValueError(f"nothing can begin at {begin}")
        self._next = -(-begin // self._turn)  # number of the turn that begins next
        self.first_output = begin if self._same else self._next * self._turn * target_rate // source_rate
        self._at = begin  # everything before this is inside soxr
        self._turns: deque[_Turn] = deque()
        self._rest = np.zeros((channels, 0), np.float32)

    @property
    def lead(self) -> int:
        """How far before a position its `beginning` may lie."""
        return 0 if self._same else self._turn + self._warm

    def beginning(self, position: int) -> int:
        """Where a resampler must begin at the latest, for its output to be right from this position of the source on."""
        return position if self._same else max(0, position // self._turn * self._turn - self._warm)

    def feed(self, samples: Samples) -> Samples:
        if self._same:
            return samples
        if self._rest.shape[1]:
            samples = np.concatenate((self._rest, samples), axis=1)
        out, used = [self._nothing()], 0
        while (size := self._block - self._at % self._block) <= samples.shape[1] - used:
            out += self._run(samples[:, used : used + size], last=False)
            used += size
        self._rest = samples[:, used:].copy()
        return np.concatenate(out, axis=1)

    def flush(self) -> Samples:
        """What is still inside, at the end of the stream. The resampler cannot be fed afterwards."""
        if self._same:
            return self._nothing()
        rest, self._rest = self._rest, self._rest[:, :0]
        return np.concatenate([self._nothing(), *self._run(rest, last=True)], axis=1)

    def _run(self, block: Samples, *, last: bool) -> list[Samples]:
        end = self._at + block.shape[1]
        while (begin := max(0, self._next * self._turn - self._warm)) < end:
            self._turns.append(_Turn(self, self._next, begin))
            self._next += 1
        for turn in self._turns:
            turn.feed(block[:, max(0, turn.begin - self._at) :], last=last)
        self._at = end
        out: list[Samples] = []
        while self._turns:  # the output of a turn waits for that of the one before
            out += self._turns[0].take()
            if not (self._turns[0].over or last):
                break
            self._turns.popleft()
        return out

    def _nothing(self) -> Samples:
        return np.zeros((self.channels, 0), np.float32)


class _Turn:
    """One soxr stream, and the stretch of the output that is its own."""

    def __init__(self, whole: Resampler, number: int, begin: int) -> None:
        self.begin = begin
        source, target = whole.source_rate, whole.target_rate
        self._stream = soxr.ResampleStream(source, target, whole.channels, dtype="float32", quality="HQ")
        self._first, self._stop = number * whole._turn * target // source, (number + 1) * whole._turn * target // source
        self._at = begin * target // source
        self._ready: list[Samples] = []

    @property
    def over(self) -> bool:
        return self._at >= self._stop

    def feed(self, block: Samples, *, last: bool) -> None:
        out = self._stream.resample_chunk(np.ascontiguousarray(block.T), last=last).reshape(-1, block.shape[0])
        own = out[max(0, self._first - self._at) : max(0, self._stop - self._at)]
        if len(own):
            self._ready.append(own.T)
        self._at += len(out)

    def take(self) -> list[Samples]:
        ready, self._ready = self._ready, []
        return ready
