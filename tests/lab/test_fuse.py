"""Several detectors as one: the frames and llrs are the parts', the weights follow what helps, and the server takes the result."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("scipy")

from app.lab.calibrate import Calibration  # noqa: E402
from app.lab.config import FRAME_SAMPLES, Net, Recipe  # noqa: E402
from app.lab.export import export  # noqa: E402
from app.lab.fuse import Fused, FusedScorer, weigh  # noqa: E402
from app.lab.nets import Detector  # noqa: E402
from app.lab.waveform import context_samples  # noqa: E402
from app.lab.windows import TorchScorer  # noqa: E402
from app.scoring.load import load  # noqa: E402

VOICE = Net(
    family="resnet", taps=(1,), groups=(1,), piece_tokens=30, left_samples=800, right_samples=1600, embedding_size=528, head="covariance", head_size=8
)
WAVE = Net(
    family="waveform", channels=(8, 8, 8, 8), left_samples=context_samples() - 1600, right_samples=1600, embedding_size=12, attention_size=8,
    head_size=8,
)  # fmt: skip
FINE = Net(channels=(4, 4, 8, 8), embedding_size=16, attention_size=8, head_size=8)
LEFT = FINE.left_samples
"""The longest among them."""


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(5)
    made = [Detector(net).eval() for net in (VOICE, WAVE, FINE)]
    made[0].encoder.settle(torch.randn(4, 800 + 25 * FRAME_SAMPLES + 1600))
    return made


def sound(count: int, batch: int = 2) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((batch, LEFT + count * FRAME_SAMPLES + 1600))).astype(np.float32)


def alone(parts, audio: torch.Tensor) -> list[torch.Tensor]:
    """Frames of each, from where its own left context begins."""
    return [part.encoder(audio[:, LEFT - part.net.left_samples :])[0] for part in parts]


@pytest.mark.parametrize("weights", [(0.7, 0.4, 0.2), (0.7, 0.4, 0.0)])
def test_frames_and_llr_are_those_of_the_parts(parts, weights):
    fused = Fused(parts, weights).eval()
    audio, mask = torch.from_numpy(sound(30)), torch.ones(2, 30)
    mask[:, 11:14] = 0
    with torch.no_grad():
        frames, _ = fused.encoder(audio)
        own = alone(parts, audio)
        torch.testing.assert_close(frames, torch.cat(own, -1))
        llrs = [part.head(rows, mask) for part, rows in zip(parts, own, strict=True)]
        wanted = sum(weight * llr for weight, llr in zip(weights, llrs, strict=True))
        torch.testing.assert_close(fused.head(frames, mask), wanted, atol=1e-4, rtol=1e-4)


def test_all_must_look_as_far_ahead(parts):
    with pytest.raises(ValueError, match="as far ahead"):
        Fused([parts[0], Detector(replace(FINE, left_samples=3520, right_samples=1280))], (1.0, 1.0))


def test_one_alone_is_itself(parts):
    """But for the weight and the calibration."""
    fused = Fused(parts[:1], (0.8,)).eval()
    fused.head.bias.fill_(0.5)
    audio, mask = torch.from_numpy(sound(30))[:, LEFT - 800 :], torch.ones(2, 30)
    with torch.no_grad():
        (frames, speech), (own, told) = fused.encoder(audio), parts[0].encoder(audio)
        assert torch.equal(frames, own) and torch.equal(speech, told) and fused.net == VOICE
        torch.testing.assert_close(fused.head(frames, mask), 0.8 * parts[0].head(own, mask) + 0.5)


def test_speech_is_what_the_first_says(parts):
    audio = torch.from_numpy(sound(30))
    with torch.no_grad():
        for order in (parts, parts[::-1]):
            told = Fused(order, (1.0,) * 3).eval().encoder(audio)[1]
            torch.testing.assert_close(told, order[0].encoder(audio[:, LEFT - order[0].net.left_samples :])[1])


def test_the_scorer_used_for_fitting_sees_what_they_see(parts):
    scorer = FusedScorer(parts)
    audio = sound(75)  # a whole number of training's pieces
    frames, speech = scorer.encode(audio)
    assert frames.shape == (2, 75, 528 + 12 + 16) and speech.shape == (2, 75)
    own = [TorchScorer(part, part.net) for part in parts]
    made = [each.encode(np.ascontiguousarray(audio[:, LEFT - each.left_samples :])) for each in own]
    np.testing.assert_allclose(frames, np.concatenate([rows for rows, _ in made], -1), atol=1e-5)
    np.testing.assert_allclose(speech, made[0][1], atol=1e-5)
    mask = np.ones((2, 75), np.float32)
    total = scorer.judge(frames, mask)
    wanted = np.stack([each.judge(rows, mask) for each, (rows, _) in zip(own, made, strict=True)], 1)
    np.testing.assert_allclose(scorer.all[0], wanted, atol=1e-4)
    np.testing.assert_allclose(total, wanted.sum(1), atol=1e-4)


def test_weights_follow_what_helps():
    rng = np.random.default_rng(1)
    spoof = np.arange(2000) % 2 == 0
    truth = np.where(spoof, 1.0, -1.0)
    both = np.stack([truth + rng.standard_normal(2000), 0.3 * truth + rng.standard_normal(2000)], 1)
    deep, fine = weigh(both, spoof, np.ones(2000))
    assert deep > 2 * fine > 0
    assert weigh(np.stack([truth + rng.standard_normal(2000), -truth + rng.standard_normal(2000)], 1), spoof, np.ones(2000))[1] == 0
    with pytest.raises(ValueError, match="none of them helps"):
        weigh(-both, spoof, np.ones(2000))


def test_the_server_takes_them(parts, tmp_path):
    """With pieces of audio the residual encoder's maps become 8-bit numbers, and nothing of the others does."""
    fused = Fused(parts, (0.5, 0.3, 0.5)).eval()
    pieces = [sound(25, 1) for _ in range(3)]
    points = {"balanced": {"bonafide_llr": -0.5, "spoof_llr": 0.5}}
    made = export(fused, Recipe(name="three", net=fused.net), Calibration(operating_points=points), tmp_path / "three", {}, {}, pieces)
    nodes = onnx.load(made.card.parent / "encoder.onnx").graph.node
    quantised = {node.name for node in nodes if node.op_type == "QuantizeLinear"}
    assert quantised and all("/parts.0/speaker" in name for name in quantised)
    card = load("three", tmp_path).card
    assert card.frames.embedding_size == 556 and card.frames.left_samples == LEFT and card.frames.one_at_a_time
