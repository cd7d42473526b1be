"""Shortcut audits: does the verdict follow what says nothing about the voice? In: a model folder and `dev` clips. Out: `audits.json` beside the card.

Every clip goes through the server's own session, before and after a change; verdicts are what `done` says at the default operating point.
An audit that fails is written down as failing. Called by `voxproof lab audit`; `report` shows the result, `tests/lab/test_audits.py` the strict part.
"""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.random import default_rng

from app.core import wire
from app.lab.changes import FALSE_ALARMS, SEED, Change, codec_changes, given, invariances
from app.lab.conditions import sample
from app.lab.config import RATE
from app.lab.data import Store
from app.lab.languages import held_back
from app.lab.metrics import auc, eer, interval, rounded
from app.lab.served import LONGEST_S, Pcm, Served
from app.lab.sounds import KINDS, sound
from app.service.detect import Audio, detect, local

FILE = "audits.json"
SOUND_S = 4

LANGUAGE_MULTIPLE, LANGUAGE_AUC, LANGUAGE_CLIPS = 2.0, 0.65, 15
"""No language is accused, or missed, more than twice as often as the others (the lower end of its 95 % interval counts), and the llr tells no
language by more than AUC 0.65 (false alarms doubled from 10 to 20 % are a shift of 0.44 sigma: AUC 0.62). Judged from 15 clips on."""
LEAST_WRONG = 0.02
"""Where the other languages err less than this, twice as often is no scandal."""
REFUSED_ALL, REFUSED_MOST = {"refused": 1.0}, {"refused": 0.95}
"""At least. Silence, noise and tones are never speech; recordings hold animals and people, and music near-voices: one in twenty may pass."""

STRICT = ("polarity", "DC offset", "level", "float samples", "leading digital silence", "48 kHz", "silence, noise and tones")
"""The audits that a released model must pass; the others are reported as they are."""


@dataclass(frozen=True)
class Heard:
    """What the server said of each clip: llr (NaN: none) and verdict."""

    llr: np.ndarray
    verdict: np.ndarray

    def __getitem__(self, which: np.ndarray) -> "Heard":
        return Heard(self.llr[which], self.verdict[which])


def audit(folder: Path, data: Path, cache: Path, clips: int, say: Callable[[str], None]) -> dict:
    """All audits with `clips` clips of each class (bona fide through codecs: half as many again)."""
    served, store = Served(folder), Store(cache, "dev")
    chosen = sample(store.clips, 2 * clips)
    audio, spoof = [store[index] for index in chosen], np.array([store.clips[index].spoof for index in chosen])
    before = hear(served, (Pcm(clip) for clip in audio))
    audits = [invariance(served, audio, spoof, before, *each, say=say) for each in invariances()]
    more = [store[index] for index in sample(store.clips, 3 * clips) if not store.clips[index].spoof]
    audits += [through_codecs(served, more, say), *languages(served, data, cache, store, say), *no_speech(served, cache, say)]
    info, point = served.detector.model.info, served.detector.model.default_profile
    return {
        "format": 1,
        "model": {"name": info.name, "version": info.version, "sha256": info.sha256},
        "date": date.today().isoformat(),
        "command": f"voxproof lab audit --model models/{info.name} --clips {clips}",
        "sample": {
            "split": "dev", "seed": SEED, "operating_point": point, "n_bonafide": int((~spoof).sum()), "n_spoof": int(spoof.sum()),
            "eer": rounded(_eer(before, spoof)), "false_alarm": rounded(_false_alarm(before[~spoof])),
        },
        "audits": audits,
    }  # fmt: skip


def hear(served: Served, audio: Iterable[Audio]) -> Heard:
    """Each clip as one session of the server."""

    async def run() -> list:
        score = local(served.detector.scorer)
        return [(await detect(clip, served.detector.model, score, wire.Config(), max_seconds=LONGEST_S)).done for clip in audio]

    done = asyncio.run(run())
    return Heard(np.array([np.nan if each.llr is None else each.llr for each in done]), np.array([each.verdict for each in done]))


