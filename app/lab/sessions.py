"""What long sessions come to: `dev` clips joined to calls of 30 s and 120 s, all bona fide or with a spoofed stretch in the middle.

A call has many windows and each may err, so figures of single clips say little of it. The joined clips are of different speakers and rooms:
harder than one real call, which changes neither. Through the server's own session, at the default operating point.
"""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from app.core.messages import Segment
from app.core.verdict import Heard, spoof_ranges
from app.lab.config import RATE
from app.lab.data import Store
from app.lab.served import Served

SEED = 4711
CALLS = {30: 40, 120: 15}
"""Seconds of a call -> how many of each kind."""
STRETCH_S = 6  # of spoofed speech, from clips of one system
CONDEMNED, CONDEMNED_CALLS, CONDEMNED_S = 0.05, 60, 120
"""The card's `range_llr`: the share of bona fide calls of so many seconds that a range alone may make spoof, and how many calls tell."""
RANGE_SEED = 815


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


def range_llr(served: Served, cache: Path) -> float:
    """The least mean llr a spoofed range needs to make a session spoof, so that it does so to `CONDEMNED` of bona fide `dev` calls. Fitted on `dev`,
    on other draws than `measure` makes.
    """
    dev, rng = Store(cache, "dev"), np.random.default_rng(RANGE_SEED)
    real = [i for i, clip in enumerate(dev.clips) if not clip.spoof]
    calls = [_joined(dev, rng.permutation(real), CONDEMNED_S) for _ in range(CONDEMNED_CALLS)]
    tops = sorted((_surest_range(result.segments, result.done.duration_ms) for result in served.results(calls)), reverse=True)
    point = served.detector.card.operating_points[served.detector.card.default_operating_point]
    return round(max(point.spoof_llr, tops[round(CONDEMNED * len(tops))] + 0.005), 2)


def into_card(folder: Path, found: float) -> None:
    path = folder / "card.json"
    card = json.loads(path.read_text("utf-8"))
    card["verdict"]["range_llr"] = found
    path.write_text(json.dumps(card, indent=2) + "\n", "utf-8")


def _surest_range(segments: list[Segment], duration_ms: int) -> float:
    """The highest mean llr of a range that is long enough to condemn; minus infinity without one."""
    return max((r.llr for r in spoof_ranges(list(_heard(segments)), duration_ms) if r.lasts), default=-np.inf)


def _heard(segments: list[Segment]) -> Iterator[Heard]:
    ends = [0, *(segment.end_ms for segment in segments)]
    for segment, (before, end) in zip(segments, pairwise(ends), strict=True):
        yield Heard(segment.start_ms, segment.end_ms, segment.llr, segment.speech_ms, end - before, segment.verdict)


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
