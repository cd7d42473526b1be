"""The classical detector: its features are librosa's, level and DC are nothing to it, and the joined file gives what scikit-learn gives."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")
librosa = pytest.importorskip("librosa")

import torch  # noqa: E402

from app.lab.classic import export  # noqa: E402
from app.lab.classic.draw import fitted, server_windows  # noqa: E402
from app.lab.classic.ensemble import Sizes, fit_ensemble  # noqa: E402
from app.lab.classic.features import FFT, HOP, NAMES, SAMPLES, Features, level  # noqa: E402
from app.lab.config import RATE  # noqa: E402

FRAMED = {"n_fft": FFT, "hop_length": HOP, "center": False}
SMALL = Sizes(trees=8, tree_leaves=16, stages=12, stage_depth=3, svm_windows=24, svm_axes=8)


def voice(seed: int, samples: int = SAMPLES) -> np.ndarray:
    """Speech-like: a gliding pulse train through two moving resonances, syllables, hiss between them."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    pitch = rng.uniform(90, 230) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.3, 1) * time) + 0.002 * rng.standard_normal(samples))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = sum(np.cos(k * phase) * _resonance(k * pitch, time, rng.uniform(0, 6)) for k in range(1, 16))
    syllables = np.clip(np.sin(2 * np.pi * rng.uniform(1.5, 3) * time + seed), 0, 1)
    return (0.1 * syllables * tone + 0.004 * rng.standard_normal(samples)).astype(np.float32)


def _resonance(hertz: np.ndarray, time: np.ndarray, start: float) -> np.ndarray:
    first, second = 500 + 200 * np.sin(3 * time + start), 1500 + 500 * np.sin(2 * time + start)
    return np.exp(-(((hertz - first) / 250) ** 2)) + 0.5 * np.exp(-(((hertz - second) / 300) ** 2))


@pytest.fixture(scope="module")
def features():
    return Features().eval()


@pytest.fixture(scope="module")
def voices():
    return np.stack([voice(seed) for seed in range(4)])


@pytest.fixture(scope="module")
def model(tmp_path_factory, features):
    """(joined file, ensemble): tiny, fitted on voices with and without a hole in the top of their spectrum."""
    folder = tmp_path_factory.mktemp("classic")
    audio = np.stack([voice(seed) for seed in range(24)])
    audio[1::2] = np.stack([np.convolve(row, np.ones(4) / 4, "same") for row in audio[1::2]])
    path = export.write_features(folder / "features.onnx")
    ensemble = fit_ensemble(export.Graph(path, "features")(audio), np.arange(24) % 2 == 1, 3, SMALL)
    ensemble.maps = {"forest": (1.3, -0.2), "boosting": (0.7, 0.1), "svm": (2.0, 0.4)}
    export.write_model(ensemble, path, folder / export.FILE)
    return folder / export.FILE, ensemble


