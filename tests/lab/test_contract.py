"""The promises of an exported pair of graphs, on a small untrained net: context, parity, mask, padding, batch, level, DC, polarity."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from app.lab.calibrate import Calibration  # noqa: E402
from app.lab.config import FRAME_SAMPLES, Net, Recipe  # noqa: E402
from app.lab.export import export  # noqa: E402
from app.lab.nets import Detector, context_samples  # noqa: E402
from app.lab.windows import OnnxScorer  # noqa: E402

NET = Net(channels=(8, 8, 16, 16), embedding_size=32, attention_size=16, head_size=16)
CONTEXT = NET.left_samples + NET.right_samples


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    model = Detector(NET)
    model.train()
    for _ in range(3):  # give the batch norms statistics of their own, so that folding them is really tested
        model.encoder(torch.randn(4, CONTEXT + 50 * FRAME_SAMPLES))
    path = tmp_path_factory.mktemp("light")
    made = export(model, Recipe(net=NET), Calibration(scale=1.7, bias=-0.3, operating_points={}), path, {}, {})
    assert made.parity < 1e-4  # torch against onnxruntime
    return path


@pytest.fixture(scope="module")
def scorer(folder):
    return OnnxScorer(folder, NET.left_samples, NET.right_samples)


@pytest.fixture
def audio():
    rng = np.random.default_rng(5)
    count = CONTEXT + 120 * FRAME_SAMPLES
    return (rng.standard_normal((2, count)) * 0.05 * (1 + np.sin(np.arange(count) / 3000))).astype(np.float32)


def test_card_names_the_files_it_came_with(folder):
    card = json.loads((folder / "card.json").read_text())
    assert card["kind"] == "frames" and set(card["files"]) == {"encoder.onnx", "head.onnx"}
    assert card["calibration"] == {"scale": 1.7, "bias": -0.3, "fitted_on": "dev"}


def test_layers_see_what_is_declared():
    assert context_samples(NET) == CONTEXT + FRAME_SAMPLES


@pytest.mark.parametrize("chunk", [1, 7, 25])
def test_pieces_encode_as_the_whole(scorer, audio, chunk):
    whole, speech = scorer.encode(audio)
    count = whole.shape[1] // chunk * chunk
    parts = [scorer.encode(audio[:, i * FRAME_SAMPLES : (i + chunk) * FRAME_SAMPLES + CONTEXT]) for i in range(0, count, chunk)]
    assert np.allclose(np.concatenate([part[0] for part in parts], 1), whole[:, :count], atol=1e-4)
    assert np.allclose(np.concatenate([part[1] for part in parts], 1), speech[:, :count], atol=1e-4)


def test_a_frame_depends_on_its_context_and_nothing_else(scorer, audio):
    frames, _ = scorer.encode(audio)
    changed = audio.copy()
    index = 60
    changed[:, : index * FRAME_SAMPLES] *= np.linspace(-9, 9, index * FRAME_SAMPLES, dtype=np.float32)
    changed[:, (index + 1) * FRAME_SAMPLES + CONTEXT :] = -0.3
    other, _ = scorer.encode(changed)
    assert np.allclose(frames[:, index], other[:, index], atol=1e-5)
    assert not np.allclose(frames[:, index - 9], other[:, index - 9], atol=1e-3)


def test_level_polarity_and_dc_do_not_matter(scorer, audio):
    frames, speech = scorer.encode(audio)
    for other in (audio * 10 ** (-25 / 20), audio * 4, -audio, audio + 0.05):
        changed, changed_speech = scorer.encode(other.astype(np.float32))
        assert np.allclose(frames, changed, atol=0.01 * np.abs(frames).max())
        assert np.allclose(speech, changed_speech, atol=0.01)


def test_batch_does_not_matter(scorer, audio):
    frames, _ = scorer.encode(audio)
    mask = np.ones(frames.shape[:2], np.float32)
    llr = scorer.judge(frames, mask)
    for row in range(2):
        alone, _ = scorer.encode(audio[row : row + 1])
        assert np.allclose(alone[0], frames[row], atol=1e-4)
        assert scorer.judge(alone, mask[:1])[0] == pytest.approx(llr[row], abs=1e-4)


def test_masked_frames_and_padding_do_not_matter(scorer, audio):
    frames, _ = scorer.encode(audio)
    mask = (np.random.default_rng(6).random(frames.shape[:2]) < 0.6).astype(np.float32)
    llr = scorer.judge(frames, mask)
    noisy = np.where(mask[..., None] > 0, frames, np.float32(1e6))
    assert np.allclose(scorer.judge(noisy, mask), llr, atol=1e-4)
    padded = np.pad(frames, ((0, 0), (0, 80), (0, 0)), constant_values=np.float32(3e38))
    assert np.allclose(scorer.judge(padded, np.pad(mask, ((0, 0), (0, 80)))), llr, atol=1e-4)
    used = frames[:1, mask[0] > 0]
    assert scorer.judge(used, np.ones(used.shape[:2], np.float32))[0] == pytest.approx(llr[0], abs=1e-4)


def test_nothing_to_pool_is_finite(scorer):
    assert np.isfinite(scorer.judge(np.ones((2, 200, NET.embedding_size), np.float32), np.zeros((2, 200), np.float32))).all()


def test_silence_is_finite(scorer):
    frames, speech = scorer.encode(np.zeros((1, CONTEXT + 10 * FRAME_SAMPLES), np.float32))
    assert np.isfinite(frames).all() and np.isfinite(speech).all()
