"""Measurements of a stretch of audio: level, clipping, bandwidth, on sounds whose values are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.core.quality import CLIP_LEVEL, FLOOR_DBFS, LOW_DBFS, NARROW_HZ, measure

RATE = 16000


def low_passed(hertz: float, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    count = int(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(count))
    spectrum[np.fft.rfftfreq(count, 1 / rate) > hertz] = 0
    return (0.1 * np.fft.irfft(spectrum, count)).astype(np.float32)


@pytest.mark.parametrize("amplitude", [1.0, 0.5, 0.01, 0.001])
def test_the_level_of_a_sine(amplitude: float) -> None:
    sine = (amplitude * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)).astype(np.float32)
    assert measure(sine, RATE, bandwidth=False).level_dbfs == pytest.approx(20 * math.log10(amplitude) - 3.01, abs=0.1)


@given(hnp.arrays(np.float32, st.integers(0, 3000), elements=st.floats(-4, 4, width=32)), st.booleans())
def test_any_audio_has_finite_measurements(samples: np.ndarray, bandwidth: bool) -> None:
    quality = measure(samples, RATE, bandwidth=bandwidth)
    assert FLOOR_DBFS <= quality.level_dbfs <= 12.1 and 0 <= quality.clipping <= 1
    clipped = np.count_nonzero(np.abs(samples) >= CLIP_LEVEL) / max(1, samples.size)
    assert quality.clipping == pytest.approx(clipped, abs=1e-4)
    assert quality.bandwidth_hz is None or 0 < quality.bandwidth_hz <= RATE / 2 + RATE / 512


def test_silence_is_at_the_floor() -> None:
    assert measure(np.zeros(8000, np.float32), RATE, bandwidth=True) == measure(np.zeros(0, np.float32), RATE, bandwidth=True)
    assert measure(np.zeros(8000, np.float32), RATE, bandwidth=True).level_dbfs == FLOOR_DBFS


@pytest.mark.parametrize("hertz", [1000, 3400, 5000, 7000])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_bandwidth_is_where_the_spectrum_ends(hertz: int, rate: int) -> None:
    found = measure(low_passed(hertz, rate=rate), rate, bandwidth=True).bandwidth_hz
    # The window of 512 samples smears an edge by a few bins.
    assert found is not None and hertz - rate / 512 <= found <= hertz + 5 * rate / 512


def test_telephone_speech_is_told_from_wide() -> None:
    narrow, wide = (measure(low_passed(hertz), RATE, bandwidth=True).bandwidth_hz for hertz in (3500, 7500))
    assert narrow is not None and wide is not None and narrow < NARROW_HZ < wide


def test_bandwidth_is_not_claimed_for_what_is_too_quiet_too_short_or_not_asked() -> None:
    assert measure(low_passed(3400), RATE, bandwidth=False).bandwidth_hz is None
    assert measure(low_passed(3400) * 10 ** (LOW_DBFS / 20), RATE, bandwidth=True).bandwidth_hz is None
    assert measure(low_passed(3400)[:1500], RATE, bandwidth=True).bandwidth_hz is None


@given(st.integers(0, 100))
def test_a_share_of_clipped_samples(percent: int) -> None:
    samples = np.full(100, 0.2, np.float32)
    samples[:percent] = -1.0
    assert measure(samples, RATE, bandwidth=False).clipping == percent / 100
