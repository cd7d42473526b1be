"""Several trained detectors as one: each frame carries the embeddings of all, and the llr is a weighted sum of their heads'.

Nets of other kinds err on other clips. The weights are fitted on `dev` by logistic regression at equal class weight, each clip counting once and
each spoof system as the square root of its clips; one detector alone gets a weight too. Called by `voxproof lab fuse`; the result has what `export`
and the scorers ask of a `Detector`.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from app.lab.calibrate import system_weights
from app.lab.config import Net
from app.lab.data import Store
from app.lab.nets import Detector
from app.lab.windows import ClipScore, TorchScorer, score_clips


class FusedEncoder(nn.Module):
    """All encoders over one piece of audio, each from where its own left context begins. What is speech is the opinion of the first."""

    def __init__(self, parts: list[Detector]) -> None:
        super().__init__()
        self.parts, self.skips = nn.ModuleList(part.encoder for part in parts), skips([part.net for part in parts])

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        made = [part(audio[:, skip:]) for part, skip in zip(self.parts, self.skips, strict=True)]
        return torch.cat([frames for frames, _ in made], dim=-1), made[0][1]


def skips(nets: list[Net]) -> list[int]:
    """Samples that each leaves out of the longest left context among them."""
    left = max(net.left_samples for net in nets)
    return [left - net.left_samples for net in nets]


def bounds(nets: list[Net]) -> list[tuple[int, int]]:
    """First column of each one's embedding among all, and the one after its last."""
    return list(pairwise(np.cumsum([0, *(net.embedding_size for net in nets)]).tolist()))


class FusedHead(nn.Module):
    """Frames of all -> weighted sum of their llrs, then the calibration. A head of weight 0 is left out."""

    def __init__(self, parts: list[Detector], weights: tuple[float, ...]) -> None:
        super().__init__()
        self.parts, self.weights = nn.ModuleList(part.head for part in parts), weights
        self.bounds = bounds([part.net for part in parts])
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("bias", torch.zeros(()))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        total = torch.zeros_like(frames[:, 0, 0])
        for part, (begin, end), weight in zip(self.parts, self.bounds, self.weights, strict=True):
            if weight:
                own = frames if len(self.parts) == 1 else frames[..., begin:end]  # of one alone the graph need not copy the window
                total = total + weight * part(own, mask)
        return total * self.scale + self.bias


class Fused(nn.Module):
    """One detector of the geometry of the first of `parts`, with the longest left context of all. ValueError if one looks further ahead than
    another."""

    def __init__(self, parts: list[Detector], weights: tuple[float, ...]) -> None:
        super().__init__()
        nets = [part.net for part in parts]
        if len({net.right_samples for net in nets}) > 1:
            raise ValueError("all must look as far ahead")
        self.net: Net = replace(nets[0], left_samples=max(net.left_samples for net in nets), embedding_size=sum(net.embedding_size for net in nets))
        self.encoder, self.head = FusedEncoder(parts), FusedHead(parts, weights)


class FusedScorer:
    """The parts while their weights are sought: still encoders in training's pieces, a spectrum net whole; llrs of all, side by side."""

    def __init__(self, parts: list[Detector]) -> None:
        nets = [part.net for part in parts]
        self.parts, self.skips = [TorchScorer(part, part.net) for part in parts], skips(nets)
        self.bounds = bounds(nets)
        self.left_samples, self.right_samples = nets[0].left_samples + self.skips[0], nets[0].right_samples
        self.all: list[np.ndarray] = []

    def encode(self, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        made = [part.encode(np.ascontiguousarray(audio[:, skip:])) for part, skip in zip(self.parts, self.skips, strict=True)]
        return np.concatenate([frames for frames, _ in made], axis=-1), made[0][1]

    def judge(self, frames: np.ndarray, mask: np.ndarray) -> np.ndarray:
        llrs = [part.judge(frames[..., begin:end].copy(), mask) for part, (begin, end) in zip(self.parts, self.bounds, strict=True)]
        self.all.append(np.stack(llrs, 1))
        return self.all[-1].sum(1)


def fuse(parts: list[Detector], dev: Store, threshold: float) -> tuple[Fused, list[float]]:
    """The parts with the weights that suit `dev` best, and what they are."""
    scorer = FusedScorer(parts)
    scores: list[ClipScore] = list(score_clips(scorer, (dev[i] for i in range(len(dev))), threshold))
    spoof = np.array([clip.spoof for clip in dev.clips])
    share = system_weights([clip.system for clip in dev.clips], spoof)
    counts = [len(score.windows) for score in scores]
    weight, kind = np.repeat(share / np.maximum(counts, 1), counts), np.repeat(spoof, counts)
    weights = weigh(np.concatenate(scorer.all), kind, weight)
    return Fused(parts, weights).eval(), list(weights)


def weigh(llrs: np.ndarray, spoof: np.ndarray, weight: np.ndarray) -> tuple[float, ...]:
    """[windows, parts] raw llrs -> their weights, none below 0 (the bias is the calibration's affair). ValueError if none helps."""
    size = llrs.shape[1]

    def cost(parameters: np.ndarray) -> float:
        llr = llrs @ parameters[:size] + parameters[size]
        missed = np.average(np.logaddexp(0, -llr[spoof]), weights=weight[spoof])
        accused = np.average(np.logaddexp(0, llr[~spoof]), weights=weight[~spoof])
        return missed + accused + 1e-3 * float(parameters[:size] @ parameters[:size])

    found = minimize(cost, np.array([*[0.5] * size, 0.0]), bounds=[*[(0, None)] * size, (None, None)]).x[:size]
    if not found.any():
        raise ValueError("none of them helps")
    return tuple(round(float(each), 5) for each in found)
