"""The encoder on raw samples: what its layers see is what the recipe declares, and a stream in pieces gives what the whole gives."""

import pytest

torch = pytest.importorskip("torch")

from app.lab.config import FRAME_SAMPLES, Net  # noqa: E402
from app.lab.nets import Detector  # noqa: E402
from app.lab.waveform import WaveEncoder, context_samples  # noqa: E402

NET = Net(family="waveform", channels=(8, 8, 8, 8), left_samples=context_samples() - 960, right_samples=960, embedding_size=8)


def test_a_piece_gives_the_frames_of_the_whole():
    encoder = Detector(NET).eval().encoder
    audio = torch.randn(1, context_samples() + 40 * FRAME_SAMPLES)
    with torch.no_grad():
        whole = encoder(audio)[0]
        piece = encoder(audio[:, 15 * FRAME_SAMPLES : 15 * FRAME_SAMPLES + context_samples() + 10 * FRAME_SAMPLES])[0]
    assert whole.shape == (1, 40, 8)
    torch.testing.assert_close(whole[:, 15:25], piece, atol=1e-5, rtol=1e-5)


def test_level_changes_nothing():
    encoder = Detector(NET).eval().encoder
    audio = 0.1 * torch.randn(1, context_samples() + 5 * FRAME_SAMPLES)
    with torch.no_grad():
        torch.testing.assert_close(encoder(audio)[0], encoder(audio / 30)[0], atol=1e-3, rtol=1e-3)


def test_a_wrong_context_is_refused():
    with pytest.raises(ValueError, match="the recipe declares others"):
        WaveEncoder(Net(family="waveform", channels=(8, 8, 8, 8)))
