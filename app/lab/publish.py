"""All figures of a model folder: gathered for `voxproof lab evaluate`, written to `evaluation.json` (everything), the card and its README.

`evaluation.json` is what `lab report` draws from:
`{format, model{name, version, kind, sha256, bytes}, date, command, operating_point{name, bonafide_llr, spoof_llr},
splits{dev|eval: {headline, at_operating_points, det, histogram, peers, server_and_lab_differ_by, tables{subset, family, system, language, source,
licence, duration, codec, snr}, streaming}}, languages, calibration, sounds{speech_refused, speech_kept}, robustness, cost}`.
Rates are 0..1, llrs natural logs with high = spoof, times seconds; a table is a list of rows as `breakdown` describes them; what was not measured
is absent, a figure without enough clips None. The card gets `compact` of it. Figures measured earlier stay while the model is the same.
"""

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from app.lab import activity, breakdown, conditions, cost, languages, robustness, sessions, streaming
from app.lab.config import FRAME_SAMPLES, Recipe, recipe_from
from app.lab.data import Store, read_manifest
from app.lab.evaluate import read_peers, report, score_store
from app.lab.metrics import rounded
from app.lab.scorefiles import write_scores
from app.lab.served import Served, Trail
from app.lab.shown import show
from app.scoring.card import Card
from app.scoring.load import fingerprint

BEGIN, END = "<!-- figures: written by `voxproof lab evaluate --write` -->", "<!-- end of figures -->"
"""Between these lines of the model's README stand the figures."""
EVALUATION = "evaluation.json"
COMPARED = 150
"""Clips on which the lab's own scoring is compared with the server's."""
SLOW_MS, SLOW_SAMPLE = 10, 120
"""A model slower than this, in ms a second of audio, gets smaller samples for what scores clips again; the rows say how many."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What `evaluate` was asked for. `fast` leaves out codecs, noise and streaming; `others` maps a detector's name to its scores of a store."""

    splits: list[str]
    fast: bool = False
    languages: bool = False
    sounds: bool = False
    music: Path | None = None
    others: dict[str, Callable[[Store], np.ndarray]] = field(default_factory=dict)
    scores_to: Path | None = None
    command: str = ""


def measure_model(folder: Path, recipe: Recipe, asked: Asked, say: Say) -> dict:
    """The content of `evaluation.json`, through the server's session."""
    served = Served(folder)
    card = served.detector.card
    point = card.operating_points[card.default_operating_point]
    found: dict[str, Any] = {
        "format": 1,
        "model": {
            "name": card.name,
            "version": card.version,
            "kind": card.kind,
            "sha256": fingerprint(card),
            "bytes": sum((folder / file).stat().st_size for file in card.files),
        },
        "date": datetime.date.today().isoformat(),
        "command": asked.command,
        "operating_point": {"name": card.default_operating_point, "bonafide_llr": point.bonafide_llr, "spoof_llr": point.spoof_llr},
        "splits": {},
    }
    for split in asked.splits:
        say(f"{split}: scoring {len(Store(recipe.cache, split))} clips")
        found["splits"][split] = _split(served, folder, recipe, split, asked, say)
    if "dev" in found["splits"]:
        durations = found["splits"]["dev"]["tables"]["duration"]
        by_duration = {row["group"]: {"cllr": row["cllr"], "min_cllr": row["min_cllr"]} for row in durations}
        found["calibration"] = {**card.calibration.model_dump(), "cllr_by_duration": by_duration}
    if asked.languages:
        say("languages")
        found["languages"] = languages.measure(served, recipe.data, recipe.cache, asked.splits)
    if asked.sounds:
        say("sounds that are not speech, changes that keep the class, cost")
        found |= _sounds(served, folder, recipe, asked.music)
    return found