def invariance(
    served: Served, audio: list[np.ndarray], spoof: np.ndarray, before: Heard, name: str, checks: str, limit: dict, changes: list[Change], say
) -> dict:
    """Median change of llr, share of verdicts that turn round between bonafide and spoof, change of EER and of false alarms."""
    rows = []
    for change in changes:
        say(f"{name}: {change.name}")
        after = hear(served, (given(change, clip) for clip in audio))
        turned = ((before.verdict == "spoof") & (after.verdict == "bonafide")) | ((before.verdict == "bonafide") & (after.verdict == "spoof"))
        rows.append({
            "case": change.name,
            "llr_moves_by": float(np.nanmedian(np.abs(after.llr - before.llr))),
            "flips": float(turned.mean()),
            "answers_lost": float((np.isnan(after.llr) & ~np.isnan(before.llr)).mean()),
            "eer_change": _eer(after, spoof) - _eer(before, spoof),
            "false_alarm_change": _false_alarm(after[~spoof]) - _false_alarm(before[~spoof]),
        })  # fmt: skip
    return judged(name, checks, limit, rows)


def judged(name: str, checks: str, limit: dict, rows: list[dict]) -> dict:
    """Each row beside the limit; the audit passes if there are rows and all of them do. A row with `judged` false is for reading only."""
    rows = [rounded(row) for row in rows]
    for row in rows:
        row["passed"] = not row.get("judged", True) or all(_within(key, row[key], bound) for key, bound in limit.items())
    passed = bool(rows) and all(row["passed"] for row in rows)
    return {"name": name, "checks": checks, "strict": name in STRICT, "limit": limit, "rows": rows, "passed": passed}


def _within(key: str, value: float | None, bound: float) -> bool:
    """A missing value fails; `refused` is a least, the others are a most; false alarms may move neither way."""
    if value is None:
        return False
    if key == "refused":
        return value >= bound
    return abs(value) <= bound if key == "false_alarm_change" else value <= bound


def through_codecs(served: Served, clips: list[np.ndarray], say: Callable[[str], None]) -> dict:
    clean = hear(served, (Pcm(clip) for clip in clips))
    rows = [{"case": "clean", "n_bonafide": len(clips), "false_alarm": _false_alarm(clean), "false_alarm_change": 0.0, "llr_moves_by": 0.0}]
    for name, code in codec_changes().items():
        say(f"bona fide through {name}")
        coded = hear(served, (Pcm(code(clip)) for clip in clips))
        alarm = _false_alarm(coded)
        rows.append({
            "case": name, "n_bonafide": len(clips), "false_alarm": alarm, "false_alarm_change": alarm - _false_alarm(clean),
            "llr_moves_by": float(np.nanmedian(np.abs(coded.llr - clean.llr))),
        })  # fmt: skip
    return judged("bona fide through codecs", "share of bona fide clips called spoof after each coder, beside the clean share", FALSE_ALARMS, rows)


def languages(served: Served, data: Path, cache: Path, dev: Store, say: Callable[[str], None]) -> list[dict]:
    """All of `dev`, the bona fide speakers of `train` that are kept back, and `lab synth`'s held-out voices, by language."""
    say("language")
    kept, train = held_back(data), Store(cache, "train")
    found = [(clip, dev[index]) for index, clip in enumerate(dev.clips)]
    found += [(clip, train[index]) for index, clip in enumerate(train.clips) if clip.path in kept]
    if (cache / "synth-held.json").exists():
        synth = Store(cache, "synth-held")
        found += [(clip, synth[index]) for index, clip in enumerate(synth.clips)]
    heard = hear(served, (Pcm(audio) for _, audio in found))
    language, spoof = np.array([clip.language.split("-")[0] for clip, _ in found]), np.array([clip.spoof for clip, _ in found])
    out = []
    for kind, mask, wrong in (("bona fide", ~spoof, "spoof"), ("spoof", spoof, "bonafide")):
        rows = [_language_row(name, heard[mask], language[mask], wrong) for name in sorted(set(language[mask]) - {""})]
        rows = sorted(rows, key=lambda row: -row["wrong"])
        limit = {"multiple_at_least": LANGUAGE_MULTIPLE, "auc_at_least": LANGUAGE_AUC}
        checks = f"{kind} clips called {wrong}, language by language, beside the other languages'; and how far the llr alone tells the language"
        out.append(judged(f"language of {kind} speech", checks, limit, rows))
    return out


