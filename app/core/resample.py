"""Source-rate samples -> model-rate samples, with soxr's streaming resampler. Called by `session`.

soxr is fed blocks of one fixed size whatever the pieces received, so its output cannot depend on how a stream was cut.
"""

from __future__ import annotations

from math import gcd

import numpy as np
import soxr

from app.core.pcm import Samples


class Resampler:
    """`feed` and `flush` take and give float32 [channels, n]. With equal rates, samples pass through untouched."""

    def __init__(self, source_rate: int, target_rate: int, channels: int) -> None:
        self.channels = channels
        self.source_rate, self.target_rate = source_rate, target_rate
        self._stream = None if source_rate == target_rate else soxr.ResampleStream(source_rate, target_rate, channels, dtype="float32", quality="HQ")
        # About 20 ms, and a whole number of samples at both rates where the rates allow it.
        step = source_rate // gcd(source_rate, target_rate)
        self._block = step * max(1, source_rate // 50 // step) if step <= source_rate // 25 else source_rate // 50
        self._rest = np.zeros((channels, 0), np.float32)

    def feed(self, samples: Samples) -> Samples:
        if self._stream is None:
            return samples
        if self._rest.shape[1]:
            samples = np.concatenate((self._rest, samples), axis=1)
        whole = samples.shape[1] - samples.shape[1] % self._block
        self._rest = samples[:, whole:].copy()
        return self._run(np.ascontiguousarray(samples[:, :whole].T), last=False)

    def flush(self) -> Samples:
        """What is still inside, at the end of the stream. The resampler cannot be fed afterwards."""
        if self._stream is None:
            return np.zeros((self.channels, 0), np.float32)
        rest, self._rest = self._rest, self._rest[:, :0]
        return self._run(np.ascontiguousarray(rest.T), last=True)

    def _run(self, frames: Samples, *, last: bool) -> Samples:
        assert self._stream is not None
        parts = [self._stream.resample_chunk(frames[at : at + self._block]) for at in range(0, len(frames) - self._block + 1, self._block)]
        if last:
            tail = frames[len(frames) - len(frames) % self._block :]
            parts.append(self._stream.resample_chunk(tail, last=True))
        if not parts:
            return np.zeros((self.channels, 0), np.float32)
        return np.concatenate(parts).reshape(-1, self.channels).T
