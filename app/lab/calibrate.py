"""Scores become llrs, and llrs get thresholds: fitted on `dev`, never on `eval`.

An affine map is fitted by logistic regression at equal class weight on window scores, since windows are what the server judges; each clip counts
once, however many windows it has, and each spoof system as the square root of its clips. For a still encoder as much is asked of sources of `train`
that heads had to do without (`leftout`). The operating points are read off the clips' llrs.
Called by `voxproof lab calibrate`, for a checkpoint (`calibrate_on`) or for a model folder of either kind (`calibrate_folder`).
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.random import default_rng
from scipy.optimize import minimize

from app.lab.data import Store
from app.lab.metrics import cllr, eer, min_cllr, rates, rounded
from app.lab.windows import ClipScore

BANDS = {"fast": (0.8, 0.8), "balanced": (0.5, 0.5), "strict": (None, 0.25)}
"""Operating point -> (wanted false alarm of `spoof_llr`, wanted miss of `bonafide_llr`), as shares of the detector's EER on dev: what lies
between is `uncertain`. Shares, because a fixed rate leaves a good detector no band and a poor one nothing else."""
STRICT_FALSE_ALARM = 0.01
DRAWS, SEED = 200, 981
SPEECH_S = (1, 2, 4)
FRAMES_A_SECOND = 50


@dataclass(frozen=True)
class Calibration:
    """`llr = scale * raw + bias`, and the thresholds, which refer to the llr. `cllr`: duration -> Cllr and minCllr, from the one mapping."""

    scale: float = 1.0
    bias: float = 0.0
    speech_threshold: float = 0.5
    operating_points: dict | None = None
    fitted_on: str = "dev"
    cllr: dict = field(default_factory=dict)

    def plain(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Windows:
    """One clip as calibration sees it: its windows' raw scores, its own score, and its score once so many seconds of speech were heard."""

    raw: Sequence[float]
    clip: float
    after: dict[int, float]


@dataclass(frozen=True)
class Beside:
    """Scores of other clips to be calibrated for as well: raw, the clips' classes, and what each counts."""

    raw: np.ndarray
    spoof: np.ndarray
    weight: np.ndarray


def calibrate_on(scores: list[ClipScore], spoof: list[bool], speech_threshold: float, systems: list[str] | None = None) -> Calibration:
    """From uncalibrated scores of the `dev` clips, made with that threshold. `systems`: the generator of each clip."""
    heard = [Windows([llr for _, llr, *_ in s.windows], s.llr, {t: _llr_at(s, t * FRAMES_A_SECOND) for t in SPEECH_S}) for s in scores]
    return calibrated(heard, np.array(spoof, bool), systems, speech_threshold)


def calibrate_folder(folder: Path, cache: Path, beside: Beside | None = None) -> Calibration:
    """Through the server's session; the calibration the card has is undone first, so that the result is of the detector's raw score."""
    from app.lab.served import Served

    dev, served = Store(cache, "dev"), Served(folder)
    card, spoof = served.detector.card, np.array([clip.spoof for clip in dev.clips])

    def raw(llr: float) -> float:
        return (llr - card.calibration.bias) / card.calibration.scale

    heard = []
    for trail in served.trails(dev[index] for index in range(len(dev))):
        windows = [raw(step.llr) for step in trail.steps if step.llr is not None]
        heard.append(Windows(windows, raw(trail.llr), {seconds: raw(trail.llr_at(seconds)) for seconds in SPEECH_S}))
    return calibrated(heard, spoof, [clip.system for clip in dev.clips], card.frames.speech_threshold if card.frames else 0.5, beside)


def into_window_card(folder: Path, found: Calibration) -> bool:
    """Only a card of kind `window` keeps its calibration beside the graph. False for a `frames` model: it is inside, so export it anew."""
    path = folder / "card.json"
    card = json.loads(path.read_text())
    if card["kind"] != "window":
        return False
    card["calibration"] = {"scale": found.scale, "bias": found.bias, "fitted_on": found.fitted_on}
    card["operating_points"] = found.operating_points
    path.write_text(json.dumps(card, indent=2) + "\n")
    return True


