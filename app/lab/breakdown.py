"""Figures by group: system, family, language, source, licence, duration, and what training had heard. Lists of rows, for `publish` and the report.

A row is `{group, n_bonafide, n_spoof, eer, eer_ci95, auc, false_alarm, miss, caught}`, the last three at the default operating point: bona fide
called spoof, spoof called bona fide, spoof called spoof. A group of spoofs (a system, a family) stands against all bona fide clips of the split.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.lab.data import Clip
from app.lab.metrics import auc, cllr, eer, interval, min_cllr, rounded
from app.lab.served import Trail

LEAST = 3
"""Clips of each class that an EER needs; some systems have no more."""
DRAWS = 300
DURATIONS_S = (1, 2, 3, 4)
RECENT = re.compile(
    r"(?<![a-z])(bark|vall-?e|xtts|tortoise|cosyvoice|f5|e2-tts|fish|firered|index-?tts|spark|kokoro|supertonic|inworld|chatterbox|orpheus|zonos"
    r"|higgs|styletts|naturalspeech|voicebox|maskgct|llasa|parler|matcha|megatts|openvoice|metavoice|gpt|sovits|kitten|minimax|eleven|play\.?ht"
    r"|sesame|csm|step-audio|voicecraft|seed-?tts|hierspeech|vevo|zipvoice|ditto|flashspeech|p-flow|uniaudio|spear|soundstorm|audiobox|qwen"
    r"|dia(?![a-z])|melotts)",
    re.IGNORECASE,
)
"""Names of text-to-speech and conversion of 2022 and later: codec language models, flow matching, diffusion, zero-shot cloning."""


@dataclass(frozen=True)
class Scored:
    """A split's clips, their llrs (unanswered: 0) and the default operating point."""

    clips: list[Clip]
    llr: np.ndarray
    bonafide_llr: float
    spoof_llr: float

    @property
    def spoof(self) -> np.ndarray:
        return np.array([clip.spoof for clip in self.clips])


def row(group: str, of: Scored, real: np.ndarray, fake: np.ndarray, **more) -> dict:
    """`real` and `fake` are masks of the clips compared."""
    bonafide, spoof = of.llr[real], of.llr[fake]
    enough = min(len(bonafide), len(spoof)) >= LEAST
    return rounded(
        {
            "group": str(group),
            "n_bonafide": len(bonafide),
            "n_spoof": len(spoof),
            "eer": eer(bonafide, spoof) if enough else None,
            "eer_ci95": interval(eer, bonafide, spoof, DRAWS) if enough else None,
            "auc": auc(bonafide, spoof) if enough else None,
            "false_alarm": _share(bonafide >= of.spoof_llr),
            "miss": _share(spoof <= of.bonafide_llr),
            "caught": _share(spoof >= of.spoof_llr),
            **more,
        }
    )


def spoof_groups(of: Scored, key: Callable[[Clip], str]) -> list[dict]:
    """One row a group of spoofs, against all bona fide clips; the hardest first."""
    names = np.array([key(clip) if clip.spoof else "" for clip in of.clips])
    rows = [row(name, of, ~of.spoof, names == name) for name in sorted(set(names[of.spoof]))]
    return sorted(rows, key=lambda each: -(each["eer"] or 0))


def own_groups(of: Scored, key: Callable[[Clip], str]) -> list[dict]:
    """One row a group that has clips of either class: its own two classes compared; where one is missing, that of the whole split."""
    names, out = np.array([key(clip) for clip in of.clips]), []
    for name in sorted(set(names)):
        real, fake = (names == name) & ~of.spoof, (names == name) & of.spoof
        own = row(name or "not stated", of, real, fake, against="own")
        if min(real.sum(), fake.sum()) < LEAST <= max(real.sum(), fake.sum()):
            whole = row(name, of, real if real.sum() >= LEAST else ~of.spoof, fake if fake.sum() >= LEAST else of.spoof)
            own |= {key: whole[key] for key in ("eer", "eer_ci95", "auc")} | {"against": "all"}
        out.append(own)
    return out


def macro(of: Scored) -> dict[str, float | int]:
    """Means over systems, so that each weighs the same however many clips it has."""
    systems: dict[str, list[int]] = defaultdict(list)
    for index, clip in enumerate(of.clips):
        if clip.spoof:
            systems[clip.system].append(index)
    bonafide = of.llr[~of.spoof]
    each = {figure.__name__: float(np.mean([figure(bonafide, of.llr[members]) for members in systems.values()])) for figure in (eer, auc)}
    return {"systems": len(systems), "macro_eer": each["eer"], "macro_auc": each["auc"]}


