"""Audio on disk as the lab reads it: each split decoded once into one flat int16 file with an index beside it.

In: the shared folder (`manifest.csv`, FLAC and Opus). Out: `Store` objects, from which training and evaluation take float32 clips.
Two more stores are made from `train`: `copies` (copy-synthesis of bona fide clips, labelled spoof) and, for each of the two,
`<name>-coded` (the same clips through a random MP3, Opus or GSM coder). `dev` and `eval` are only decoded.
"""

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import default_rng
from scipy.signal import resample_poly

from app.lab.config import RATE
from app.lab.resynth import resynthesise
from app.lab.sounds import sound

METHOD_SHARES = {"griffin_lim": 0.4, "world": 0.3, "harmonic": 0.15, "phase": 0.15}


@dataclass(frozen=True)
class Clip:
    """One row of an index: what the manifest says of a clip, and where its samples lie in the store."""

    path: str
    label: str = ""
    family: str = ""
    system: str = ""
    source: str = ""
    corpus: str = ""
    speaker: str = ""
    language: str = ""
    start: int = 0
    length: int = 0
    offset: int = 0
    """Where a copy begins in its original, in samples."""

    @property
    def spoof(self) -> bool:
        return self.label == "spoof"

    @property
    def group(self) -> str:
        """What sampling balances over: the generator of a spoof; the origin of a bona fide clip or of its copy."""
        return self.system if self.family not in ("real", "classical-codec", "copy") else f"{self.source}|{self.corpus}|{self.language}"

    @property
    def well_known(self) -> bool:
        """LJSpeech and VCTK recur in many repositories, so their speakers cross the splits."""
        return self.speaker.lower().startswith(("lj", "vctk")) or "ljspeech" in self.speaker


class Store:
    """Clips of one split. `store[i]` is float32 in -1..1."""

    def __init__(self, folder: Path, name: str):
        self.name = name
        self.clips = [Clip(**row) for row in json.loads((folder / f"{name}.json").read_text())]
        self.numbers = {clip.path: index for index, clip in enumerate(self.clips)}
        self.samples = np.memmap(folder / f"{name}.i16", np.int16, "r")

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> np.ndarray:
        clip = self.clips[index]
        return self.samples[clip.start : clip.start + clip.length].astype(np.float32) / 32768


def write_store(folder: Path, name: str, pairs: Iterable[tuple[Clip, np.ndarray]]) -> None:
    """Append each clip's samples to `<name>.i16`; the index is written last, so its presence means the store is whole."""
    rows, start = [], 0
    with (folder / f"{name}.i16").open("wb") as out:
        for clip, audio in pairs:
            out.write(np.round(np.clip(audio, -1, 32767 / 32768) * 32768).astype("<i2").tobytes())
            rows.append(asdict(clip) | {"start": start, "length": len(audio)})
            start += len(audio)
    (folder / f"{name}.json").write_text(json.dumps(rows))


def make_store(cache: Path, name: str, clips: list[Clip], work: Callable, workers: int = 1, until: float = float("inf")) -> int:
    """Clip *i* becomes `work(i, clip)`; returns how many the store holds.

    What is done lies in `<name>.part.*`, and a killed build goes on from there; the index comes last. At the clock time `until` the
    store is closed with what it has (a random sample, if the clips come in random order).
    """
    if (cache / f"{name}.json").exists():
        return len(json.loads((cache / f"{name}.json").read_text()))
    audio_path, rows_path = cache / f"{name}.part.i16", cache / f"{name}.part.jsonl"
    rows = [json.loads(line) for line in rows_path.read_text().split("\n")[:-1]] if rows_path.exists() else []
    start = rows[-1]["start"] + rows[-1]["length"] if rows else 0
    left = range(len(rows), len(clips))
    with ProcessPoolExecutor(workers) if workers > 1 else nullcontext() as pool, audio_path.open("ab") as out, rows_path.open("a") as index:
        out.truncate(2 * start)
        index.truncate(sum(len(json.dumps(row)) + 1 for row in rows))
        mapped = pool.map(work, left, clips[len(rows) :], chunksize=16) if pool else map(work, left, clips[len(rows) :])
        for clip, audio in zip(clips[len(rows) :], mapped, strict=True):
            out.write(np.round(np.clip(audio, -1, 32767 / 32768) * 32768).astype("<i2").tobytes())
            out.flush()
            rows.append(asdict(clip) | {"start": start, "length": len(audio)})
            index.write(json.dumps(rows[-1]) + "\n")
            index.flush()
            start += len(audio)
            if time.time() > until:
                if pool:
                    pool.shutdown(cancel_futures=True)
                break
    audio_path.replace(cache / f"{name}.i16")
    (cache / f"{name}.json").write_text(json.dumps(rows))
    rows_path.unlink()
    return len(rows)


