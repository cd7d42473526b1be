"""The detector: an encoder from waveform to one embedding and one speech probability a frame, and a head that pools frames to an llr.

    audio [B, L + 320 n + R] -> encoder -> frames [B, n, D], speech logit [B, n]
    frames, mask -> head, which pools the masked frames -> llr [B]  (natural log, positive = spoof)

Here are the `spectrum` family (Spectrum -> convolutions -> frames; attentive mean and spread) and both heads; `waveform` and `resnet` have files of
their own. In `spectrum` no layer pads in time and none looks further than L to the left and R to the right of its frame, so encoding a stream in
pieces equals encoding it whole; a `resnet` hears each piece by itself. The level is divided out: the verdict cannot follow the gain.
"""

import math
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.lab.config import FRAME_SAMPLES, RATE, Net
from app.lab.resnet import ResNetEncoder, sides
from app.lab.waveform import WaveEncoder

COLUMN_SAMPLES = 160
"""Spectra are taken every 10 ms over 30 ms (three columns' worth of samples)."""
SILENT_POWER = 1e-10
"""Power of white noise at -100 dBFS, about the rounding noise of 16-bit audio: below it a level is not divided out."""
FAR = 8.0
FLOOR = 1e-6
"""Spectral floor, relative to the neighbourhood's mean power: 60 dB down. Weaker traces are coding noise, and differ by corpus."""


class Spectrum(nn.Module):
    """Log power of `bins` bands of 49 Hz between 99 Hz and 8 kHz, level-free. [B, samples] -> [B, samples/160 - 1 - level_columns, bins]

    The Fourier sum is written as two products with fixed matrices. A Hann window is symmetric about its middle, so the window is
    folded first, which halves the work. The cosines have their mean taken out: a constant (DC) gives exactly nothing.
    """

    def __init__(self, bins: int, level_columns: int):
        super().__init__()
        size = 3 * COLUMN_SAMPLES
        time = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
        window = torch.sin(math.pi * (torch.arange(size, dtype=torch.float64) + 0.5) / size) ** 2
        frequency = (RATE / 2) * torch.arange(2, bins + 2, dtype=torch.float64) / (bins + 2)
        angle = 2 * math.pi * frequency[None, :] * time[:, None] / RATE
        cosine = window[:, None] * torch.cos(angle)
        cosine = cosine - window[:, None] * cosine.sum(0) / window.sum()
        scale = 1 / math.sqrt(float((window**2).sum()))  # white noise of variance 1 then has power 1 in each band
        half = size // 2
        self.register_buffer("cosine", (scale * cosine[:half]).float(), persistent=False)
        self.register_buffer("sine", (scale * (window[:, None] * torch.sin(angle))[:half]).float(), persistent=False)
        self.level_columns = level_columns

    def forward(self, audio: Tensor) -> Tensor:
        blocks = audio.reshape(audio.shape[0], -1, COLUMN_SAMPLES)
        left, middle, right = blocks[:, :-2], blocks[:, 1:-1], blocks[:, 2:]
        half = COLUMN_SAMPLES // 2
        start = torch.cat([left, middle[..., :half]], dim=-1)
        end = torch.cat([middle[..., half:], right], dim=-1).flip(-1)
        power = ((start + end) @ self.cosine) ** 2 + ((start - end) @ self.sine) ** 2
        count = self.level_columns
        level = F.avg_pool1d(power.mean(-1).unsqueeze(1), count, stride=1).squeeze(1)
        behind = (count + 1) // 2  # one column more of the past than of the future
        power = power[:, behind : power.shape[1] - (count - 1 - behind)]
        return (torch.log(power / (level.unsqueeze(-1) + SILENT_POWER) + FLOOR) + 6.0) / 3.0  # about zero mean and unit spread


