"""The codec and SNR tables: a fixed sample of a split, as it is, through each coder, and with noise that training never had.

The coded clips are kept in the cache (coding costs more than scoring them), so that a second model is measured on the same bytes.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import default_rng

from app.lab.breakdown import Scored, row
from app.lab.data import Clip, Store, write_store
from app.lab.recode import CODERS, SNR_DB, available, with_noise
from app.lab.served import Served

SEED, SIZE = 979, 300


def sample(clips: list[Clip], size: int = SIZE) -> list[int]:
    """The same clips every time: half of each class (or all there are), spoofs drawn so that small systems are not left out."""
    rng, chosen = default_rng(SEED), []
    for spoof in (False, True):
        members = [index for index, clip in enumerate(clips) if clip.spoof == spoof]
        sizes: dict[str, int] = {}
        for index in members:
            sizes[clips[index].group] = sizes.get(clips[index].group, 0) + 1
        weights = np.array([sizes[clips[index].group] ** -0.5 for index in members])
        count = min(size // 2, len(members))
        chosen += list(rng.choice(members, count, replace=False, p=weights / weights.sum())) if count else []
    return sorted(int(index) for index in chosen)


def measure(
    served: Served, cache: Path, split: str, point: tuple[float, float], say: Callable[[str], None], size: int = SIZE
) -> dict[str, list[dict]]:
    """`codec` and `snr` tables, each with a clean row first; `false_alarm_change` and `llr_moves_by` are against that row."""
    store = Store(cache, split)
    chosen = sample(store.clips, size)
    clips = [store.clips[index] for index in chosen]
    clean = _llrs(served, [store[index] for index in chosen])
    found = {"codec": [_row("clean", clips, clean, clean, point)], "snr": [_row("clean", clips, clean, clean, point)]}
    for name in available():
        say(f"{split}, {name}")
        coded = coded_store(cache, split, name, store, chosen)
        found["codec"].append(_row(name, clips, _llrs(served, [coded[index] for index in range(len(coded))]), clean, point))
    noises = Store(cache, "noise-held")
    for snr_db in SNR_DB:
        say(f"{split}, {snr_db} dB")
        rng = default_rng((SEED, 1))  # a clip has the same noise at each level
        noisy = [with_noise(store[index], noises[int(rng.integers(len(noises)))], snr_db) for index in chosen]
        found["snr"].append(_row(f"{snr_db} dB", clips, _llrs(served, noisy), clean, point))
    return found


def coded_store(cache: Path, split: str, coder: str, store: Store, chosen: list[int]) -> Store:
    """`<split>-as-<coder>` in the cache; made if it is not there or of other clips."""
    name, wanted = f"{split}-as-{coder.replace(' ', '-')}-{len(chosen)}", [store.clips[index].path for index in chosen]
    if not (cache / f"{name}.json").exists() or [clip.path for clip in Store(cache, name).clips] != wanted:
        (cache / f"{name}.json").unlink(missing_ok=True)
        write_store(cache, name, ((store.clips[index], CODERS[coder](store[index])) for index in chosen))
    return Store(cache, name)


def _llrs(served: Served, audio: list[np.ndarray]) -> np.ndarray:
    return np.nan_to_num(served.llrs(audio))


def _row(name: str, clips: list[Clip], llr: np.ndarray, clean: np.ndarray, point: tuple[float, float]) -> dict:
    of = Scored(clips, llr, *point)
    made = row(name, of, ~of.spoof, of.spoof, llr_moves_by=float(np.median(np.abs(llr - clean))))
    if (~of.spoof).any():
        change = (llr[~of.spoof] >= of.spoof_llr).mean() - (clean[~of.spoof] >= of.spoof_llr).mean()
        made["false_alarm_change"] = round(float(change), 4)
    return made