REFERENCES = {
    "mfcc": (lambda y: librosa.feature.mfcc(y=y, sr=RATE, n_mfcc=20, n_mels=40, **FRAMED).T, 0.01),  # dB
    "centroid": (lambda y: librosa.feature.spectral_centroid(y=y, sr=RATE, **FRAMED)[0], 0.1),  # Hz
    "bandwidth": (lambda y: librosa.feature.spectral_bandwidth(y=y, sr=RATE, **FRAMED)[0], 0.1),  # Hz
    "flatness": (lambda y: librosa.feature.spectral_flatness(y=y, **FRAMED)[0], 1e-5),
    "contrast": (lambda y: librosa.feature.spectral_contrast(y=y, sr=RATE, **FRAMED).T, 0.05),  # dB
    "zero_crossings": (lambda y: librosa.feature.zero_crossing_rate(y, frame_length=FFT, hop_length=HOP, center=False)[0], 1e-6),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_librosa_gives_the_same(name, features, voices):
    reference, tolerance = REFERENCES[name]
    audio = level(torch.from_numpy(voices))
    ours = features.frames(audio)[name].numpy()
    for row, found in zip(audio.numpy(), ours, strict=True):
        wanted = reference(row)
        assert found.shape == wanted.shape and wanted.std() > 0
        assert np.abs(found - wanted).max() < tolerance


def test_roll_off_is_librosas_bin_for_bin(features, voices):
    audio = level(torch.from_numpy(voices))
    for row, found in zip(audio.numpy(), features.frames(audio)["roll_off"].numpy(), strict=True):
        wanted = librosa.feature.spectral_rolloff(y=row, sr=RATE, **FRAMED)[0]
        # Where a sum lies on the threshold, rounding may decide for the neighbour.
        assert np.mean(found == wanted) > 0.99 and np.abs(found - wanted).max() <= RATE / FFT


@pytest.mark.parametrize("hertz", [80, 123.4, 210, 333])
def test_the_pitch_of_a_buzz(hertz, features):
    buzz = sum(np.cos(2 * np.pi * k * hertz * np.arange(SAMPLES) / RATE + k) / k for k in range(1, 20)).astype(np.float32)
    octaves, strength = features.pitch(level(torch.from_numpy(buzz[None])))
    assert np.median(np.abs(2 ** octaves.numpy() / hertz - 1)) < 0.01 and np.median(strength.numpy()) > 0.8
    noise = torch.randn(1, SAMPLES, generator=torch.Generator().manual_seed(1))
    assert np.median(features.pitch(level(noise))[1].numpy()) < 0.45


def test_there_is_a_name_for_each_column(features, voices):
    assert features(torch.from_numpy(voices)).shape == (4, len(NAMES)) and len(set(NAMES)) == len(NAMES)


def test_the_file_gives_what_scikit_learn_gives(model, voices):
    path, ensemble = model
    assert export.compare(path, ensemble, voices) < export.PARITY
    scores = export.Graph(path, "score")(voices)
    assert scores.shape == (4,) and scores.std() > 0.1
    assert np.abs(np.concatenate([export.Graph(path, "score")(row[None]) for row in voices]) - scores).max() < 1e-4


def test_a_wrong_file_is_noticed(model, voices):
    path, ensemble = model
    maps, ensemble.maps = ensemble.maps, {**ensemble.maps, "svm": (2.0, 1.0)}
    try:
        with pytest.raises(RuntimeError, match="differs"):
            export.compare(path, ensemble, voices)
    finally:
        ensemble.maps = maps


def test_the_graph_gives_the_features_of_the_module(model, features, voices):
    given = export.Graph(model[0], "features")(voices)
    wanted = features(torch.from_numpy(voices)).numpy()
    assert np.abs(given - wanted).max() < 0.01


@pytest.mark.parametrize("change", [lambda x: 0.01 * x, lambda x: -x, lambda x: x + 0.05], ids=["40 dB less", "polarity", "DC"])
def test_level_polarity_and_dc_are_nothing(change, features, voices):
    before, after = (features(torch.from_numpy(x).float()).numpy() for x in (voices, change(voices)))
    spread = before.std(0) + 0.05
    assert np.median(np.abs(after - before) / spread) < 1e-3 and (np.abs(after - before) / spread).max() < 0.2


@pytest.mark.parametrize(
    "sound",
    [np.zeros(SAMPLES), np.full(SAMPLES, 0.3), np.eye(1, SAMPLES, 9)[0], np.r_[np.zeros(SAMPLES // 2), voice(5)[: SAMPLES // 2]], np.sign(voice(6))],
    ids=["silence", "DC", "click", "half silent", "clipped"],
)
def test_no_sound_gives_nan(sound, model):
    assert np.isfinite(export.Graph(model[0], "features")(sound[None])).all()
    assert np.isfinite(export.Graph(model[0], "score")(sound[None])).all()


def test_windows_are_cut_as_the_server_cuts_them():
    clip = voice(8, round(2.7 * RATE))
    cut = list(server_windows(clip))
    assert len(cut) == 5  # they end at 1, 1.5, 2, 2.5 and 2.7 s
    assert (cut[-1][0] == fitted(clip)).all() and (fitted(clip)[len(clip) :] == clip[: SAMPLES - len(clip)]).all()
    assert sum(new for _, new in cut) <= len(clip)
    assert not list(server_windows(np.zeros(RATE)))
