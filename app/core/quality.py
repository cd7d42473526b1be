"""Plain measurements of a stretch of audio that explain an uncertain verdict: level, clipping, bandwidth. Called by `session`."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10

import numpy as np

from app.core.pcm import Samples

CLIP_LEVEL = 0.99
CLIP_SHARE = 0.002  # of the samples of a hop: a few clipped peaks in half a second are already audible
LOW_DBFS = -50.0
NARROW_HZ = 4300  # telephone speech ends at 3.4 kHz, and no filter is a wall
_TAPER = np.hanning(512)
FLOOR_DBFS = -120.0
BAND_DROP_DB = 50.0


@dataclass(frozen=True)
class Quality:
    level_dbfs: float
    clipping: float  # share of samples at full scale, 0..1
    bandwidth_hz: int | None  # where the long-term spectrum falls 50 dB under its peak; None where it was not asked for or is silent


def measure(samples: Samples, rate: int, *, bandwidth: bool) -> Quality:
    """Quality of float32 [n] samples."""
    if not samples.size:
        return Quality(FLOOR_DBFS, 0.0, None)
    power = float(np.dot(samples, samples)) / samples.size
    level = max(FLOOR_DBFS, 10 * log10(power)) if power > 0 else FLOOR_DBFS
    clipping = float(np.count_nonzero(np.abs(samples) >= CLIP_LEVEL)) / samples.size
    return Quality(round(level, 1), round(clipping, 4), _bandwidth(samples, rate) if bandwidth and level > LOW_DBFS else None)


def _bandwidth(samples: Samples, rate: int) -> int | None:
    size = _TAPER.size
    count = samples.size // size
    if count < 4:
        return None
    spectrum = np.abs(np.fft.rfft(samples[: count * size].reshape(count, size) * _TAPER, axis=1)) ** 2
    mean_db = 10 * np.log10(spectrum.mean(axis=0) + 1e-12)
    above = np.flatnonzero(mean_db > mean_db.max() - BAND_DROP_DB)
    return int((above[-1] + 1) * rate / size)