class Encoder(nn.Module):
    """Waveform -> (frames [B, n, D], speech logit [B, n])."""

    def __init__(self, net: Net):
        super().__init__()
        c1, c2, c3, c4 = net.channels
        self.spectrum = Spectrum(net.frequency_bins, net.level_columns)
        self.trunk = nn.Sequential(
            *_conv(1, c1, (4, 7), (2, 2)),
            *_conv(c1, c2, (3, 3), (1, 2)),
            *_conv(c2, c3, (3, 3), (1, 2)),
            *_conv(c3, c4, (3, 3), (1, 2)),
        )
        width = net.embedding_size
        self.join = nn.Sequential(nn.Linear(c4 * math.ceil(net.frequency_bins / 16), width, bias=False), nn.BatchNorm1d(width))
        self.context = nn.Sequential(nn.Conv1d(width, width, 3, dilation=2, bias=False), nn.BatchNorm1d(width), nn.ReLU())
        self.speech = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 1))
        _check_context(net)

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        return self.embed(self.spectrum(audio))

    def hidden(self, audio: Tensor, bands: Tensor) -> Tensor:
        """The spectrum with the bands [B, bins] that are 0 hidden from the learned part."""
        return self.spectrum(audio) * bands.unsqueeze(1)

    def embed(self, spectrum: Tensor, clips: int | None = None) -> tuple[Tensor, Tensor]:
        """The learned part. Apart, because training hides bands of the spectrum, and may run this part (only) in bfloat16."""
        maps = self.trunk(spectrum.unsqueeze(1))  # `clips` says nothing here: a clip is one piece
        rows = maps.permute(0, 2, 1, 3).flatten(2)
        joined = self.join[0](rows).transpose(1, 2)
        joined = torch.relu(self.join[1](joined))
        frames = (joined[..., 2:-2] + self.context(joined)).transpose(1, 2)
        return frames, self.speech(frames).squeeze(-1)


class Head(nn.Module):
    """Frames and mask -> llr. Frames outside the mask are zeroed first and get no weight, whatever they hold."""

    def __init__(self, net: Net):
        super().__init__()
        width = net.embedding_size
        self.look = nn.Sequential(nn.Linear(width, net.attention_size), nn.Tanh(), nn.Linear(net.attention_size, width))
        self.decide = nn.Sequential(nn.Linear(2 * width, net.head_size), nn.ReLU(), nn.Dropout(net.dropout), nn.Linear(net.head_size, 1))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("bias", torch.zeros(()))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        use = (mask > 0.5).unsqueeze(-1)
        frames = torch.where(use, frames, torch.zeros_like(frames))
        weight = torch.softmax(torch.where(use, self.look(frames), torch.full_like(frames, -1e4)), dim=1)
        mean = (weight * frames).sum(1)
        spread = ((weight * (frames - mean.unsqueeze(1)) ** 2).sum(1) + 1e-4).sqrt()
        return self.decide(torch.cat([mean, spread], dim=-1)).squeeze(-1) * self.scale + self.bias


class Spread(nn.Module):
    """Each column to zero mean and unit deviation, by stored figures; at most `FAR` deviations out, so that no odd sound rules by one column."""

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def forward(self, rows: Tensor) -> Tensor:
        return ((rows - self.mean) / self.deviation).clamp(-FAR, FAR)


