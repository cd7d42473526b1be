"""PCM bytes to samples: G.711 against Python's own tables, any cut of the bytes, NaN and bounds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.core import pcm

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    audioop = pytest.importorskip("audioop", reason="audioop left Python in 3.13")

BYTES = st.binary(max_size=400)
FORMATS = [(encoding, channels) for encoding in pcm.ENCODINGS for channels in (1, 2, 3)]


@pytest.mark.parametrize(("encoding", "reference"), [("mulaw", audioop.ulaw2lin), ("alaw", audioop.alaw2lin)])
def test_g711_tables_are_those_of_the_reference_codec(encoding: pcm.Encoding, reference: object) -> None:
    codes = bytes(range(256))
    expected = np.frombuffer(reference(codes, 2), "<i2") / 32768  # type: ignore[operator]
    got = pcm.decode(codes, encoding, 1)
    assert got.dtype == np.float32 and got.shape == (1, 256)
    np.testing.assert_array_equal(got[0], expected.astype(np.float32))


@pytest.mark.parametrize(("encoding", "encode"), [("mulaw", audioop.lin2ulaw), ("alaw", audioop.lin2alaw)])
def test_g711_keeps_what_an_encoder_made_of_a_sine(encoding: pcm.Encoding, encode: object) -> None:
    sine = np.rint(20000 * np.sin(np.arange(800) * 0.3)).astype("<i2")
    got = pcm.decode(encode(sine.tobytes(), 2), encoding, 1)[0]  # type: ignore[operator]
    assert np.abs(got - sine / 32768).max() < 0.02


def test_s16_is_divided_by_32768() -> None:
    values = np.arange(-32768, 32768, dtype="<i2")
    got = pcm.decode(values.tobytes(), "pcm_s16le", 1)[0]
    np.testing.assert_array_equal(got * 32768, values)
    assert got.min() == -1 and got.max() < 1


@given(hnp.arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32)))
def test_floats_are_finite_and_bounded_whatever_came(values: np.ndarray) -> None:
    cleaned, bad = pcm.clean_floats(values.astype("<f4").tobytes())
    got = pcm.decode(cleaned, "pcm_f32le", 1)[0]
    finite = np.isfinite(values)
    assert bad == (~finite).sum() and len(got) == len(values)
    np.testing.assert_array_equal(got, np.where(finite, np.clip(values, -pcm.MAX_ABS, pcm.MAX_ABS), 0))


def test_clean_floats_gives_the_very_bytes_when_nothing_is_wrong() -> None:
    data = np.linspace(-9, 9, 64).astype("<f4").tobytes()
    assert pcm.clean_floats(data) == (data, 0)
    assert pcm.clean_floats(b"") == (b"", 0)


@given(st.sampled_from(FORMATS), st.integers(0, 30), st.randoms(use_true_random=False))
def test_channels_are_interleaved(form: tuple[pcm.Encoding, int], frames: int, random: object) -> None:
    encoding, channels = form
    size = pcm.SAMPLE_BYTES[encoding]
    data = np.random.default_rng(random.randrange(1 << 30)).integers(0, 64, frames * channels * size, dtype=np.uint8)  # type: ignore[attr-defined]
    got = pcm.decode(data.tobytes(), encoding, channels)
    assert got.shape == (channels, frames)
    for channel in range(channels):
        alone = data.reshape(frames, channels, size)[:, channel].tobytes()
        np.testing.assert_array_equal(got[channel], pcm.decode(alone, encoding, 1)[0])


@given(st.sampled_from(FORMATS), st.lists(BYTES, max_size=20))
def test_the_framer_loses_nothing_and_cuts_at_frames(form: tuple[pcm.Encoding, int], pieces: list[bytes]) -> None:
    framer = pcm.Framer(*form)
    out = [framer.feed(piece) for piece in pieces]
    assert all(len(piece) % framer.frame_bytes == 0 for piece in out)
    data = b"".join(pieces)
    assert b"".join(out) == data[: len(data) - len(data) % framer.frame_bytes]


@given(BYTES, BYTES)
def test_a_reset_framer_forgets_the_half_frame(before: bytes, after: bytes) -> None:
    framer = pcm.Framer("pcm_f32le", 2)
    framer.feed(before)
    framer.reset()
    assert framer.feed(after) == after[: len(after) - len(after) % 8]
