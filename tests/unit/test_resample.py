"""The streaming resampler: the same samples however the stream was cut, right in length, amplitude and time, bounded in delay."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.resample import Resampler

TARGET = 16000
RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44099, 44100, 48000, 88200, 95999, 96000]
# Small numbers, multiplied: hypothesis draws from a large range mostly what is near its end.
ANY_RATE = st.one_of(st.sampled_from(RATES), st.integers(0, 231).map(lambda n: 8000 + 379 * n))
# How late the stream may come, in ms of audio fed: soxr hands its output out in bursts, at low rates the rarest.
MOST_DELAY_MS = {8000: 140, 11025: 125, 16000: 0, 22050: 65, 44100: 65, 48000: 60, 96000: 105}


def noise(rate: int, count: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(rate + channels).uniform(-1, 1, (channels, count)).astype(np.float32)


def resampled(samples: np.ndarray, rate: int, cuts: list[int] | None = None) -> np.ndarray:
    resampler = Resampler(rate, TARGET, samples.shape[0])
    pieces = np.split(samples, sorted(c for c in cuts or [] if c <= samples.shape[1]), axis=1)
    return np.concatenate([*(resampler.feed(piece) for piece in pieces), resampler.flush()], axis=1)


@settings(max_examples=150)
@given(
    ANY_RATE,
    st.integers(0, 200).map(lambda n: 101 * n),
    st.lists(st.integers(0, 200).flatmap(lambda n: st.integers(0, 99).map(lambda m: 100 * n + m)), max_size=30),
    st.integers(1, 2),
)
def test_no_cut_changes_a_sample(rate: int, count: int, cuts: list[int], channels: int) -> None:
    samples = noise(rate, count, channels)
    whole = resampled(samples, rate)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(resampled(samples, rate, cuts), whole)
    assert abs(whole.shape[1] - round(count * TARGET / rate)) <= 1


@pytest.mark.parametrize("rate", [8000, 44099, 48000])
def test_sample_by_sample_is_the_same_too(rate: int) -> None:
    samples = noise(rate, 2500)
    np.testing.assert_array_equal(resampled(samples, rate, list(range(2500))), resampled(samples, rate))


@settings(max_examples=60)
@given(ANY_RATE, st.integers(0, 200).map(lambda n: 997 * n))
def test_length_is_what_the_rates_say(rate: int, count: int) -> None:
    assert abs(resampled(np.zeros((1, count), np.float32), rate).shape[1] - round(count * TARGET / rate)) <= 1


@pytest.mark.parametrize("rate", RATES)
def test_equals_the_one_shot_resampler(rate: int) -> None:
    samples = noise(rate, rate)[0]
    got = resampled(samples[None], rate)[0]
    np.testing.assert_allclose(got, soxr.resample(samples, rate, TARGET, "HQ"), atol=1e-4)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hertz", [100, 1000, 3400])
def test_a_sine_keeps_amplitude_and_time(rate: int, hertz: int) -> None:
    got = resampled(np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32)[None], rate)[0]
    expected = np.sin(2 * np.pi * hertz * np.arange(len(got)) / TARGET)
    np.testing.assert_allclose(got[800:-800], expected[800:-800], atol=2e-3)


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
def test_what_lies_above_the_target_band_is_gone(rate: int) -> None:
    got = resampled(np.sin(2 * np.pi * 9500 * np.arange(rate) / rate).astype(np.float32)[None], rate)[0]
    assert np.abs(got[800:-800]).max() < 1e-3


@pytest.mark.parametrize("rate", [8000, 44099, 48000])
def test_channels_do_not_touch(rate: int) -> None:
    samples = noise(rate, rate // 2, 2)
    both = resampled(samples, rate, [777, 5001])
    for channel in (0, 1):
        np.testing.assert_allclose(both[channel], resampled(samples[channel : channel + 1], rate)[0], atol=1e-6)


def test_equal_rates_pass_through_untouched() -> None:
    samples = noise(TARGET, 12345, 2)
    np.testing.assert_array_equal(resampled(samples, TARGET, [1, 2, 9000]), samples)


@pytest.mark.parametrize("rate", sorted(MOST_DELAY_MS))
def test_the_stream_does_not_come_late(rate: int) -> None:
    resampler = Resampler(rate, TARGET, 1)
    fed, made, worst = 0, 0, 0.0
    while fed < 3 * rate:
        made += resampler.feed(np.zeros((1, rate // 500), np.float32)).shape[1]
        fed += rate // 500
        worst = max(worst, fed / rate * 1000 - made / TARGET * 1000)
    assert worst <= MOST_DELAY_MS[rate]
