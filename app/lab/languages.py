"""The five languages of seed 002, each with bona fide speakers that no training sees: which clips those are, and the figures per language.

`held_back` is called by training (a clip of a held path, and every copy or re-coding of it, is left out), `measure` by `voxproof lab evaluate
--languages`. `dev` and `eval` hold almost no Hindi, Tamil, Telugu and Malayalam, so speakers of `train` are kept back.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.lab.data import Clip, Store, read_manifest
from app.lab.metrics import Figure, auc, decisions, eer, intervals, rounded

if TYPE_CHECKING:  # training asks for `held_back` and needs no server
    from app.lab.served import Served

HELD = {
    "hi": r"hindi_speech_corpus:00D",
    "ta": r"tamil_ser_thanush:unk_[a-z]+_audio_1?\d",
    "te": r"telugu_emo:SPK(F06|F23|M05|M07)",
    "ml": r"smc_msc:(dcfe74b7|fcac4207|0d320ac2)",
}
"""Language -> pattern of the `speaker` column, whole match: 73, 63, 68 and 76 bona fide clips of `train`. English needs none: `dev` has 342.

Hindi is one of three speakers, Telugu two women and two men of twenty speakers, Malayalam three of 67 contributors. The Tamil source names no
speakers: clips 0 to 19 of each emotion are kept back, because neighbouring numbers are likely of one recording; a Tamil speaker may cross.
"""
NAMES = {"en": "English", "hi": "Hindi", "ta": "Tamil", "te": "Telugu", "ml": "Malayalam"}
CLAIMED = {"accuracy": 0.942, "precision": 0.935, "recall": 0.951, "f1": 0.943, "auc": 0.972}
"""Seed 002's README, "Model Performance ... on test set"; it names neither the clips nor the generators, and no value per language."""


def held(clip: Any) -> bool:
    """Whether a clip (anything with `language`, `speaker`, `label`) is of a speaker kept back."""
    pattern = HELD.get(clip.language)
    return pattern is not None and re.fullmatch(pattern, clip.speaker) is not None


def held_paths(clips: Iterable[Any]) -> set[str]:
    """The paths of `train` that nothing may be trained on, of `read_manifest(data)["train"]`; a copy and a re-coding carry their original's path.

    An index written before it had speakers holds none of them, and would let everything through: that is an error.
    """
    kept = set()
    for clip in clips:
        if clip.language in HELD and clip.label == "bonafide" and clip.path.startswith("train/") and not clip.speaker:
            raise ValueError(f"{clip.path} has no speaker: give the clips of the manifest, or make the store anew")
        if held(clip):
            kept.add(clip.path)
    return kept


def held_back(data: Path) -> set[str]:
    """`held_paths` of the manifest in `data`."""
    return held_paths(read_manifest(data)["train"])


def clips_of(data: Path, cache: Path, splits: Iterable[str]) -> Iterator[tuple[str, str, Clip, np.ndarray]]:
    """(language, where from, clip, audio): `dev` (and `eval` when it is asked for), the speakers kept back, and `lab synth`'s held-out voices."""
    kept = held_back(data)
    stores = [*dict.fromkeys(["dev", *splits]), "train", "synth-held"]
    for name in stores:
        if not (cache / f"{name}.json").exists():
            continue
        store = Store(cache, name)
        for index, clip in enumerate(store.clips):
            language = clip.language.split("-")[0]
            if language in NAMES and (name != "train" or clip.path in kept):
                yield language, "held" if name == "train" else name, clip, store[index]


def measure(served: "Served", data: Path, cache: Path, splits: Iterable[str], threshold: float = 0.0) -> dict:
    """EER, AUC and, at `threshold`, accuracy, precision, recall and F1 of each language, with bootstrap intervals."""
    heard = list(clips_of(data, cache, splits))
    llr = np.nan_to_num(served.llrs(audio for *_, audio in heard))
    language, origin = np.array([each[0] for each in heard]), np.array([each[1] for each in heard])
    clips = [each[2] for each in heard]
    spoof, system = np.array([clip.spoof for clip in clips], bool), np.array([clip.system for clip in clips])
    rows = []
    for code, name in [*NAMES.items(), ("all", "all five")]:
        here = (language == code) | (code == "all")
        counts = {f"{kind}_from": dict(Counter(origin[here & mask].tolist())) for kind, mask in (("bonafide", ~spoof), ("spoof", spoof))}
        counts["spoof_systems"] = dict(Counter(system[here & spoof].tolist()))
        rows.append({"group": code, "name": name, **figures_of(llr[here & ~spoof], llr[here & spoof], threshold), **counts})
    return {"from": sorted(set(origin.tolist())), "threshold_llr": threshold, "rows": rows, "claimed_by_seed_002": CLAIMED}


def figures_of(bonafide: np.ndarray, spoof: np.ndarray, threshold: float, draws: int = 500) -> dict:
    """Figures None where a class is missing."""
    which: dict[str, Figure] = {"eer": eer, "auc": auc}
    for key in ("accuracy", "precision", "recall", "f1"):
        which[key] = lambda real, fake, key=key: decisions(real, fake, threshold)[key]
    alarm = float((bonafide >= threshold).mean()) if len(bonafide) else None
    counts = rounded({"n_bonafide": len(bonafide), "n_spoof": len(spoof), "false_alarm": alarm})
    if min(len(bonafide), len(spoof)) < 3:
        return counts | {name + end: None for name in which for end in ("", "_ci95")}
    spread = intervals(which, bonafide, spoof, draws)
    return rounded(
        counts | {name: figure(bonafide, spoof) for name, figure in which.items()} | {f"{name}_ci95": ends for name, ends in spread.items()}
    )
