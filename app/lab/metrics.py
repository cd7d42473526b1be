"""Figures of a detector from its scores: EER, AUC, minDCF, actDCF, Cllr, minCllr, rates at a threshold, DET points, and their spread.

All take `scores` (higher = more likely spoof) of the bona fide and of the spoofed clips, as float arrays. The field writes its scores the other
way round (high = bona fide, the target class), so its names are: our false alarm = its miss, our miss = its false acceptance.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.random import Generator, default_rng
from scipy.optimize import isotonic_regression
from scipy.special import logit, ndtri

PRIOR_SPOOF, COST_MISS, COST_FALSE_ACCEPTANCE = 0.05, 1.0, 10.0
"""ASVspoof 5, track 1: Pspoof, Cmiss (bona fide rejected), Cfa (spoof accepted). So an accusation of bona fide speech weighs 0.95, and a spoof
that passes 0.5 (asvspoof-challenge/asvspoof5, evaluation-package/calculate_metrics.py)."""
BETA = COST_MISS * (1 - PRIOR_SPOOF) / (COST_FALSE_ACCEPTANCE * PRIOR_SPOOF)
"""1.9: the Bayes decision rejects where the llr for spoof exceeds log(1.9)."""
Figure = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Figures:
    """Rates in 0..1. `cllr` (bits) and `act_dcf` are meaningful only for calibrated llrs; 1 is what a constant 0 gets."""

    eer: float
    eer_ci95: tuple[float, float]
    auc: float
    auc_ci95: tuple[float, float]
    min_dcf: float
    min_dcf_ci95: tuple[float, float]
    act_dcf: float
    act_dcf_ci95: tuple[float, float]
    cllr: float
    cllr_ci95: tuple[float, float]
    min_cllr: float
    min_cllr_ci95: tuple[float, float]
    n_bonafide: int
    n_spoof: int

    def plain(self) -> dict:
        return {key: rounded(value) for key, value in asdict(self).items()}


def figures(bonafide: np.ndarray, spoof: np.ndarray, draws: int = 1000, seed: int = 0) -> Figures:
    which = {"eer": eer, "auc": auc, "min_dcf": min_dcf, "act_dcf": act_dcf, "cllr": cllr, "min_cllr": min_cllr}
    spread = intervals(which, bonafide, spoof, draws, seed)
    values = {name: figure(bonafide, spoof) for name, figure in which.items()}
    return Figures(**values, **{f"{name}_ci95": ends for name, ends in spread.items()}, n_bonafide=len(bonafide), n_spoof=len(spoof))


def rates(bonafide: np.ndarray, spoof: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(thresholds, false alarm, miss) at every distinct score; 'spoof' is declared at score >= threshold. Ends with +inf."""
    thresholds = np.append(np.unique(np.concatenate([bonafide, spoof])), np.inf)
    alarm = 1 - np.searchsorted(np.sort(bonafide), thresholds, side="left") / len(bonafide)
    miss = np.searchsorted(np.sort(spoof), thresholds, side="left") / len(spoof)
    return thresholds, alarm, miss


