"""How an encoder that works in pieces hears: a clip is cut as the server sends it, and each piece becomes ln power in mel bands.

    audio [B, 320 T + 800] -> pieces [P, 320 p + 800] -> log-mel [P, 80, 2 p]

The level of the loudest cell and the mean of each band are taken out over the piece at hand, so that gain and DC change nothing; so frames depend on
where the cuts fall (the audits say how much a verdict does). Subclassed by `resnet.ResNetEncoder`.
"""

import math

import torch
from torch import Tensor, nn

from app.lab.config import FRAME_SAMPLES, RATE, Net

BANDS, WINDOW, STEP, FOURIER = 80, 400, 160, 512
EMPHASIS = 0.97
LEAST, SILENT, RANGE = 1e-12, -14.0, 18.4
"""Floor of a cell's power; ln power of the loudest cell of what is not brought up any more; ln range kept below it (80 dB)."""
EDGE_SAMPLES = 800
"""A piece of T frames has 320 T samples and these."""
BEGIN = 440
"""Where in a piece the filter bank starts: the first column of each frame is then centred on the frame's own 320 samples."""


class FilterBank(nn.Module):
    """[B, 320 T + 240] -> [B, 80, 2T]: ln power in Kaldi's mel bands every 10 ms, at most 0 and floored, less each band's mean.

    Kaldi takes the mean off each window of 25 ms, differences it, weighs it (Hamming) and transforms it: all linear, so it is one product.
    """

    def __init__(self) -> None:
        super().__init__()
        rows = torch.eye(WINDOW, dtype=torch.float64)
        rows = rows - rows.mean(1, keepdim=True)
        rows = torch.cat([rows[:, :1] * (1 - EMPHASIS), rows[:, 1:] - EMPHASIS * rows[:, :-1]], 1)
        rows = rows * torch.hamming_window(WINDOW, periodic=False, dtype=torch.float64)
        waves = torch.fft.rfft(rows, FOURIER)
        self.register_buffer("fourier", torch.cat([waves.real, waves.imag], 1).float(), persistent=False)
        self.register_buffer("bands", mel_bands().float(), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        blocks = audio.reshape(audio.shape[0], -1, STEP // 2)
        count = blocks.shape[1] // 2 - 1
        windows = torch.cat([blocks[:, index : index + 2 * count : 2] for index in range(WINDOW // (STEP // 2))], dim=-1)
        real, imaginary = (windows @ self.fourier).chunk(2, dim=-1)
        power = torch.log(torch.clamp((real**2 + imaginary**2) @ self.bands, min=LEAST))
        top = torch.clamp(power.amax(dim=(1, 2), keepdim=True), min=SILENT)
        power = torch.clamp(power - top, min=-RANGE)
        return (power - power.mean(dim=1, keepdim=True)).transpose(1, 2)


def mel_bands() -> Tensor:
    """[257, 80]: Kaldi's triangles between 20 Hz and 8 kHz, straight on its mel scale."""
    mel = 1127 * torch.log(1 + torch.arange(FOURIER // 2 + 1, dtype=torch.float64) * RATE / FOURIER / 700)
    low, high = (1127 * math.log(1 + hertz / 700) for hertz in (20, RATE / 2))
    edges = torch.linspace(low, high, BANDS + 2, dtype=torch.float64)
    rising = (mel[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel[:, None]) / (edges[2:] - edges[1:-1])
    return torch.clamp(torch.minimum(rising, falling), min=0)


class PieceEncoder(nn.Module):
    """Of a piece's frames the first `before` and the last `after` are context for the others: the net hears them, and they are dropped.

    ValueError if the left and right samples of `net` do not make whole frames.
    """

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net
        self.before, self.after = (net.left_samples - EDGE_SAMPLES + FRAME_SAMPLES) // FRAME_SAMPLES, net.right_samples // FRAME_SAMPLES - 1
        if (self.before + self.after) * FRAME_SAMPLES + EDGE_SAMPLES != net.left_samples + net.right_samples:
            raise ValueError(f"left + right samples must be {EDGE_SAMPLES} more than whole frames")
        self.bank = FilterBank()

    def missing(self, count: int) -> int:
        """Frames that `count` frames lack for `cut` to leave nothing over."""
        return -count % (self.net.piece_tokens - self.before - self.after)

    def banks(self, audio: Tensor) -> Tensor:
        """[B, L + 320 n + R] -> log-mel [pieces, 80, 2T] of all its pieces, silence behind the last; in float32: its products span many decades."""
        count = (audio.shape[1] - self.net.left_samples - self.net.right_samples) // FRAME_SAMPLES
        return self.spectrum(self.cut(nn.functional.pad(audio, (0, FRAME_SAMPLES * self.missing(count)))))

    def cut(self, audio: Tensor) -> Tensor:
        """[B, 320 T + 800] -> [B * pieces, 320 * piece_tokens + 800], each with its context: as long as what the server's hops bring, with the same
        edges, where a map has noughts for neighbours. (Where the cuts fall is another matter: the server's first piece is longer, its last shorter.)
        """
        size, edges = self.net.piece_tokens * FRAME_SAMPLES, (self.before + self.after) * FRAME_SAMPLES
        return audio.unfold(1, size + EDGE_SAMPLES, size - edges).flatten(0, 1)

    def spectrum(self, pieces: Tensor) -> Tensor:
        """[pieces, 320 T + 800] -> [pieces, 80, 2T]"""
        return self.bank(pieces[:, BEGIN : pieces.shape[1] - (EDGE_SAMPLES - BEGIN - (WINDOW - STEP))])
