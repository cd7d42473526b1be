"""Figures of a detector on a split, beside the published detectors' on the same clips.

A clip's score is what the server says at the end of a session (`conclude`): the mean of its windows' llrs, weighted by new speech.
A clip without an answer counts as llr 0. `eval` is to be looked at once, after every choice is made.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.lab.config import Recipe
from app.lab.data import Clip, Store
from app.lab.metrics import auc, eer, figures, interval
from app.lab.windows import ClipScore, FrameScorer, TorchScorer, score_clips

PEERS = ("aasist", "inc-tssdnet", "lfcc-lcnn-lstm")


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


def report(clips: list[Clip], scores: list[ClipScore], served: np.ndarray, peers: dict[str, dict[str, float]]) -> dict:
    """All figures of one split, JSON-ready: from the sessions' llrs `served`, except at 2 s of speech, which needs the windows."""
    spoof = np.array([clip.spoof for clip in clips])
    llr = np.nan_to_num(served)
    other = np.array([not clip.well_known for clip in clips])
    short = np.nan_to_num(np.array([llr_at(score, 100) for score in scores]))
    family = np.array([clip.family for clip in clips])
    out = {
        **figures(llr[~spoof], llr[spoof]).plain(),
        "unanswered": int(np.isnan(served).sum()),
        "without_lj_and_vctk": _short(llr[~spoof & other], llr[spoof & other]),
        "at_2_s_of_speech": _short(short[~spoof], short[spoof]),
        "by_family": {name: _short(llr[~spoof], llr[spoof & (family == name)]) for name in sorted(set(family[spoof]))},
        "peers": {},
    }
    for peer in PEERS:
        values = np.array([peers[clip.path][peer] for clip in clips])
        out["peers"][peer] = {
            **_short(values[~spoof], values[spoof]),
            "without_lj_and_vctk": _short(values[~spoof & other], values[spoof & other]),
        }
    return out


def llr_at(score: ClipScore, speech_frames: int) -> float:
    """The session's llr once `speech_frames` of speech have been heard (or at the end of a shorter clip)."""
    total = weight = heard = 0.0
    for _, llr, _, new in score.windows:
        total, weight, heard = total + llr * new, weight + new, heard + new
        if heard >= speech_frames:
            break
    return total / weight if weight else score.llr


def read_peers(data: Path) -> dict[str, dict[str, float]]:
    """Clip path -> peer -> score, high = spoof."""
    with (data / "peers.csv").open(newline="") as file:
        return {row["path"]: {peer: float(row[peer]) for peer in PEERS} for row in csv.DictReader(file)}


def table(found: dict, name: str) -> str:
    """Our figures and the peers', for people."""
    rows = [(name, found), *list(found["peers"].items())]
    lines = [f"{'':16} {'EER':>6} {'95 % interval':>15} {'AUC':>6} {'95 % interval':>15} {'EER without LJ, VCTK':>22}"]
    for who, values in rows:
        (low, high), (alow, ahigh) = values["eer_ci95"], values["auc_ci95"]
        lines.append(
            f"{who:16} {values['eer']:6.1%} {low:6.1%} .. {high:5.1%} {values['auc']:6.3f} {alow:6.3f} .. {ahigh:5.3f}"
            f" {values['without_lj_and_vctk']['eer']:22.1%}"
        )
    lines.append(f"bona fide {found['n_bonafide']}, spoof {found['n_spoof']}, unanswered {found['unanswered']}; Cllr {found['cllr']:.3f}")
    lines += [f"  {family:8} EER {v['eer']:6.1%} of {v['n_spoof']}" for family, v in found["by_family"].items()]
    lines.append(f"  at 2 s of speech: EER {found['at_2_s_of_speech']['eer']:.1%}")
    return "\n".join(lines)


def _short(bonafide: np.ndarray, spoof: np.ndarray) -> dict:
    rounded = {"eer": eer(bonafide, spoof), "auc": auc(bonafide, spoof)}
    return {
        **{key: round(value, 4) for key, value in rounded.items()},
        "eer_ci95": [round(v, 4) for v in interval(eer, bonafide, spoof)],
        "auc_ci95": [round(v, 4) for v in interval(auc, bonafide, spoof)],
        "n_bonafide": len(bonafide),
        "n_spoof": len(spoof),
    }
