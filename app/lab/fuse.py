"""Two trained detectors as one: each frame carries the embeddings of both, and the llr is a weighted sum of both heads'.

A spectrum net sees fine detail in frequency that Whisper's 80 mel bands blur, and errs on other clips. The weights are fitted on `dev` by
logistic regression at equal class weight, each clip counting once and each spoof system as the square root of its clips. Called by
`voxproof lab fuse`; the result has what `export` and the scorers ask of a `Detector`.
"""

from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from app.lab.calibrate import system_weights
from app.lab.config import Net
from app.lab.data import Store
from app.lab.nets import Detector, StatisticsHead, moments
from app.lab.windows import ClipScore, TorchScorer, score_clips


class FusedEncoder(nn.Module):
    """Both encoders over one piece of audio, each from where its own left context begins. What is speech is the spectrum net's opinion: the
    other's encoder stood still and never learnt it. `middle` is taken off the deep frames, so that the head need not take it off a window of them."""

    def __init__(self, deep: nn.Module, fine: nn.Module, skips: tuple[int, int], middle: Tensor) -> None:
        super().__init__()
        self.deep, self.fine, self.skips = deep, fine, skips
        self.register_buffer("middle", middle.clone())

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        (deep, _), (fine, speech) = self.deep(audio[:, self.skips[0] :]), self.fine(audio[:, self.skips[1] :])
        return torch.cat([deep - self.middle, fine], dim=-1), speech


def skips(deep: Net, fine: Net) -> tuple[int, int]:
    """Samples that each leaves out of the longer left context of the two."""
    left = max(deep.left_samples, fine.left_samples)
    return left - deep.left_samples, left - fine.left_samples


class FusedHead(nn.Module):
    """Frames of both -> weighted sum of both llrs, then the calibration. A statistics head gets the moments of all columns: two products of a window,
    and no copy of its deep half."""

    def __init__(self, deep: nn.Module, fine: nn.Module, size: int, weights: tuple[float, float]) -> None:
        super().__init__()
        self.deep, self.fine, self.size = deep, fine, size
        self.register_buffer("weights", torch.tensor(weights))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("bias", torch.zeros(()))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        if isinstance(self.deep, StatisticsHead):
            mean, square, count = moments(frames, mask)
            deep = self.deep.judge(self.deep.statistics(mean[:, : self.size], square[:, : self.size], count))
        else:
            deep = self.deep(frames[..., : self.size], mask)
        llr = self.weights[0] * deep + self.weights[1] * self.fine(frames[..., self.size :], mask)
        return llr * self.scale + self.bias


class Fused(nn.Module):
    """`deep` (pre-trained) and `fine` (spectrum) as one detector of the geometry of `deep`."""

    def __init__(self, deep: Detector, fine: Detector, weights: tuple[float, float]) -> None:
        super().__init__()
        if deep.net.right_samples != fine.net.right_samples:
            raise ValueError("the two must look as far ahead")
        left = max(deep.net.left_samples, fine.net.left_samples)
        self.net: Net = replace(deep.net, left_samples=left, embedding_size=deep.net.embedding_size + fine.net.embedding_size)
        middle = deep.head.middle() if isinstance(deep.head, StatisticsHead) else torch.zeros(deep.net.embedding_size)
        self.encoder = FusedEncoder(deep.encoder, fine.encoder, skips(deep.net, fine.net), middle)
        self.head = FusedHead(deep.head, fine.head, deep.net.embedding_size, weights)


class FusedScorer:
    """The pair while its weights are sought: `deep` in training's pieces, `fine` whole; llrs of both, side by side."""

    def __init__(self, deep: Detector, fine: Detector) -> None:
        self.deep, self.fine = TorchScorer(deep, deep.net), TorchScorer(fine, fine.net)
        self.skips, self.size = skips(deep.net, fine.net), deep.net.embedding_size
        self.left_samples, self.right_samples = deep.net.left_samples + self.skips[0], deep.net.right_samples
        self.both: list[np.ndarray] = []

    def encode(self, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        (deep, _), (fine, speech) = (
            each.encode(np.ascontiguousarray(audio[:, skip:])) for each, skip in zip((self.deep, self.fine), self.skips, strict=True)
        )
        return np.concatenate([deep, fine], axis=-1), speech

    def judge(self, frames: np.ndarray, mask: np.ndarray) -> np.ndarray:
        self.both.append(
            np.stack([self.deep.judge(frames[..., : self.size].copy(), mask), self.fine.judge(frames[..., self.size :].copy(), mask)], 1)
        )
        return self.both[-1].sum(1)


def fuse(deep: Detector, fine: Detector, dev: Store, threshold: float) -> tuple[Fused, dict]:
    """The pair with the weights that suit `dev` best, and what they are."""
    scorer = FusedScorer(deep, fine)
    scores: list[ClipScore] = list(score_clips(scorer, (dev[i] for i in range(len(dev))), threshold))
    spoof = np.array([clip.spoof for clip in dev.clips])
    share = system_weights([clip.system for clip in dev.clips], spoof)
    counts = [len(score.windows) for score in scores]
    weight, kind = np.repeat(share / np.maximum(counts, 1), counts), np.repeat(spoof, counts)
    weights = weigh(np.concatenate(scorer.both), kind, weight)
    return Fused(deep, fine, weights).eval(), {"deep": weights[0], "fine": weights[1]}


def weigh(both: np.ndarray, spoof: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """[windows, 2] raw llrs -> the two weights (the bias is the calibration's affair)."""

    def cost(parameters: np.ndarray) -> float:
        llr = both @ parameters[:2] + parameters[2]
        missed = np.average(np.logaddexp(0, -llr[spoof]), weights=weight[spoof])
        accused = np.average(np.logaddexp(0, llr[~spoof]), weights=weight[~spoof])
        return missed + accused + 1e-3 * float(parameters[:2] @ parameters[:2])

    deep, fine, _ = minimize(cost, np.array([0.5, 0.5, 0.0])).x
    if min(deep, fine) <= 0:
        raise ValueError(f"one of the two does not help: weights {deep:.3f} and {fine:.3f}")
    return round(float(deep), 5), round(float(fine), 5)