def _split(served: Served, folder: Path, recipe: Recipe, split: str, asked: Asked, say: Say) -> dict:
    card, store = served.detector.card, Store(recipe.cache, split)
    trails = served.trails(store[i] for i in range(len(store)))
    peers = read_peers(recipe.data, store.clips) | {name: scores(store) for name, scores in asked.others.items()}
    found = report(card, store.clips, trails, peers)
    point = card.operating_points[card.default_operating_point]
    ends = point.bonafide_llr, point.spoof_llr
    llr = np.nan_to_num([trail.llr for trail in trails])
    trained = {clip.system for clip in read_manifest(recipe.data)["train"] if clip.spoof}
    scored, licences = breakdown.Scored(store.clips, llr, *ends), breakdown.read_licences(recipe.data)
    found["tables"] = breakdown.tables(scored, trails, trained, _made(recipe.cache), licences)
    if card.kind == "frames" and (difference := _difference(card, folder, store, trails)) is not None:
        found["server_and_lab_differ_by"] = round(difference, 6)
    if asked.scores_to is not None:
        say(f"score files: {', '.join(str(path) for path in write_scores(asked.scores_to, f'{card.name}-{split}', store.clips, llr))}")
    if not asked.fast:
        say(f"{split}: streaming")
        pool = card.verdict.pool_windows, card.verdict.hysteresis_hops
        found["streaming"] = streaming.measure(served, store, trails, pool, ends)
        slow = _pace(served, store, 5)["ms_per_audio_second"] > SLOW_MS
        if split == "dev":
            calls = dict([next(iter(sessions.CALLS.items()))]) if slow else sessions.CALLS
            found["streaming"]["long_sessions"] = sessions.measure(served, recipe.cache, calls)
        found["tables"] |= conditions.measure(served, recipe.cache, split, ends, say, SLOW_SAMPLE if slow else conditions.SIZE)
    return found


def _made(cache: Path) -> set[str]:
    """Generators of `lab synth` that were trained on."""
    path = cache / "synth.json"
    return {clip["system"] for clip in json.loads(path.read_text())} if path.exists() else set()


def _difference(card: Card, folder: Path, store: Store, trails: list[Trail]) -> float | None:
    """How far the lab's own window rule is from the server's, in llr, on some clips; None where the lab cannot read the graphs."""
    if (scorer := _lab_scorer(card, folder)) is None:
        return None
    chosen = np.linspace(0, len(store) - 1, min(COMPARED, len(store))).astype(int)
    ours = np.array([score.llr for score in score_store(scorer, _Part(store, chosen), card.frames.speech_threshold)])
    served = np.array([trails[index].llr for index in chosen])
    if (np.isnan(ours) != np.isnan(served)).any():
        return float("inf")
    return float(np.nanmax(np.abs(ours - served)))


def _pace(served: Served, store: Store, clips: int) -> dict:
    speech = np.concatenate([store[int(index)] for index in np.linspace(0, len(store) - 1, clips)])
    return streaming.pace(served, speech, served.detector.card.hop_seconds)


class _Part:
    """Some clips of a store, as a store."""

    def __init__(self, store: Store, chosen: np.ndarray):
        self._store, self._chosen = store, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> np.ndarray:
        return self._store[int(self._chosen[index])]


def _lab_scorer(card: Card, folder: Path):
    from app.lab.windows import OnnxScorer

    frames = card.frames
    if frames is None or frames.frame_samples != FRAME_SAMPLES or {frames.encoder.file, frames.head.file} != {"encoder.onnx", "head.onnx"}:
        return None
    return OnnxScorer(folder, frames.left_samples, frames.right_samples, frames.one_at_a_time)


