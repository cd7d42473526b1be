"""More stores for training, made from those of `data.py`: `copies-neural`, `copies-more`, `<name>-coded`, `rir-simulated`, `music-midi`.

In: the cache folder. Out: stores beside the others; each is made once, a killed build goes on, clip *i* is drawn from (seed, store, i)
alone. Called by `voxproof lab data`, and by hand: `python -m app.lab.stores copies-neural --seconds 1500`.
"""

import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import Generator, default_rng

from app.lab.config import RATE
from app.lab.data import Clip, Store, coded_clip, make_store, sampling_weights, store_of, through_coder
from app.lab.neural import fetch
from app.lab.packages import Missing
from app.lab.resynth import resynthesise

NEURAL_CLIPS, NEURAL_SAMPLES, PERTURBED = 1400, 5 * RATE // 2, 0.35
"""Copies through HiFi-GAN: at most so many, cut to 2.5 s, and this share of them from a worsened mel."""
MORE_SHARES = {"lpc": 0.15, "lpc_quantised": 0.15, "mel_inverted": 0.25, "phase_bands": 0.15, "world_smoothed": 0.15, "upsampled": 0.15}


def copies_neural(cache: Path, weights: Path, seed: int, until: float = float("inf")) -> int:
    """HiFi-GAN copies of bona fide clips drawn over sources and languages as training draws them; about a second of one core each."""
    import torch

    torch.set_num_threads(1)
    rng, train = default_rng((seed, 11)), Store(cache, "train")
    real = [clip for clip in train.clips if not clip.spoof]
    chosen = rng.choice(len(real), min(NEURAL_CLIPS, len(real)), replace=False, p=sampling_weights(real))
    clips = []
    for clip in (real[index] for index in chosen):
        system = "copy_hifigan_perturbed" if rng.random() < PERTURBED else "copy_hifigan"
        clips.append(copy_of(clip, system, int(rng.integers(max(1, clip.length - NEURAL_SAMPLES + 1)))))
    return make_store(cache, "copies-neural", clips, partial(neural_copy, cache, weights, seed), until=until)


def neural_copy(cache: Path, weights: Path, seed: int, index: int, clip: Clip) -> np.ndarray:
    from app.lab.neural import hifigan

    rng = default_rng((seed, 12, index))
    audio = original(cache, clip)[clip.offset :][:NEURAL_SAMPLES]
    made = hifigan(np.pad(audio, (0, NEURAL_SAMPLES - len(audio))), weights, rng, clip.system.endswith("perturbed"))
    return as_coded(made[: len(audio)], rng)


def copies_more(cache: Path, seed: int, workers: int = 1, until: float = float("inf")) -> int:
    """A second copy of every bona fide clip, by the methods of `vocoders.py`."""
    real = [clip for clip in Store(cache, "train").clips if not clip.spoof]
    methods = default_rng((seed, 13)).choice(list(MORE_SHARES), len(real), p=list(MORE_SHARES.values()))
    clips = [copy_of(clip, f"copy_{method}") for clip, method in zip(real, methods, strict=True)]
    return make_store(cache, "copies-more", clips, partial(fast_copy, cache, seed), workers, until)


def fast_copy(cache: Path, seed: int, index: int, clip: Clip) -> np.ndarray:
    rng = default_rng((seed, 14, index))
    return as_coded(resynthesise(original(cache, clip), clip.system.removeprefix("copy_"), rng), rng)


def rooms_simulated(cache: Path, seed: int, count: int = 200) -> int:
    return make_store(cache, "rir-simulated", [Clip(f"rir-simulated/{i}", system="simulated") for i in range(count)], partial(room_clip, seed))


def room_clip(seed: int, index: int, _: Clip) -> np.ndarray:
    from app.lab.rooms import simulated_room

    return simulated_room(default_rng((seed, 16, index)))


def music_midi(cache: Path, seed: int, count: int = 300) -> int:
    return make_store(cache, "music-midi", [Clip(f"music-midi/{i}", system="music") for i in range(count)], partial(tune_clip, seed))


def tune_clip(seed: int, index: int, _: Clip) -> np.ndarray:
    from app.lab.midi import midi_clip

    return midi_clip(seed, index)


def copy_of(clip: Clip, system: str, offset: int = 0) -> Clip:
    return Clip(clip.path, "spoof", "copy", system, clip.source, clip.corpus, clip.speaker, clip.language, offset=offset)


def original(cache: Path, clip: Clip) -> np.ndarray:
    """The whole `train` clip that a copy was made from."""
    train = store_of(cache, "train")
    return train[train.numbers[clip.path]]


def as_coded(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """The coding that the set's own clips went through: 80 % Opus 40 kbit/s (see `data.copy_clip`)."""
    return through_coder(audio, "opus", 0.864) if rng.random() < 0.8 else audio


MAKERS = ("rir-simulated", "music-midi", "copies-more", "copies-neural")
LENT_SECONDS = 1500
"""How long the neural vocoder may work on its store."""


def make(name: str, cache: Path, packages: Path, seed: int, workers: int = 1, until: float = float("inf")) -> int:
    """One store of `MAKERS`, or `<name>-coded` of any store there is; returns its clips."""
    if name.endswith("-coded"):
        plain = name.removesuffix("-coded")
        return make_store(cache, name, Store(cache, plain).clips, partial(coded_clip, cache, plain, seed), workers, until)
    if name == "copies-neural":
        return copies_neural(cache, fetch(packages), seed, until)
    if name == "copies-more":
        return copies_more(cache, seed, workers, until)
    return {"rir-simulated": rooms_simulated, "music-midi": music_midi}[name](cache, seed)


def build_more(cache: Path, packages: Path, seed: int, workers: int, say: Callable[[str], None] = print) -> None:
    """Every store of this file that is not there yet; one whose package or program is missing is left out, and said so."""
    for name in MAKERS:
        try:
            say(f"{name}: {make(name, cache, packages, seed, workers, time.time() + LENT_SECONDS)} clips")
        except (ImportError, OSError, subprocess.SubprocessError, Missing) as error:
            say(f"{name}: left out, {error}")
    for name in ("copies-more", "copies-neural", "synth"):
        if (cache / f"{name}.json").exists():
            say(f"{name}-coded: {make(f'{name}-coded', cache, packages, seed, workers)} clips")


def main() -> None:
    import argparse

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", help=f"{', '.join(MAKERS)}, or NAME-coded")
    parser.add_argument("--cache", type=Path, default=Path("../lab-runs/cache"))
    parser.add_argument("--packages", type=Path, default=Path("../lab-runs/packages"))
    parser.add_argument("--seed", type=int, default=20261120)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="Close the store after so long with what it has.")
    given = parser.parse_args()
    print(given.store, make(given.store, given.cache, given.packages, given.seed, until=time.time() + given.seconds), "clips")


if __name__ == "__main__":
    main()