def subsets(of: Scored, trained: set[str], made: set[str]) -> list[dict]:
    """Parts of the split that answer a question each. `trained`: systems of `train`; `made`: those of `lab synth`."""
    real, spoof = ~of.spoof, of.spoof
    seen = np.array([clip.system in trained for clip in of.clips])
    alike = {plain_name(name) for name in trained | made}  # the last but one question is asked strictly: a new version of a system is not new
    heard = np.array([clip.system in trained or plain_name(clip.system) in alike for clip in of.clips])
    well_known = np.array([clip.well_known for clip in of.clips])
    codec = np.array([clip.family == "codec" for clip in of.clips])
    recent = np.array([clip.spoof and clip.family in ("tts", "vc") and RECENT.search(clip.system) is not None for clip in of.clips])
    return [
        row("all", of, real, spoof),
        row("without LJ and VCTK", of, real & ~well_known, spoof & ~well_known),
        row("codec family apart", of, real, spoof & ~codec),
        row("systems seen in train", of, real, spoof & seen),
        row("systems not in train", of, real, spoof & ~seen),
        row("systems in neither train nor lab synth", of, real, spoof & ~heard),
        row("recent neural TTS", of, real, spoof & recent),
        row("everything else", of, real, spoof & ~recent),
    ]


def durations(of: Scored, trails: list[Trail]) -> list[dict]:
    """The session's llr once so much speech was heard; a clip with less gives its last one."""
    rows = []
    for seconds in (*DURATIONS_S, np.inf):
        llr = np.nan_to_num([trail.llr_at(seconds) for trail in trails])
        then = Scored(of.clips, llr, of.bonafide_llr, of.spoof_llr)
        bonafide, spoof = llr[~of.spoof], llr[of.spoof]
        reached = np.mean([trail.speech_s >= seconds for trail in trails]) if np.isfinite(seconds) else 1.0
        name = f"{seconds} s" if np.isfinite(seconds) else "whole"
        both = {"cllr": cllr(bonafide, spoof), "min_cllr": min_cllr(bonafide, spoof)} if len(bonafide) and len(spoof) else {}
        rows.append(row(name, then, ~of.spoof, of.spoof, **both, reached=float(reached)))
    return rows


def tables(of: Scored, trails: list[Trail], trained: set[str], made: set[str], licences: dict[str, str]) -> dict[str, list[dict]]:
    """All of them, but codec and SNR, which need the clips scored again (`conditions`)."""
    return {
        "subset": subsets(of, trained, made),
        "family": spoof_groups(of, lambda clip: clip.family),
        "system": spoof_groups(of, lambda clip: clip.system),
        "language": own_groups(of, lambda clip: clip.language),
        "source": own_groups(of, lambda clip: clip.source.split("@")[0]),
        "licence": own_groups(of, lambda clip: licences.get(clip.path, "none stated")),
        "duration": durations(of, trails),
    }


def clusters(clips: Iterable[Clip]) -> np.ndarray:
    """What errs together: a speaker, or where none is named a source; of spoofs, a system of one source."""
    return np.array([f"{clip.source}|{clip.system}" if clip.spoof else clip.speaker or f"{clip.source}|{clip.corpus}" for clip in clips])


def plain_name(system: str) -> str:
    """`tts_kokoro-82m` and a store's `kokoro` are one system: without family, size and punctuation."""
    name = re.sub(r"^(tts|vc|voc|codec)_", "", system.lower())
    return re.sub(r"[^a-z+]", "", re.sub(r"[-_ ]?\d+m\b", "", name))


def read_licences(data: Path) -> dict[str, str]:
    """Clip path -> what kind of licence the manifest states."""
    with (data / "manifest.csv").open(newline="") as file:
        return {row["path"]: _kind(row["licence"]) for row in csv.DictReader(file)}


def _kind(licence: str) -> str:
    if re.search(r"\b(NC|ND)\b|non-?commercial use only|research", licence):
        return "no commercial use or no derivatives"
    return "none stated" if re.match(r"none|unstated|$", licence) else "free"


def _share(which: np.ndarray) -> float | None:
    return float(which.mean()) if len(which) else None
