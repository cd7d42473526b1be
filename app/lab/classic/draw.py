"""Windows for the classical detector: training windows from the lab's degraded batches, `dev` windows cut as the server cuts them.

Both are at most 4 s and repeated up to 4 s, as the card tells the server (`short: repeat`). Called by `train`.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from app.lab.augment import Batches
from app.lab.classic.features import SAMPLES
from app.lab.config import RATE, Recipe
from app.lab.data import Store
from app.scoring.onnx import ENERGY_FLOOR_DB, ENERGY_MIN_DBFS

CROPS_S = (1.0, 2.0, 3.0, 4.0, 4.0)
"""Lengths of training windows; a session's windows grow from 1 s to 4 s."""
BATCH = 32
FIRST, STEP = RATE, RATE // 2
GATE = RATE // 50
MIN_SPEECH = RATE // 2
LATEST = 10**6
"""An epoch after every stage of a recipe: its augmentation is used as it stands at the end."""


@dataclass(frozen=True)
class Windows:
    """features float32 [N, D] · spoof bool [N] · clip [N], its number · new [N], the speech samples no earlier window of it had."""

    features: np.ndarray
    spoof: np.ndarray
    clip: np.ndarray
    new: np.ndarray


def training_windows(recipe: Recipe, graph, count: int, seed: int) -> Windows:
    """`count` drawn and degraded windows, half of each class; groups, languages, copies and degradations as `Batches` has them."""
    at_end = recipe.at(LATEST)
    train = dataclasses.replace(at_end.train, seed=seed, batch=BATCH, epoch_clips=count, crop_seconds=CROPS_S, nonspeech=0.0)
    batches = Batches(dataclasses.replace(at_end, train=train, stages=()), 0)
    features, spoof = [], []
    for index in range(len(batches)):
        batch = batches[index]
        left = recipe.net.left_samples
        audio = batch.audio[:, left : left + batch.speech.shape[1] * (RATE // 50)]
        usable = (batch.judged > 0) & (batch.speech.sum(1) * (RATE // 50) >= MIN_SPEECH)
        features.append(graph(np.stack([fitted(row) for row in audio[usable]])))
        spoof.append(batch.spoof[usable] > 0.5)
    spoof = np.concatenate(spoof)
    return Windows(np.concatenate(features), spoof, np.arange(len(spoof)), np.ones(len(spoof)))


def clip_windows(store: Store, graph) -> Windows:
    """Every window of every clip that the server's energy gate lets through."""
    features, clip, new = [], [], []
    for number in range(len(store)):
        cut = list(server_windows(store[number]))
        if cut:
            features.append(graph(np.stack([audio for audio, _ in cut])))
        clip += [number] * len(cut)
        new += [fresh for _, fresh in cut]
    spoof = np.array([row.spoof for row in store.clips])
    return Windows(np.concatenate(features), spoof[clip], np.array(clip), np.array(new, float))


def server_windows(clip: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """(4 s of audio, new speech in samples), by the rules of `app/core/windows.py` and `app/scoring/onnx.py`."""
    ends = list(range(FIRST, len(clip) + 1, STEP))
    if not ends or ends[-1] < len(clip):
        ends.append(len(clip))
    since = 0
    for end in ends:
        audio = clip[max(0, end - SAMPLES) : end]
        speech = _gate(audio)
        fresh = speech[len(speech) - min(len(speech), (end - since) // GATE) :]
        since = end
        if speech.sum() * GATE >= MIN_SPEECH:
            yield fitted(audio), int(fresh.sum()) * GATE


def session_scores(windows: Windows, raw: np.ndarray, clips: int) -> np.ndarray:
    """One score a clip: the mean of its windows', weighted by new speech; NaN without any."""
    weight = np.bincount(windows.clip, windows.new, clips)
    total = np.bincount(windows.clip, windows.new * raw, clips)
    return np.where(weight > 0, total / np.maximum(weight, 1e-9), np.nan)


def fitted(audio: np.ndarray) -> np.ndarray:
    return np.tile(audio, -(-SAMPLES // len(audio)))[:SAMPLES]


def _gate(audio: np.ndarray) -> np.ndarray:
    whole = len(audio) // GATE * GATE
    level = 10 * np.log10(np.square(audio[len(audio) - whole :].reshape(-1, GATE)).mean(1) + 1e-12)
    return (level > ENERGY_MIN_DBFS) & (level > level.max() - ENERGY_FLOOR_DB)
