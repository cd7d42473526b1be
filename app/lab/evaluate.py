"""Figures of a detector on a split, beside the published detectors' on the same clips.

A clip's score is what the server says at the end of a session (`conclude`): the mean of its windows' llrs, weighted by new speech.
A clip without an answer counts as llr 0. `eval` is to be looked at once, after every choice is made. `publish` calls `report`.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.lab.breakdown import Scored, clusters, macro
from app.lab.config import Recipe
from app.lab.data import Clip, Store
from app.lab.metrics import auc, decisions, det, eer, figures, histogram, interval, intervals, min_cllr, min_dcf, rounded
from app.lab.served import Trail
from app.lab.windows import ClipScore, FrameScorer, TorchScorer, score_clips
from app.scoring.card import Card, Point

PEERS = ("aasist", "inc-tssdnet", "lfcc-lcnn-lstm")
PEER_POINTS = 60
"""DET points kept of a peer."""


def judge_on_dev(recipe: Recipe, device: str) -> Callable[..., dict]:
    """What the training loop asks after each epoch: dev EER and AUC of the averaged weights, and how many clips got no answer."""
    dev = Store(recipe.cache, "dev")
    spoof = np.array([clip.spoof for clip in dev.clips])
    other = np.array([not clip.well_known for clip in dev.clips])

    def judge(model) -> dict:
        raw = np.array([score.llr for score in score_store(TorchScorer(model, recipe.net, device), dev, recipe.speech_threshold)])
        llr = np.nan_to_num(raw)
        return {
            "eer": round(eer(llr[~spoof], llr[spoof]), 4),
            "auc": round(auc(llr[~spoof], llr[spoof]), 4),
            "eer_others": round(eer(llr[~spoof & other], llr[spoof & other]), 4),
            "silent": int(np.isnan(raw).sum()),
        }

    return judge


def score_store(scorer: FrameScorer, store: Store, threshold: float) -> list[ClipScore]:
    return list(score_clips(scorer, (store[i] for i in range(len(store))), threshold))


def report(card: Card, clips: list[Clip], trails: list[Trail], peers: dict[str, np.ndarray]) -> dict:
    """Headline, operating points, curves and peers of one split. `peers`: detector -> score of each clip, high = spoof."""
    spoof = np.array([clip.spoof for clip in clips])
    raw = np.array([trail.llr for trail in trails])
    llr = np.nan_to_num(raw)
    points = {name: at_point(point, raw, spoof) for name, point in card.operating_points.items()}
    points[card.default_operating_point]["verdicts"] = {kind: _verdicts(trails, spoof == (kind == "spoof")) for kind in ("bonafide", "spoof")}
    return {
        "headline": headline(card, clips, raw),
        "at_operating_points": points,
        "det": det(llr[~spoof], llr[spoof]),
        "histogram": histogram(llr[~spoof], llr[spoof]),
        "peers": {name: peer(clips, scores) for name, scores in peers.items()},
    }


def headline(card: Card, clips: list[Clip], raw: np.ndarray) -> dict:
    spoof, names, llr = np.array([clip.spoof for clip in clips]), clusters(clips), np.nan_to_num(raw)
    bonafide, fake = llr[~spoof], llr[spoof]
    together = intervals({"eer": eer, "auc": auc}, bonafide, fake, clusters=(names[~spoof], names[spoof]))
    point = card.operating_points[card.default_operating_point]
    return rounded(
        {
            **figures(bonafide, fake).plain(),
            **{f"{name}_ci95_clustered": ends for name, ends in together.items()},
            "unanswered": int(np.isnan(raw).sum()),
            **macro(Scored(clips, llr, point.bonafide_llr, point.spoof_llr)),
            "at_zero": decisions(bonafide, fake),
        }
    )


def at_point(point: Point, llr: np.ndarray, spoof: np.ndarray) -> dict:
    """Shares of each class on either side of an operating point; a clip without an answer is in none."""
    high, low = llr >= point.spoof_llr, llr <= point.bonafide_llr
    return rounded(
        {
            "bonafide_llr": point.bonafide_llr,
            "spoof_llr": point.spoof_llr,
            "bonafide_called_spoof": high[~spoof].mean(),
            "bonafide_called_bonafide": low[~spoof].mean(),
            "spoof_called_spoof": high[spoof].mean(),
            "spoof_called_bonafide": low[spoof].mean(),
            "uncertain": (~high & ~low)[~np.isnan(llr)].mean(),
        }
    )


def peer(clips: list[Clip], scores: np.ndarray) -> dict:
    """Another detector's figures that need no calibration."""
    spoof = np.array([clip.spoof for clip in clips])
    other = np.array([not clip.well_known for clip in clips])
    bonafide, fake = scores[~spoof], scores[spoof]
    out = _short(bonafide, fake) | {"min_dcf": min_dcf(bonafide, fake), "min_cllr": min_cllr(bonafide, fake)}
    rest = _short(scores[~spoof & other], scores[spoof & other])
    return rounded(out) | {"without_lj_and_vctk": rest, "det": det(bonafide, fake, PEER_POINTS)}


def read_peers(data: Path, clips: list[Clip]) -> dict[str, np.ndarray]:
    """Peer -> score of each clip, high = spoof, from `peers.csv`."""
    with (data / "peers.csv").open(newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    return {peer: np.array([float(rows[clip.path][peer]) for clip in clips]) for peer in PEERS}


def _verdicts(trails: list[Trail], which: np.ndarray) -> dict[str, float]:
    said = [trail.verdict for trail, chosen in zip(trails, which, strict=True) if chosen]
    return {name: round(said.count(name) / max(1, len(said)), 4) for name in ("spoof", "uncertain", "bonafide", "no_speech")}


def _short(bonafide: np.ndarray, spoof: np.ndarray) -> dict:
    return rounded(
        {
            "eer": eer(bonafide, spoof),
            "eer_ci95": interval(eer, bonafide, spoof, 500),
            "auc": auc(bonafide, spoof),
            "auc_ci95": interval(auc, bonafide, spoof, 500),
            "n_bonafide": len(bonafide),
            "n_spoof": len(spoof),
        }
    )
