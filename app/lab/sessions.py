"""What long sessions come to: `dev` clips joined to calls of 30 s and 120 s, all bona fide or with a spoofed stretch in the middle.

A call has many windows and each may err, so figures of single clips say little of it. The joined clips are of different speakers and rooms:
harder than one real call, which changes neither. Through the server's own session, at the default operating point.
"""

from pathlib import Path

import numpy as np

from app.lab.config import RATE
from app.lab.data import Store
from app.lab.served import Served

SEED = 4711
CALLS = {30: 40, 120: 15}
"""Seconds of a call -> how many of each kind."""
STRETCH_S = 6  # of spoofed speech, from clips of one system


def measure(served: Served, cache: Path, calls: dict[int, int]) -> dict:
    """`calls` (of `CALLS`): seconds -> share of calls called spoof and bonafide, without and with a spoofed stretch of at least `STRETCH_S`."""
    dev, rng = Store(cache, "dev"), np.random.default_rng(SEED)
    real = [i for i, clip in enumerate(dev.clips) if not clip.spoof]
    fakes: dict[str, list[int]] = {}
    for i, clip in enumerate(dev.clips):
        if clip.spoof:
            fakes.setdefault(clip.system, []).append(i)
    systems = [system for system, clips in fakes.items() if len(clips) >= 2]
    found = {}
    for seconds, count in calls.items():
        plain = [_joined(dev, rng.permutation(real), seconds) for _ in range(count)]
        mixed = []
        for call in plain:
            stretch = _joined(dev, rng.permutation(fakes[systems[rng.integers(len(systems))]]), STRETCH_S)
            mixed.append(np.concatenate((call[: len(call) // 2], stretch, call[len(call) // 2 :])))
        found[str(seconds)] = {"calls": count, "bona fide": _shares(served, plain), "with a spoofed stretch": _shares(served, mixed)}
    return found


def _joined(dev: Store, order: np.ndarray, seconds: float) -> np.ndarray:
    parts, length = [], 0
    for index in order:
        parts.append(dev[int(index)])
        length += len(parts[-1])
        if length >= seconds * RATE:
            break
    return np.concatenate(parts)


def _shares(served: Served, calls: list[np.ndarray]) -> dict[str, float]:
    verdicts = [result.done.verdict for result in served.results(calls)]
    return {name: round(verdicts.count(name) / len(verdicts), 3) for name in ("spoof", "uncertain", "bonafide")}