def eer(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """Equal error rate, interpolated where the two error curves cross (the ASVspoof package takes the mean of the two nearest rates)."""
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


def min_dcf(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """The least detection cost over thresholds, as ASVspoof 5 normalises it: 1 = no better than a constant answer."""
    _, alarm, miss = rates(bonafide, spoof)
    return float(_cost(alarm, miss).min())


def act_dcf(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """The detection cost at the Bayes threshold, log(1.9): what the llrs cost as they stand."""
    return float(_cost((bonafide > np.log(BETA)).mean(), (spoof <= np.log(BETA)).mean()))


def _cost(alarm, miss):
    rejected, accepted = COST_MISS * (1 - PRIOR_SPOOF), COST_FALSE_ACCEPTANCE * PRIOR_SPOOF
    return (rejected * alarm + accepted * miss) / min(rejected, accepted)


def cllr(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """Cost of the log-likelihood ratio (Brümmer and du Preez 2006), in bits; scores must be natural-log LRs."""
    return float((np.logaddexp(0, -spoof).mean() + np.logaddexp(0, bonafide).mean()) / 2 / np.log(2))


def min_cllr(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """Cllr after the best monotone mapping of the scores (pool adjacent violators): what calibration cannot mend."""
    scores, where = np.unique(np.concatenate([bonafide, spoof]), return_inverse=True)
    real = np.bincount(where[: len(bonafide)], minlength=len(scores))
    fake = np.bincount(where[len(bonafide) :], minlength=len(scores))
    posterior = np.clip(isotonic_regression(fake / (real + fake), weights=(real + fake).astype(float)).x, 0, 1)
    llr = logit(posterior) - logit(len(spoof) / (len(spoof) + len(bonafide)))
    accused = np.average(np.logaddexp(0, llr[real > 0]), weights=real[real > 0])
    missed = np.average(np.logaddexp(0, -llr[fake > 0]), weights=fake[fake > 0])
    return float((accused + missed) / 2 / np.log(2))


def decisions(bonafide: np.ndarray, spoof: np.ndarray, threshold: float = 0.0) -> dict[str, float]:
    """Spoof is declared at score >= threshold and is the positive class. Precision is 1 where nothing is declared: nothing was wrongly so."""
    hits, alarms = int((spoof >= threshold).sum()), int((bonafide >= threshold).sum())
    recall, alarm = hits / len(spoof), alarms / len(bonafide)
    precision = hits / (hits + alarms) if hits + alarms else 1.0
    return {
        "threshold": float(threshold),
        "accuracy": (hits + len(bonafide) - alarms) / (len(spoof) + len(bonafide)),
        "balanced_accuracy": (recall + 1 - alarm) / 2,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if hits else 0.0,
    }


def det(bonafide: np.ndarray, spoof: np.ndarray, points: int = 200) -> dict[str, list[float]]:
    """At most `points` of the DET curve, evenly apart on its own (probit) axes; false alarm falls along it."""
    thresholds, alarm, miss = rates(bonafide, spoof)
    least = 0.5 / max(len(bonafide), len(spoof))
    along = ndtri(np.clip(miss, least, 1 - least)) - ndtri(np.clip(alarm, least, 1 - least))
    wanted = np.linspace(along[0], along[-1], points)
    chosen = np.unique(np.append(np.searchsorted(along, wanted), 0).clip(0, len(along) - 2))  # the last threshold is infinite
    columns = {"threshold": thresholds, "false_alarm": alarm, "miss": miss}
    return {name: [round(float(value), 4) for value in column[chosen]] for name, column in columns.items()}


def histogram(bonafide: np.ndarray, spoof: np.ndarray, bins: int = 40) -> dict[str, list]:
    """Counts a class between the 0.5th and 99.5th percentile of all scores; the outer bins hold what lies beyond."""
    everything = np.concatenate([bonafide, spoof])
    low, high = np.percentile(everything, [0.5, 99.5])
    edges = np.linspace(low, max(high, low + 1e-6), bins + 1)
    counts = {name: np.histogram(scores.clip(edges[0], edges[-1]), edges)[0].tolist() for name, scores in (("bonafide", bonafide), ("spoof", spoof))}
    return {"edges": [round(float(edge), 4) for edge in edges], **counts}


def interval(figure: Figure, bonafide: np.ndarray, spoof: np.ndarray, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of `figure`."""
    return intervals({"it": figure}, bonafide, spoof, draws, seed)["it"]


def intervals(
    which: dict[str, Figure],
    bonafide: np.ndarray,
    spoof: np.ndarray,
    draws: int = 1000,
    seed: int = 0,
    clusters: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, tuple[float, float]]:
    """95 % percentile bootstrap intervals of several figures, from the same draws within each class.

    `clusters` names the cluster of each bona fide and each spoofed clip; whole clusters are then drawn, because clips of one speaker, source or
    system err together and clips drawn one by one would make the interval too narrow.
    """
    rng = default_rng(seed)
    values = np.empty((draws, len(which)))
    names = clusters if clusters is not None else (None, None)
    pickers = [_picker(scores, name) for scores, name in zip((bonafide, spoof), names, strict=True)]
    for draw in range(draws):
        real, fake = (pick(rng) for pick in pickers)
        values[draw] = [figure(real, fake) for figure in which.values()]
    low, high = np.percentile(values, [2.5, 97.5], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(which)}


def _picker(scores: np.ndarray, clusters: np.ndarray | None) -> Callable[[Generator], np.ndarray]:
    if clusters is None:
        return lambda rng: rng.choice(scores, len(scores))
    _, where = np.unique(clusters, return_inverse=True)
    members = [scores[where == cluster] for cluster in range(where.max() + 1)]
    return lambda rng: np.concatenate([members[index] for index in rng.integers(len(members), size=len(members))])


def rounded(value):
    """Four digits, for JSON; NaN becomes None, tuples lists."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [rounded(item) for item in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 4) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
