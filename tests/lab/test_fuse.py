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
from app.lab.windows import TorchScorer  # noqa: E402
from app.scoring.load import load  # noqa: E402

DEEP = Net(
    family="whisper", width=64, blocks=2, used_blocks=(1, 2), frequency_bins=80, left_samples=8480, right_samples=1600,
    embedding_size=12, attention_size=8, head_size=8,
)  # fmt: skip
VOICE = Net(
    family="speaker", piece_tokens=30, left_samples=800, right_samples=1600, embedding_size=576, head="statistics", differences=True, head_size=8
)
FINE = Net(channels=(4, 4, 8, 8), embedding_size=16, attention_size=8, head_size=8)


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(5)
    deep, voice, fine = Detector(DEEP), Detector(VOICE), Detector(FINE)
    for part in deep.encoder.whisper.parameters():
        torch.nn.init.normal_(part, std=0.1)
    voice.head.spread.mean.normal_()
    return [deep.eval(), voice.eval(), fine.eval()]


def sound(count: int, batch: int = 2) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((batch, 8480 + count * FRAME_SAMPLES + 1600))).astype(np.float32)


def alone(parts, audio: torch.Tensor) -> list[torch.Tensor]:
    """Frames of each, from where its own left context begins."""
    return [part.encoder(audio[:, 8480 - part.net.left_samples :])[0] for part in parts]


@pytest.mark.parametrize("weights", [(0.7, 0.4, 0.2), (0.7, 0.4, 0.0)])
def test_frames_and_llr_are_those_of_the_parts(parts, weights):
    fused = Fused(parts, weights).eval()
    audio, mask = torch.from_numpy(sound(30)), torch.ones(2, 30)
    mask[:, 11:14] = 0
    with torch.no_grad():
        frames, _ = fused.encoder(audio)
        own = alone(parts, audio)
        torch.testing.assert_close(frames, torch.cat(own, -1) - torch.cat([torch.zeros(12), parts[1].head.middle(), torch.zeros(16)]))
        llrs = [part.head(rows, mask) for part, rows in zip(parts, own, strict=True)]
        wanted = sum(weight * llr for weight, llr in zip(weights, llrs, strict=True))
        torch.testing.assert_close(fused.head(frames, mask), wanted, atol=1e-4, rtol=1e-4)


def test_all_must_look_as_far_ahead(parts):
    with pytest.raises(ValueError, match="as far ahead"):
        Fused([parts[0], Detector(replace(FINE, left_samples=3520, right_samples=1280))], (1.0, 1.0))


def test_speech_is_what_the_first_says_that_learnt_it(parts):
    """The speaker encoder stood still and knows none: alone it is refused."""
    audio = torch.from_numpy(sound(30))
    with torch.no_grad():
        told = Fused([parts[1], parts[2]], (1.0, 1.0)).eval().encoder(audio[:, 8480 - 3200 :])[1]
        torch.testing.assert_close(told, parts[2].encoder(audio[:, 8480 - 3200 :])[1])
    with pytest.raises(ValueError, match="tell speech"):
        Fused([parts[1]], (1.0,))


def test_the_scorer_used_for_fitting_sees_what_they_see(parts):
    scorer = FusedScorer(parts)
    audio = sound(79)  # one whole number of training pieces of the first
    frames, speech = scorer.encode(audio)
    assert frames.shape == (2, 79, 604) and speech.shape == (2, 79)
    np.testing.assert_allclose(frames[..., 588:], TorchScorer(parts[2], FINE).encode(np.ascontiguousarray(audio[:, 8480 - 3200 :]))[0], atol=1e-5)
    mask = np.ones((2, 79), np.float32)
    total = scorer.judge(frames, mask)
    own = [TorchScorer(part, part.net) for part in parts]
    rows = [each.encode(np.ascontiguousarray(audio[:, 8480 - each.left_samples :]))[0] for each in own]
    wanted = np.stack([each.judge(frames, mask) for each, frames in zip(own, rows, strict=True)], 1)
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
    """With pieces of audio the speaker encoder's maps become 8-bit numbers, Whisper's products do, and nothing of the spectrum net does."""
    fused = Fused(parts, (0.5, 0.3, 0.5)).eval()
    pieces = [sound(25, 1) for _ in range(3)]
    points = {"balanced": {"bonafide_llr": -0.5, "spoof_llr": 0.5}}
    made = export(fused, Recipe(name="pair", net=fused.net), Calibration(operating_points=points), tmp_path / "pair", {}, {}, pieces)
    nodes = onnx.load(made.card.parent / "encoder.onnx").graph.node
    quantised = {node.name for node in nodes if node.op_type in ("MatMulInteger", "QuantizeLinear")}
    assert any("/parts.0/whisper" in name for name in quantised) and any("speaker" in name for name in quantised)
    assert not any("/parts.2/" in name for name in quantised)
    assert load("pair", tmp_path).card.frames.embedding_size == 604