def _sounds(served: Served, folder: Path, recipe: Recipe, music: Path | None) -> dict:
    card, scorer, dev = served.detector.card, _lab_scorer(served.detector.card, folder), Store(recipe.cache, "dev")
    found: dict[str, Any] = {"sounds": {"speech_refused": activity.refusal(served, recipe.cache, music)}}
    if scorer is not None:
        found["sounds"]["speech_kept"] = activity.recall(scorer, recipe.cache, threshold=card.frames.speech_threshold)
    found["robustness"] = robustness.measure(served, recipe.cache)
    speech = np.concatenate([dev[index] for index in range(0, len(dev), max(1, len(dev) // 10))])
    found["cost"] = {
        "streaming": streaming.pace(served, speech, card.hop_seconds),
        "bytes": {file: (folder / file).stat().st_size for file in card.files},
    }
    net = card.training.get("recipe", {}).get("net")
    if scorer is not None and net is not None and net.get("family", "spectrum") == "spectrum":
        sizes = recipe_from({"net": net}).net
        found["cost"] |= cost.measure(scorer, sizes.embedding_size) | {"million_macs_per_audio_second": cost.multiplications(sizes)}
    return found


# --- writing ------------------------------------------------------------------------------------------------


def write(folder: Path, found: dict) -> dict:
    """`evaluation.json`, the card's figures and the README; what was measured of the same model before stays. Returns all of it."""
    path = folder / EVALUATION
    before = json.loads(path.read_text()) if path.exists() else None
    whole = merged(before, found) if before else found
    path.write_text(json.dumps(rounded(whole), indent=1) + "\n")
    card_path = folder / "card.json"
    card = json.loads(card_path.read_text())
    # A card just exported has none; one whose figures are of other weights or thresholds loses them.
    card["figures"] = compact(whole) if before and whole is found else card.get("figures", {}) | compact(whole)
    card_path.write_text(json.dumps(card, indent=2) + "\n")
    notes = folder / "README.md"
    if notes.exists() and BEGIN in notes.read_text():
        before, _, rest = notes.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        notes.write_text(f"{before}{BEGIN}\n```\n{show(whole)}\n```\n{END}{after}")
    return whole


def merged(before: dict, found: dict) -> dict:
    """`found` over `before`, part by part; another model's figures are dropped, and so are a recalibrated one's."""
    if any(before.get(key) != found[key] for key in ("model", "operating_point")):
        return found
    splits = dict(before["splits"])
    for name, split in found["splits"].items():
        earlier = splits.get(name, {})
        splits[name] = earlier | split | {key: earlier.get(key, {}) | split[key] for key in ("tables", "peers") if key in split}
    return before | found | {"splits": splits}


def compact(whole: dict) -> dict:
    """The headline figures, for the card."""
    out: dict[str, Any] = {}
    short = ("eer", "eer_ci95", "auc", "n_bonafide", "n_spoof")
    for name, split in whole["splits"].items():
        rows = {table: {row["group"]: row for row in split["tables"].get(table, [])} for table in ("subset", "family", "duration")}
        pick = {
            "without_lj_and_vctk": "without LJ and VCTK",
            "unseen_systems": "systems in neither train nor lab synth",
            "recent_neural_tts": "recent neural TTS",
        }
        out[name] = {
            **split["headline"],
            **{key: _only(rows["subset"][group], short) for key, group in pick.items()},
            "at_2_s_of_speech": _only(rows["duration"]["2 s"], (*short, "cllr")),
            "by_family": {group: _only(row, short) for group, row in rows["family"].items()},
            "peers": {peer: _only(values, ("eer", "eer_ci95", "auc", "auc_ci95", "min_dcf")) for peer, values in split["peers"].items()},
            "at_operating_points": split["at_operating_points"],
            **_only(split, ("server_and_lab_differ_by",)),
        }
        if "streaming" in split:
            out[name]["streaming"] = _only(split["streaming"], ("first_verdict", "flips_per_minute", "detection"))
    if "languages" in whole:
        keys = ("n_bonafide", "n_spoof", "eer", "eer_ci95", "auc", "accuracy", "precision", "recall", "f1")
        out["languages"] = {row["group"]: _only(row, keys) for row in whole["languages"]["rows"]}
    for part in ("sounds", "robustness", "cost"):
        if part in whole:
            out[part] = whole[part]
    return rounded(out)


def _only(values: dict, keys: tuple[str, ...]) -> dict:
    return {key: values[key] for key in keys if key in values}