def _language_row(name: str, heard: Heard, language: np.ndarray, wrong: str) -> dict:
    here, others = heard[language == name], heard[language != name]
    count, errors, base = len(here.llr), int((here.verdict == wrong).sum()), float((others.verdict == wrong).mean())
    enough = count >= LANGUAGE_CLIPS
    a, b = np.nan_to_num(others.llr), np.nan_to_num(here.llr)
    low, high = interval(auc, a, b, 300) if enough else (0.5, 0.5)
    return {
        "case": str(name), "n": count, "wrong": errors / count, "others_wrong": base, "auc": auc(a, b), "judged": enough,
        "multiple_at_least": wilson_low(errors, count) / max(base, LEAST_WRONG), "auc_at_least": max(low, 1 - high),
    }  # fmt: skip


def wilson_low(hits: int, of: int, z: float = 1.96) -> float:
    """Lower end of the 95 % interval of a share (Wilson 1927)."""
    share, z2 = hits / of, z * z
    return max(0.0, (share + z2 / (2 * of) - z * np.sqrt(share * (1 - share) / of + z2 / (4 * of * of))) / (1 + z2 / of))


def no_speech(served: Served, cache: Path, say: Callable[[str], None], each: int = 20) -> list[dict]:
    """Sounds that training never drew (other seeds, other files): the verdict must be `no_speech`."""
    rng, length = default_rng((SEED, 1)), SOUND_S * RATE
    made = {kind: [sound(kind, length, rng) for _ in range(1 if kind == "silence" else each)] for kind in ("silence", *KINDS)}
    held = Store(cache, "noise-held")
    noises = {kind: [held[i][:length] for i, clip in enumerate(held.clips) if clip.system == kind] for kind in sorted({c.system for c in held.clips})}
    tunes = {name: Store(cache, name) for name in ("music-held", "music-midi-held") if (cache / f"{name}.json").exists()}
    music = {name: [store[i][:length] for i in range(len(store))] for name, store in tunes.items()}
    out = []
    for name, checks, limit, groups in (
        ("silence, noise and tones", "synthetic sounds, 4 s each, get no_speech", REFUSED_ALL, made),
        ("recorded noise", "environmental recordings held back from training get no_speech", REFUSED_MOST, noises),
        ("music", "synthesised music held back from training gets no_speech", REFUSED_MOST, music),
    ):
        say(name)
        rows = []
        for kind, clips in groups.items():
            verdict = hear(served, (Pcm(clip) for clip in clips)).verdict
            shares = {"refused": float((verdict == "no_speech").mean()), "spoof": float((verdict == "spoof").mean())}
            rows.append({"case": kind, "n": len(clips), **shares})
        out.append(judged(name, checks, limit, rows))
    return out


def write(folder: Path, found: dict) -> Path:
    path = folder / FILE
    path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return path


def table(found: dict) -> str:
    """For people: a line an audit, and the rows that fail."""
    lines = []
    for each in found["audits"]:
        lines.append(f"{'passed' if each['passed'] else 'FAILED'}  {each['name']}{'  (strict)' if each['strict'] else ''}  limit {each['limit']}")
        lines += [f"          {row}" for row in each["rows"] if not row["passed"]]
    return "\n".join(lines)


def _eer(heard: Heard, spoof: np.ndarray) -> float:
    llr = np.nan_to_num(heard.llr)
    return eer(llr[~spoof], llr[spoof])


def _false_alarm(bonafide: Heard) -> float:
    return float((bonafide.verdict == "spoof").mean())
