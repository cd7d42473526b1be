"""Figures of a detector from its scores: EER, AUC, Cllr, minDCF, and their spread over clips.

All take `scores` (higher = more likely spoof) of the bona fide and of the spoofed clips, as float arrays. Bootstrap intervals
draw clips with replacement within each class, so the class sizes stay as they are.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.random import default_rng


@dataclass(frozen=True)
class Figures:
    """Rates in 0..1. `cllr` (bits) is meaningful only for calibrated llrs; 1 is what a constant 0 gets."""

    eer: float
    eer_ci95: tuple[float, float]
    auc: float
    auc_ci95: tuple[float, float]
    min_dcf: float
    cllr: float
    n_bonafide: int
    n_spoof: int

    def plain(self) -> dict:
        return {key: _rounded(value) for key, value in asdict(self).items()}


def figures(bonafide: np.ndarray, spoof: np.ndarray, draws: int = 1000, seed: int = 0) -> Figures:
    return Figures(
        eer(bonafide, spoof),
        interval(eer, bonafide, spoof, draws, seed),
        auc(bonafide, spoof),
        interval(auc, bonafide, spoof, draws, seed),
        min_dcf(bonafide, spoof),
        cllr(bonafide, spoof),
        len(bonafide),
        len(spoof),
    )


def rates(bonafide: np.ndarray, spoof: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(thresholds, false alarm, miss) at every distinct score; 'spoof' is declared at score >= threshold. Ends with +inf."""
    thresholds = np.append(np.unique(np.concatenate([bonafide, spoof])), np.inf)
    alarm = 1 - np.searchsorted(np.sort(bonafide), thresholds, side="left") / len(bonafide)
    miss = np.searchsorted(np.sort(spoof), thresholds, side="left") / len(spoof)
    return thresholds, alarm, miss


def eer(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """Equal error rate, interpolated where the two error curves cross."""
    _, alarm, miss = rates(bonafide, spoof)
    after = int(np.argmax(miss >= alarm))
    if after == 0:
        return float((alarm[0] + miss[0]) / 2)
    gap_before, gap_after = alarm[after - 1] - miss[after - 1], miss[after] - alarm[after]
    share = gap_before / max(gap_before + gap_after, 1e-12)
    return float(alarm[after - 1] + share * (alarm[after] - alarm[after - 1]))


def auc(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """Probability that a spoofed clip scores above a bona fide one; a tie counts half."""
    ordered = np.sort(bonafide)
    below, up_to = np.searchsorted(ordered, spoof, "left"), np.searchsorted(ordered, spoof, "right")
    return float((below + up_to).mean() / 2 / len(bonafide))


def min_dcf(bonafide: np.ndarray, spoof: np.ndarray, prior: float = 0.05, miss_cost: float = 10.0) -> float:
    """Smallest detection cost over thresholds, 1 = no better than a constant answer (ASVspoof 5 track 1 uses prior 0.05, cost 10)."""
    _, alarm, miss = rates(bonafide, spoof)
    cost = miss_cost * prior * miss + (1 - prior) * alarm
    return float(cost.min() / min(miss_cost * prior, 1 - prior))


def cllr(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """Cost of the log-likelihood ratio (Brümmer and du Preez 2006), in bits; scores must be natural-log LRs."""
    return float((np.logaddexp(0, -spoof).mean() + np.logaddexp(0, bonafide).mean()) / 2 / np.log(2))


def interval(
    figure: Callable[[np.ndarray, np.ndarray], float], bonafide: np.ndarray, spoof: np.ndarray, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of `figure`."""
    rng = default_rng(seed)
    values = [figure(rng.choice(bonafide, len(bonafide)), rng.choice(spoof, len(spoof))) for _ in range(draws)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _rounded(value):
    if isinstance(value, tuple):
        return [round(item, 4) for item in value]
    return round(value, 4) if isinstance(value, float) else value
