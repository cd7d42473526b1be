"""Two detectors as one: the frames and llrs are the parts', the weights follow what helps, and the server takes the result."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from app.lab.calibrate import Calibration  # noqa: E402
from app.lab.config import FRAME_SAMPLES, Net, Recipe  # noqa: E402
from app.lab.export import export  # noqa: E402
from app.lab.fuse import Fused, FusedScorer, weigh  # noqa: E402
from app.lab.nets import Detector  # noqa: E402
from app.lab.windows import TorchScorer  # noqa: E402
from app.scoring.load import load  # noqa: E402

DEEP = Net(
    family="whisper", width=64, blocks=2, last_blocks=2, frequency_bins=80, left_samples=8480, right_samples=1600,
    embedding_size=12, attention_size=8, head_size=8,
)  # fmt: skip
FINE = Net(channels=(4, 4, 8, 8), embedding_size=16, attention_size=8, head_size=8)


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(5)
    deep, fine = Detector(DEEP), Detector(FINE)
    for part in deep.encoder.whisper.parameters():
        torch.nn.init.normal_(part, std=0.1)
    return deep.eval(), fine.eval()


def sound(count: int, batch: int = 2) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((batch, 8480 + count * FRAME_SAMPLES + 1600))).astype(np.float32)


def test_frames_and_llr_are_those_of_the_parts(parts):
    deep, fine = parts
    fused = Fused(deep, fine, (0.7, 0.4)).eval()
    audio, mask = torch.from_numpy(sound(30)), torch.ones(2, 30)
    with torch.no_grad():
        frames, _ = fused.encoder(audio)
        alone = deep.encoder(audio)[0], fine.encoder(audio[:, 8480 - FINE.left_samples :])[0]
        torch.testing.assert_close(frames, torch.cat(alone, -1))
        torch.testing.assert_close(fused.head(frames, mask), 0.7 * deep.head(alone[0], mask) + 0.4 * fine.head(alone[1], mask))


def test_both_must_look_as_far_ahead(parts):
    with pytest.raises(ValueError, match="as far ahead"):
        Fused(parts[0], Detector(replace(FINE, left_samples=3520, right_samples=1280)), (1.0, 1.0))


def test_the_scorer_used_for_fitting_sees_what_the_pair_sees(parts):
    deep, fine = parts
    scorer = FusedScorer(deep, fine)
    audio = sound(79)  # one whole number of training pieces
    frames, speech = scorer.encode(audio)
    assert frames.shape == (2, 79, 28) and speech.shape == (2, 79)
    np.testing.assert_allclose(frames[..., 12:], TorchScorer(fine, FINE).encode(np.ascontiguousarray(audio[:, 8480 - 3200 :]))[0], atol=1e-5)
    mask = np.ones((2, 79), np.float32)
    total = scorer.judge(frames, mask)
    assert scorer.both[0].shape == (2, 2)
    np.testing.assert_allclose(total, scorer.both[0].sum(1), atol=1e-5)


def test_weights_follow_what_helps():
    rng = np.random.default_rng(1)
    spoof = np.arange(2000) % 2 == 0
    truth = np.where(spoof, 1.0, -1.0)
    both = np.stack([truth + rng.standard_normal(2000), 0.3 * truth + rng.standard_normal(2000)], 1)
    deep, fine = weigh(both, spoof, np.ones(2000))
    assert deep > 2 * fine > 0
    with pytest.raises(ValueError, match="does not help"):
        weigh(np.stack([truth + rng.standard_normal(2000), -truth + rng.standard_normal(2000)], 1), spoof, np.ones(2000))


def test_the_server_takes_the_pair(parts, tmp_path):
    fused = Fused(*parts, (0.5, 0.5)).eval()
    points = {"balanced": {"bonafide_llr": -0.5, "spoof_llr": 0.5}}
    made = export(fused, Recipe(name="pair", net=fused.net), Calibration(operating_points=points), tmp_path / "pair", {}, {})
    assert made.parity < 5e-3
    assert load("pair", tmp_path).card.frames.embedding_size == 28