def build(data: Path, cache: Path, seed: int, workers: int, say: Callable[[str], None] = print) -> None:
    """Make every store that is not there yet."""
    cache.mkdir(parents=True, exist_ok=True)

    def make(name: str, clips: list[Clip], work: Callable) -> None:
        say(f"{name}: {make_store(cache, name, clips, work, workers)} clips")

    rows = read_manifest(data)
    for split in ("train", "dev"):
        make(split, rows[split], partial(decode, data))
    for name, clips in background_clips(data).items():
        make(name, clips, partial(decode, data))
    originals = [clip for clip in rows["train"] if not clip.spoof]
    copies = [
        Clip(clip.path, "spoof", "copy", f"copy_{method}", clip.source, clip.corpus, clip.speaker, clip.language)
        for clip, method in zip(originals, methods(originals, seed), strict=True)
    ]
    make("copies", copies, partial(copy_clip, data, seed))
    for name, count in (("music", 500), ("music-held", 80)):
        make(name, [Clip(f"{name}/{index}", system="music") for index in range(count)], partial(music_clip, seed, name))
    make("eval", rows["eval"], partial(decode, data))
    for name, clips in (("train", rows["train"]), ("copies", copies)):
        make(f"{name}-coded", clips, partial(coded_clip, cache, name, seed))


def read_manifest(data: Path) -> dict[str, list[Clip]]:
    """Split -> clips, in the order of `manifest.csv`."""
    splits: dict[str, list[Clip]] = {"train": [], "dev": [], "eval": []}
    with (data / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            fields = ("path", "label", "family", "system", "source", "corpus", "speaker", "language")
            splits[row["split"]].append(Clip(**{key: row[key] for key in fields}))
    return splits


def background_clips(data: Path) -> dict[str, list[Clip]]:
    """`noise` and `rir` for training; `noise-held` is never trained on: two whole classes and every fifth clip of the others."""
    noise, held, rooms, seen = [], [], [], Counter()
    with (data / "noise.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            clip = Clip(row["path"], system=row["class"], source=row["source"])
            if row["kind"] != "noise":
                rooms.append(clip)
                continue
            seen[clip.system] += 1
            keep = "Helicopter" in clip.system or "Rain" in clip.system or seen[clip.system] % 5 == 0
            (held if keep else noise).append(clip)
    return {"noise": noise, "noise-held": held, "rir": rooms}


def methods(clips: list[Clip], seed: int) -> list[str]:
    """The copy-synthesis method of each bona fide clip."""
    return list(default_rng(seed).choice(list(METHOD_SHARES), len(clips), p=list(METHOD_SHARES.values())))


def decode(data: Path, _: int, clip: Clip) -> np.ndarray:
    audio, rate = soundfile.read(data / clip.path, dtype="float32", always_2d=True)
    if rate != RATE:
        raise ValueError(f"{clip.path}: {rate} Hz, expected {RATE}")
    return audio[:, 0]


def copy_clip(data: Path, seed: int, index: int, clip: Clip) -> np.ndarray:
    """A copy goes through the coding that the set's own clips went through (80 % Opus 40 kbit/s), so that coding tells nothing."""
    rng = default_rng((seed, 1, index))
    made = resynthesise(decode(data, index, clip), clip.system.removeprefix("copy_"), rng)
    return through_coder(made, "opus", 0.864) if rng.random() < 0.8 else made


def music_clip(seed: int, name: str, index: int, _: Clip) -> np.ndarray:
    """Five seconds; the two stores share no seed."""
    return sound("music", 5 * RATE, default_rng((seed, 3, name == "music-held", index)))


def coded_clip(cache: Path, name: str, seed: int, index: int, _: Clip) -> np.ndarray:
    """One more generation of a random lossy coder."""
    rng = default_rng((seed, 2, index))
    audio = store_of(cache, name)[index]
    coder = rng.choice(["mp3", "opus", "gsm"], p=[0.55, 0.35, 0.1])
    return through_coder(audio, coder, rng.uniform(0.05, 0.9) if coder == "mp3" else rng.uniform(0.8, 0.98))


def through_coder(audio: np.ndarray, coder: str, compression: float) -> np.ndarray:
    """Encode and decode; `compression` is libsndfile's 0..1 (for Opus 0.864 is 40 kbit/s, 0.98 is 11 kbit/s). Same length out."""
    memory = io.BytesIO()
    if coder == "gsm":
        narrow = resample_poly(audio, 1, 2)
        soundfile.write(memory, narrow, RATE // 2, format="WAV", subtype="GSM610")
    else:
        kind, subtype = {"mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS")}[coder]
        soundfile.write(memory, audio, RATE, format=kind, subtype=subtype, compression_level=compression)
    memory.seek(0)
    back = soundfile.read(memory, dtype="float32")[0]
    back = resample_poly(back, 2, 1) if coder == "gsm" else back
    return np.pad(back, (0, max(0, len(audio) - len(back))))[: len(audio)].astype(np.float32)


def sampling_weights(clips: list[Clip]) -> np.ndarray:
    """Probability of drawing each clip: a group as the square root of its size, so a big one neither rules nor vanishes."""
    sizes = Counter(clip.group for clip in clips)
    # One language with few recording chains must not carry the class: languages, too, count as the square root of their size.
    languages = Counter(clip.language for clip in clips)
    weights = np.array([sizes[clip.group] ** -0.5 * languages[clip.language] ** -0.25 for clip in clips])
    return weights / weights.sum()


@lru_cache(4)
def store_of(cache: Path, name: str) -> Store:
    """A worker reads an index once, not for each clip."""
    return Store(cache, name)
