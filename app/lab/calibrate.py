"""Scores become llrs, and llrs get thresholds: both fitted on `dev`, never on `eval`.

An affine map is fitted by logistic regression at equal class weight on window scores, since windows are what the server judges; each
clip counts once, however many windows it has. The operating points are read off the clips' llrs.
"""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.optimize import minimize

from app.lab.metrics import rates
from app.lab.windows import ClipScore

BANDS = {"fast": (0.15, 0.15), "balanced": (0.10, 0.10), "strict": (0.01, 0.05)}
"""Operating point -> (wanted false alarm of `spoof_llr`, wanted miss of `bonafide_llr`) on dev clips."""


@dataclass(frozen=True)
class Calibration:
    """`llr = scale * raw + bias`, and the thresholds, which refer to the llr."""

    scale: float = 1.0
    bias: float = 0.0
    speech_threshold: float = 0.5
    operating_points: dict | None = None

    def plain(self) -> dict:
        return asdict(self)


def calibrate_on(scores: list[ClipScore], spoof: list[bool], speech_threshold: float) -> Calibration:
    """From uncalibrated scores of the `dev` clips, made with that threshold."""
    raw, share, kind = [], [], []
    for score, is_spoof in zip(scores, spoof, strict=True):
        raw += [llr for _, llr, *_ in score.windows]
        share += [1 / max(1, len(score.windows))] * len(score.windows)
        kind += [is_spoof] * len(score.windows)
    raw, share, kind = np.array(raw), np.array(share), np.array(kind)
    scale, bias = fit(raw[~kind], raw[kind], share[~kind], share[kind])
    llr = np.array([score.llr for score in scores]) * scale + bias
    answered, is_spoof = ~np.isnan(llr), np.array(spoof)
    return Calibration(scale, bias, speech_threshold, operating_points(llr[answered & ~is_spoof], llr[answered & is_spoof]))


def fit(
    bonafide: np.ndarray, spoof: np.ndarray, bonafide_weight: np.ndarray | None = None, spoof_weight: np.ndarray | None = None
) -> tuple[float, float]:
    """(scale, bias) with the least Cllr; a small ridge keeps the scale finite when the classes separate."""

    def cost(parameters: np.ndarray) -> float:
        scale, bias = parameters
        missed = np.average(np.logaddexp(0, -(scale * spoof + bias)), weights=spoof_weight)
        accused = np.average(np.logaddexp(0, scale * bonafide + bias), weights=bonafide_weight)
        return missed + accused + 1e-3 * scale**2

    scale, bias = minimize(cost, np.array([1.0, 0.0])).x
    if scale <= 0:
        raise ValueError("scores run the wrong way: a high one must mean spoof")
    return round(float(scale), 5), round(float(bias), 5)


def operating_points(bonafide: np.ndarray, spoof: np.ndarray) -> dict[str, dict[str, float]]:
    """Thresholds for each point of `BANDS`, with the error rates measured at them (an uncertain clip is neither alarm nor miss)."""
    points = {}
    for name, (alarm, miss) in BANDS.items():
        thresholds, alarms, misses = rates(bonafide, spoof)
        high = float(thresholds[np.argmax(alarms <= alarm)])
        low = float(thresholds[max(int(np.argmax(misses > miss)) - 1, 0)])
        # Where the curves leave no band, both thresholds meet in the middle and there is no "uncertain".
        low, high = (low, high) if low <= high else ((low + high) / 2,) * 2
        everything = np.concatenate([bonafide, spoof])
        points[name] = {
            "bonafide_llr": round(low, 4),
            "spoof_llr": round(high, 4),
            "false_alarm": round(float((bonafide >= high).mean()), 4),
            "miss": round(float((spoof <= low).mean()), 4),
            "uncertain": round(float(((everything > low) & (everything < high)).mean()), 4),
        }
    return points
