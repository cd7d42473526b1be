"""The neural vocoder with small random weights, its mel against librosa's, and tunes that end."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from app.lab import midi, neural
from app.lab.config import RATE


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A generator of 16 channels in the published file's layout: direction and norm of each kernel apart."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    sizes = {"conv_pre": (16, 80, 7), "conv_post": (1, 1, 7)}
    for stage, (_, kernel) in enumerate(neural.UPSAMPLING):
        inner = 16 >> (stage + 1)
        sizes[f"ups.{stage}"] = (inner * 2, inner, kernel)
        for place, size in enumerate(neural.KERNELS):
            for row in (1, 2):
                for index in range(3):
                    sizes[f"resblocks.{stage * 3 + place}.convs{row}.{index}"] = (inner, inner, size)
    state = {}
    for name, size in sizes.items():
        direction = torch.randn(size)
        state |= {f"{name}.weight_v": direction, f"{name}.weight_g": torch.ones(size[0], 1, 1)}
        state[f"{name}.bias"] = 0.1 * torch.randn(size[1] if name.startswith("ups") else size[0])
    folder = tmp_path_factory.mktemp("weights")
    (folder / neural.WEIGHTS).parent.mkdir(parents=True)
    torch.save({"generator": state}, folder / neural.WEIGHTS)
    return folder


@pytest.mark.parametrize("perturbed", [False, True])
def test_copies_keep_length_and_peak_and_follow_the_seed(weights, perturbed):
    audio = (0.3 * np.sin(np.arange(7001) * 0.05)).astype(np.float32)
    made = [neural.hifigan(audio, weights, np.random.default_rng(5), perturbed) for _ in range(2)]
    assert made[0].shape == audio.shape and np.isfinite(made[0]).all() and np.array_equal(*made)
    assert np.abs(made[0]).max() == pytest.approx(0.3, rel=1e-2)


def test_perturbed_mels_keep_their_size():
    mel = neural.log_mel(np.random.default_rng(0).standard_normal(22050).astype(np.float32) * 0.1)
    assert mel.shape == (neural.BANDS, -(-22050 // neural.HOP))
    for seed in range(30):
        changed = neural.perturb(mel, np.random.default_rng(seed))
        assert changed.shape == mel.shape and np.isfinite(changed).all()


def test_mel_bank_is_librosas():
    librosa = pytest.importorskip("librosa")
    theirs = librosa.filters.mel(sr=neural.VOCODER_RATE, n_fft=neural.SIZE, n_mels=neural.BANDS, fmin=0, fmax=neural.TOP_HZ)
    assert np.abs(neural.slaney_bank() - theirs).max() < 1e-7


def test_every_note_struck_is_let_go():
    """A note that never ends keeps the player at it for ever."""
    for seed in range(40):
        held = {}
        for time, (kind, values) in sorted(midi.tune(np.random.default_rng(seed)), key=lambda note: note[0]):
            assert 0 <= time <= midi.SECONDS + midi.GAP
            if kind.startswith("note"):
                held[values["channel"], values["note"]] = kind == "note_on"
            elif kind == "control_change":
                held = {key: on for key, on in held.items() if key[0] != values["channel"]}
        assert not any(held.values())


def test_midi_clips_are_as_long_as_asked():
    pytest.importorskip("mido")
    if not midi.FONT.exists():
        pytest.skip("fluid-soundfont-gm is not installed")
    clip = midi.midi_clip(1, 3)
    assert clip.shape == (midi.SECONDS * RATE,) and np.abs(clip).max() == pytest.approx(0.5)