def calibrated(
    heard: list[Windows], spoof: np.ndarray, systems: list[str] | None, speech_threshold: float, beside: Beside | None = None
) -> Calibration:
    """`beside` counts as much as all of `heard`, class by class; the thresholds are read off `heard` alone."""
    weight = system_weights(systems or [""] * len(heard), spoof)
    raw = np.concatenate([clip.raw for clip in heard])
    share = np.concatenate([np.full(len(clip.raw), w / max(1, len(clip.raw))) for clip, w in zip(heard, weight, strict=True)])
    kind = np.concatenate([np.full(len(clip.raw), s) for clip, s in zip(heard, spoof, strict=True)])
    if beside is None:
        scale, bias = fit(raw[~kind], raw[kind], share[~kind], share[kind])
    else:
        sides = [(np.r_[raw[a], beside.raw[b]], np.r_[share[a] / share[a].sum(), beside.weight[b] / beside.weight[b].sum()])
                 for a, b in ((~kind, ~beside.spoof), (kind, beside.spoof))]  # fmt: skip
        scale, bias = fit(sides[0][0], sides[1][0], sides[0][1], sides[1][1])
    llr = np.array([clip.clip for clip in heard]) * scale + bias
    answered = ~np.isnan(llr)
    points = operating_points(llr[answered & ~spoof], llr[answered & spoof], weight[answered & spoof])
    fitted_on = "dev and sources of train left out" if beside else "dev"
    return Calibration(scale, bias, speech_threshold, points, fitted_on, by_duration(heard, spoof, scale, bias))


def system_weights(systems: list[str], spoof: np.ndarray) -> np.ndarray:
    """1 for a bona fide clip; a spoof's system counts as the square root of its clips, so that none of a few hundred clips rules the fit."""
    sizes = Counter(name for name, fake in zip(systems, spoof, strict=True) if fake)
    return np.array([sizes[name] ** -0.5 if fake else 1.0 for name, fake in zip(systems, spoof, strict=True)])


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


def operating_points(bonafide: np.ndarray, spoof: np.ndarray, spoof_weight: np.ndarray | None = None) -> dict[str, dict[str, float]]:
    """Thresholds for each point of `BANDS`, with the error rates measured at them (an uncertain clip is neither alarm nor miss).

    A threshold is the median over bootstrap draws, weighted as the fit is: a quantile of a few hundred clips moves with single ones.
    """
    equal = eer(bonafide, spoof)
    drawn = _draws(bonafide, None), _draws(spoof, spoof_weight)
    points = {}
    for name, (alarm, miss) in BANDS.items():
        wanted = STRICT_FALSE_ALARM if alarm is None else alarm * equal
        high = float(np.median([_at_most(real, wanted) for real in drawn[0]]))
        low = float(np.median([-_at_most(-fake, miss * equal) for fake in drawn[1]]))
        # Where the curves leave no band, both thresholds meet in the middle and there is no "uncertain".
        low, high = (round(value, 4) for value in ((low, high) if low <= high else ((low + high) / 2,) * 2))
        everything = np.concatenate([bonafide, spoof])
        points[name] = {
            "bonafide_llr": low,
            "spoof_llr": high,
            "false_alarm": round(float((bonafide >= high).mean()), 4),
            "miss": round(float((spoof <= low).mean()), 4),
            "uncertain": round(float(((everything > low) & (everything < high)).mean()), 4),
        }
    return points


def by_duration(heard: list[Windows], spoof: np.ndarray, scale: float, bias: float) -> dict[str, dict[str, float]]:
    """Does one mapping hold for short and long speech? Cllr against minCllr, at each duration; a clip without an answer is llr 0."""
    columns = {f"{seconds} s": np.array([clip.after[seconds] for clip in heard]) for seconds in SPEECH_S}
    columns["whole"] = np.array([clip.clip for clip in heard])
    out = {}
    for name, raw in columns.items():
        llr = np.nan_to_num(raw * scale + bias)
        out[name] = rounded({"cllr": cllr(llr[~spoof], llr[spoof]), "min_cllr": min_cllr(llr[~spoof], llr[spoof])})
    return out


def _draws(scores: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    odds = None if weight is None else weight / weight.sum()
    return np.sort(default_rng(SEED).choice(scores, (DRAWS, len(scores)), p=odds), axis=1)


def _at_most(scores: np.ndarray, share: float) -> float:
    """The threshold at or above which `share` of the scores lie at most."""
    thresholds, alarm, _ = rates(scores, scores)
    above = float(thresholds[np.argmax(alarm <= share)])
    return above if np.isfinite(above) else float(scores.max()) + 1e-4


def _llr_at(score: ClipScore, speech_frames: int) -> float:
    """The session's llr once `speech_frames` of speech have been heard (or at the end of a shorter clip)."""
    total = weight = 0.0
    for _, llr, _, new in score.windows:
        total, weight = total + llr * new, weight + new
        if weight >= speech_frames:
            break
    return total / weight if weight else score.llr