class CovarianceHead(nn.Module):
    """A head on a `resnet` that stands still: Gram matrices of frames and mask -> llr, the mean of what a few small nets say of the square root of
    the matrices' mean over the masked frames, one matrix a tap and group, each number standardised.

    A few strong directions rule a mean of products; its root brings them nearer to the rest (Li et al. 2018, iSQRT-COV, whose Newton-Schulz steps
    these are: matrix products only). `DAMPING` on the diagonal keeps the root of what hardly varies from being all noise.
    """

    def __init__(self, net: Net):
        super().__init__()
        self.spread = Spread(net.embedding_size)
        self.nets = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(net.dropout),
                nn.Linear(net.embedding_size, net.head_size),
                nn.ReLU(),
                nn.Dropout(net.dropout),
                nn.Linear(net.head_size, 1),
            )
            for _ in range(net.heads)
        )
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("bias", torch.zeros(()))
        self.alike = [(side, len(list(same))) for side, same in groupby(sides(net))]
        """Matrices of one size that follow each other: their roots are taken together."""
        for index, (side, _) in enumerate(self.alike):
            above = torch.triu_indices(side, side)
            place = torch.zeros(side, side, dtype=torch.long)
            place[above[0], above[1]] = place[above[1], above[0]] = torch.arange(above.shape[1])
            self.register_buffer(f"place{index}", place.flatten(), persistent=False)
            self.register_buffer(f"above{index}", above[0] * side + above[1], persistent=False)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        return self.judge(self.pooled(frames, mask))

    def judge(self, rows: Tensor) -> Tensor:
        """What `pooled` makes, [B, D] -> llr [B]"""
        rows = self.spread(rows)
        return torch.cat([net(rows) for net in self.nets], dim=-1).mean(-1) * self.scale + self.bias

    def pooled(self, frames: Tensor, mask: Tensor) -> Tensor:
        """[B, T, D], [B, T] -> [B, D]: the upper half of each root. Frames outside the mask must be finite."""
        row = (mask > 0.5).to(frames.dtype).unsqueeze(1)
        means = (row @ frames).squeeze(1) / row.sum(-1).clamp(min=1)  # a product with the mask runs four times as fast as a sum
        roots = []
        for index, part in enumerate(means.split([count * side * (side + 1) // 2 for side, count in self.alike], dim=-1)):
            side, _ = self.alike[index]
            whole = part.reshape(-1, side * (side + 1) // 2)[:, getattr(self, f"place{index}")].reshape(-1, side, side)
            roots.append(root(whole).flatten(1)[:, getattr(self, f"above{index}")].reshape(-1, part.shape[1]))
        return torch.cat(roots, dim=-1)


DAMPING, NEWTON_STEPS = 1e-2, 8


def root(matrices: Tensor) -> Tensor:
    """[B, n, n] symmetric, positive -> about their square roots, after `NEWTON_STEPS`: exact for all but the smallest eigenvalues.

    Rounded (8-bit) maps and `eightbit._shift` can bring the smallest below nought, on sounds that are no speech to -0.0023 of the trace: the steps
    then give a small negative number. Beyond some three times that they would diverge; bounded as those of any positive matrix are, they end large
    but finite, whatever comes in.
    """
    unit = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    matrices = matrices + DAMPING * unit
    trace = (matrices * unit).sum((1, 2), keepdim=True).clamp(min=DAMPING)
    found, inverse = (matrices / trace).clamp(-1, 1), unit.expand_as(matrices)
    for _ in range(NEWTON_STEPS):
        step = (1.5 * unit - 0.5 * (inverse @ found)).clamp(-1.5, 1.5)
        found, inverse = found @ step, step @ inverse
    return found * trace.sqrt()


FAMILIES = {"spectrum": Encoder, "waveform": WaveEncoder, "resnet": ResNetEncoder}
"""What `Net.family` may say."""
HEADS = {"attention": Head, "covariance": CovarianceHead}
"""What `Net.head` may say."""


class Detector(nn.Module):
    """Encoder, head, and a per-frame judgement that exists only to teach the encoder. ValueError if they do not suit each other."""

    def __init__(self, net: Net):
        super().__init__()
        if (net.family == "resnet") != (net.head == "covariance"):
            raise ValueError("a resnet wants the covariance head, and no other family has what it takes")
        self.net = net
        self.encoder = FAMILIES[net.family](net)
        self.head = HEADS[net.head](net)
        self.frame_judge = nn.Linear(net.embedding_size, 1)


def context_samples(net: Net) -> int:
    """Samples that one frame depends on: its own 320, those to the left and those to the right."""
    columns_of_frames = (1 + 4 + 2 * 3 - 1) * 2 + 4  # context (dilation 2), three 3-kernels, then 4 columns at stride 2
    return (columns_of_frames + net.level_columns - 1 + 2) * COLUMN_SAMPLES


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _conv(inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int]) -> list[nn.Module]:
    """[B, C, time, frequency]; padded in frequency only."""
    return [nn.Conv2d(inputs, outputs, kernel, stride, (0, kernel[1] // 2), bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def _check_context(net: Net) -> None:
    declared = net.left_samples + FRAME_SAMPLES + net.right_samples
    if context_samples(net) != declared:
        raise ValueError(f"the layers see {context_samples(net)} samples a frame, the recipe declares {declared}")
