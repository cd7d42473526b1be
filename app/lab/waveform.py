"""A frame encoder on raw samples, after RawNet2 (Jung et al. 2020; Tak et al. 2021 for spoofing): learned filters instead of a spectrum.

    audio [B, L + 320 n + R] -> 64 filters, stride 20 -> magnitude -> max over 4 -> three residual stages -> frames [B, n, D]

Nothing pads in time, so that a stream in pieces gives what the whole gives. The level is divided out over each 70 ms before the filters.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.lab.config import FRAME_SAMPLES, Net

FILTER_SAMPLES, STRIDE_SAMPLES = 260, 20
LEVEL_SAMPLES = 1120
SILENT_POWER = 1e-10


class Residual(nn.Module):
    """Two 'valid' convolutions of 3 with a way round them: 4 steps shorter."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.through = nn.Sequential(
            nn.Conv1d(inputs, outputs, 3, bias=False),
            nn.BatchNorm1d(outputs),
            nn.ReLU(),
            nn.Conv1d(outputs, outputs, 3, bias=False),
            nn.BatchNorm1d(outputs),
        )
        self.past = nn.Conv1d(inputs, outputs, 1, bias=False)

    def forward(self, steps: Tensor) -> Tensor:
        return torch.relu(self.through(steps) + self.past(steps[..., 2:-2]))


class WaveEncoder(nn.Module):
    """Waveform -> (frames [B, n, D], speech logit [B, n]), as `nets.Encoder`. `channels`: of the filters and of the three stages."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        filters, *stages = net.channels
        self.filters = nn.Conv1d(1, filters, FILTER_SAMPLES, STRIDE_SAMPLES, bias=False)
        self.even = nn.BatchNorm1d(filters)
        self.stages = nn.ModuleList(Residual(a, b) for a, b in zip((filters, *stages[:-1]), stages, strict=True))
        self.join = nn.Sequential(nn.Conv1d(stages[-1], net.embedding_size, 4, 4, bias=False), nn.BatchNorm1d(net.embedding_size), nn.ReLU())
        self.speech = nn.Sequential(nn.Linear(net.embedding_size, 32), nn.ReLU(), nn.Linear(32, 1))
        if net.left_samples + net.right_samples != context_samples():
            raise ValueError(f"the layers see {context_samples()} samples around a frame's own, the recipe declares others")

    def hidden(self, audio: Tensor, bands: Tensor) -> Tensor:
        """The levelled samples; there are no bands to hide."""
        return self.levelled(audio)

    def levelled(self, audio: Tensor) -> Tensor:
        audio = audio.unsqueeze(1)
        power = F.avg_pool1d(audio**2, LEVEL_SAMPLES, FRAME_SAMPLES // 4)
        # Each as often as it has samples; after `repeat_interleave` the ONNX exporter knows no more how many axes there are, and cannot join frames.
        power = power.unsqueeze(-1).expand(-1, -1, -1, FRAME_SAMPLES // 4).flatten(-2)
        edge = LEVEL_SAMPLES // 2
        middle = audio[..., edge : edge + power.shape[-1]]
        return middle * torch.rsqrt(power + SILENT_POWER)

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        return self.embed(self.levelled(audio))

    def embed(self, samples: Tensor, clips: int | None = None) -> tuple[Tensor, Tensor]:
        """The learned part; `clips` says nothing here, a clip is one piece."""
        steps = F.max_pool1d(self.even(torch.log(self.filters(samples).abs() + 1e-2)), 4)
        for stage in self.stages:
            steps = stage(steps)
        frames = self.join(steps).transpose(1, 2)
        return frames, self.speech(frames).squeeze(-1)


def context_samples() -> int:
    """Samples around a frame's own 320 that it depends on, rounded up to the steps of the pools."""
    steps = 4 + 3 * 4  # the join, and three stages
    filtered = steps * 4 * STRIDE_SAMPLES + FILTER_SAMPLES - STRIDE_SAMPLES
    step = FRAME_SAMPLES // 4
    return -(-filtered // step) * step + LEVEL_SAMPLES - step - FRAME_SAMPLES
