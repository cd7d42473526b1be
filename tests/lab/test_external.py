"""Somebody else's detector file: scored on what such detectors hear, and turned so that high = spoof."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

import torch

from app.lab import external


class Loudness(torch.nn.Module):
    """A stand-in for somebody's detector: [batch, samples] -> two columns, spoof and bona fide."""

    def forward(self, audio):
        level = audio.abs().mean(1)
        return torch.stack([level, -level], 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TorchScript is what such detectors come as
def test_torchscript_and_onnx_files_are_scored_alike(tmp_path):
    model, clips = Loudness().eval(), [np.full(700, level, np.float32) for level in (0.1, 0.5, 0.3)]
    torch.jit.script(model).save(tmp_path / "theirs.pt")
    torch.onnx.export(model, (torch.zeros(1, 1000),), tmp_path / "theirs.onnx", dynamo=False)
    for score, name in ((external.torchscript_scores, "theirs.pt"), (external.onnx_scores, "theirs.onnx")):
        assert score(tmp_path / name, clips, 1000, "bonafide").tolist() == pytest.approx([0.2, 1.0, 0.6], abs=1e-6)


def test_a_short_clip_is_repeated_and_a_long_one_cut():
    assert external.fitted(np.array([1.0, 2, 3]), 7).tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert external.fitted(np.array([1.0, 2, 3]), 2).tolist() == [1, 2]
