"""How an encoder that works in pieces hears: the filter bank against a plain Fourier transform, what it takes out, where a clip is cut."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from app.lab.config import Net  # noqa: E402
from app.lab.pieces import FilterBank, PieceEncoder, mel_bands  # noqa: E402

NET = Net(family="resnet", piece_tokens=30, left_samples=800, right_samples=1600, head="covariance")
AROUND = NET.left_samples + NET.right_samples


def sound(samples: int, seed: int = 0) -> torch.Tensor:
    """[1, samples]: a voice-like buzz, and noise 30 dB below it."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / 16000
    tones = sum(np.sin(2 * np.pi * 130 * n * time + rng.uniform(0, 6)) / n for n in range(1, 40))
    return torch.from_numpy((0.1 * tones + 0.003 * rng.standard_normal(samples)).astype(np.float32))[None]


def test_filter_bank_is_a_fourier_transform_in_mel_bands():
    audio = sound(320 * 30 + 240)
    windows = audio.double().unfold(1, 400, 160)
    windows = windows - windows.mean(-1, keepdim=True)
    windows = torch.cat([windows[..., :1] * 0.03, windows[..., 1:] - 0.97 * windows[..., :-1]], -1)
    power = torch.fft.rfft(windows * torch.hamming_window(400, periodic=False, dtype=torch.float64), 512).abs() ** 2
    bank = torch.log((power @ mel_bands()).clamp(min=1e-12))
    bank = (bank - bank.amax((1, 2), keepdim=True)).clamp(min=-18.4)
    bank = (bank - bank.mean(1, keepdim=True)).transpose(1, 2).float()
    got = FilterBank()(audio)
    assert got.shape == (1, 80, 60)
    torch.testing.assert_close(got, bank, atol=2e-3, rtol=2e-3)


def test_mel_bands_rise_and_fall_and_leave_nothing_out():
    bands = mel_bands()
    assert bands.shape == (257, 80) and float(bands.min()) == 0
    peaks = bands.argmax(0)
    assert (peaks.diff() >= 0).all() and int(peaks[0]) == 1 and int(peaks[-1]) == 248
    inner = slice(2, 248)  # from the first band's top to the last one's, neighbours share a bin between them
    torch.testing.assert_close(bands[inner].sum(1), torch.ones(246, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("change", [lambda x: x * 0.05, lambda x: x * 3, lambda x: -x, lambda x: x + 0.2], ids=["-26 dB", "+10 dB", "polarity", "DC"])
def test_level_polarity_and_a_constant_change_nothing(change):
    audio = sound(320 * 30 + 240)
    torch.testing.assert_close(FilterBank()(change(audio)), FilterBank()(audio), atol=2e-2, rtol=0)


@pytest.mark.parametrize("audio", [torch.zeros(1, 320 * 30 + 240), torch.full((1, 320 * 30 + 240), 0.5)], ids=["silence", "a constant"])
def test_what_has_no_sound_is_nearly_flat(audio):
    bank = FilterBank()(audio)
    assert torch.isfinite(bank).all() and float(bank.abs().max()) < 1


def test_noise_below_the_floor_is_not_brought_up():
    """The loudest cell of it is still far under `SILENT`, so that its fluctuations are cut off at the range's end."""
    loud = FilterBank()(1e-2 * torch.randn(1, 320 * 30 + 240)).std()
    assert float(FilterBank()(1e-9 * torch.randn(1, 320 * 30 + 240)).std()) < 0.01 * float(loud)


@given(clips=st.integers(1, 3), count=st.integers(0, 120), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_pieces_hold_every_new_frame_once_in_order(clips, count, seed):
    """Each piece begins where the last one's new frames ended: 25 of 30 are new, and `missing` tells what fills up the last piece."""
    encoder = PieceEncoder(NET)
    assert (encoder.before, encoder.after) == (1, 4)
    missing = encoder.missing(count)
    assert 0 <= missing < 25 and (count + missing) % 25 == 0
    if count + missing == 0:
        return
    audio = torch.from_numpy(np.random.default_rng(seed).standard_normal((clips, AROUND + (count + missing) * 320)).astype(np.float32))
    pieces = encoder.cut(audio)
    assert pieces.shape == (clips * (count + missing) // 25, 30 * 320 + 800)
    new = pieces[:, NET.left_samples : -NET.right_samples].reshape(clips, -1)
    assert torch.equal(new, audio[:, NET.left_samples : -NET.right_samples])
    assert encoder.spectrum(pieces[:1]).shape == (1, 80, 60)


def test_a_click_is_loudest_in_its_own_frames_columns():
    """In the middle of the third new frame: the two columns of the frame, after those of the one of context, hold most of it."""
    audio = torch.zeros(1, AROUND + 25 * 320)
    audio[0, NET.left_samples + 2 * 320 + 160] = 0.5
    columns = PieceEncoder(NET).spectrum(audio)[0].mean(0)
    assert set(columns.argsort(descending=True)[:2].tolist()) == {2 * (1 + 2), 2 * (1 + 2) - 1}


def test_left_and_right_must_make_whole_frames():
    with pytest.raises(ValueError, match="800 more than whole frames"):
        PieceEncoder(replace(NET, left_samples=700))
