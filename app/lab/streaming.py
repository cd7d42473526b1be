"""Figures of a live stream: time to the first verdict, time to detect at a fixed number of false alarms an hour, changes of mind a minute.

Calls are clips of one speaker (or one generator) joined, through the server's own session; alarms at other thresholds come from replaying the
session's window llrs through `app.core.verdict.Running`, the same code that raises them live.
"""

import time
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.random import default_rng

from app.core import wire
from app.core.messages import Limits
from app.core.session import Session
from app.core.verdict import Heard, OperatingPoint, Running
from app.lab.breakdown import clusters
from app.lab.config import RATE
from app.lab.data import Store
from app.lab.metrics import rounded
from app.lab.served import Served, Trail

SEED = 980
CALL_S, SPOOF_CALL_S = 60, 12
FADE = RATE // 200
"""5 ms at each end of a clip, so that a joint is no click."""
PER_HOUR = (1, 5, 20)
"""`dev` has 0.6 h of bona fide speech: one an hour there means none at all, and the true rate may be up to 5 an hour (rule of three)."""
THRESHOLDS = 150


def measure(served: Served, store: Store, clip_trails: list[Trail], pool: tuple[int, int], point: tuple[float, float]) -> dict:
    """All streaming figures of a split. `pool`: the card's (pool_windows, hysteresis_hops); `point`: its default (bonafide_llr, spoof_llr)."""
    calls = {kind: served.trails(join(store, members)) for kind, members in plan(store).items()}
    bonafide, spoof = calls["bonafide"], calls["spoof"]
    hours = sum(trail.speech_s for trail in bonafide) / 3600
    if not hours or not spoof:
        return {"first_verdict": first_verdict(clip_trails)}
    default = {"threshold_llr": point[1], **_at(bonafide, spoof, hours, pool, point)}
    return rounded(
        {
            "first_verdict": first_verdict(clip_trails),
            "calls": {
                "bonafide": len(bonafide),
                "spoof": len(spoof),
                "bonafide_speech_hours": hours,
                "seconds": CALL_S,
                "spoof_seconds": SPOOF_CALL_S,
            },
            "flips_per_minute": {kind: flips_per_minute(trails) for kind, trails in calls.items()},
            "detection": sweep(bonafide, spoof, hours, pool, point[0]),
            "at_default_point": default,
        }
    )


def plan(store: Store) -> dict[str, list[list[int]]]:
    """The clips of each call, every clip used once: bona fide ones of a speaker up to `CALL_S`, spoofed ones of a system up to `SPOOF_CALL_S`."""
    rng, names = default_rng(SEED), clusters(store.clips)
    calls: dict[str, list[list[int]]] = {"bonafide": [], "spoof": []}
    for name in sorted(set(names)):
        members = rng.permutation(np.flatnonzero(names == name))
        kind, most = ("spoof", SPOOF_CALL_S) if store.clips[members[0]].spoof else ("bonafide", CALL_S)
        call: list[int] = []
        for index in members:
            call.append(int(index))
            if sum(store.clips[i].length for i in call) >= most * RATE:
                calls[kind].append(call)
                call = []
        if call:
            calls[kind].append(call)
    return calls


def join(store: Store, calls: Iterable[list[int]]) -> Iterable[np.ndarray]:
    ramp = np.linspace(0, 1, FADE, dtype=np.float32)
    for call in calls:
        pieces = []
        for index in call:
            piece = store[index].copy()
            piece[:FADE] *= ramp[: len(piece)]
            piece[-FADE:] *= ramp[::-1][-len(piece) :]
            pieces.append(piece)
        yield np.concatenate(pieces)


def first_verdict(trails: list[Trail]) -> dict:
    """Seconds of audio, and of speech in it, until a verdict is claimed (the state is no longer `warming`)."""
    audio, speech = [], []
    for trail in trails:
        heard = 0.0
        for step in trail.steps:
            heard += step.new_speech_ms / 1000
            if step.state != "warming":
                audio.append(step.end_s)
                speech.append(heard)
                break
    return rounded({"clips": len(trails), "never": len(trails) - len(audio), "audio_s": _spread(audio), "speech_s": _spread(speech)})


def flips_per_minute(trails: list[Trail]) -> float:
    """Changes of the running verdict after the first one that was claimed, a minute of audio."""
    flips = 0
    for trail in trails:
        claimed = [step.verdict for step in trail.steps if step.state != "warming"]
        flips += sum(before != after for before, after in pairwise(claimed))
    return flips / max(sum(trail.seconds for trail in trails) / 60, 1e-9)


def alarms(trail: Trail, pool: tuple[int, int], point: OperatingPoint) -> list[float]:
    """Seconds at which the running verdict became `spoof`."""
    running, raised = Running(*pool), []
    for step in trail.steps:
        standing = running.hear(Heard(0, 0, step.llr, 0, step.new_speech_ms, point.verdict(step.llr)), point)
        if standing.alarm == "raised":
            raised.append(step.end_s)
    return raised


def sweep(bonafide: list[Trail], spoof: list[Trail], hours: float, pool: tuple[int, int], bonafide_llr: float) -> list[dict]:
    """For each wanted rate: the lowest threshold from which on up no more false alarms are raised, and what it then catches, how late."""
    means = np.concatenate([_running_means(trail, pool[0]) for trail in bonafide])
    tail = np.sort(means)[-THRESHOLDS:]  # where alarms are rare, every one of them is a threshold to try
    thresholds = np.unique(np.concatenate([np.quantile(means, np.linspace(0.4, 1, THRESHOLDS // 3)), tail, tail[-1:] + 1e-3]))
    raised = np.array([sum(len(alarms(trail, pool, _point(bonafide_llr, threshold))) for trail in bonafide) for threshold in thresholds])
    found = []
    for wanted in PER_HOUR:
        too_many = np.flatnonzero(raised / hours > wanted)
        threshold = thresholds[min(too_many[-1] + 1 if len(too_many) else 0, len(thresholds) - 1)]
        at = _at(bonafide, spoof, hours, pool, (bonafide_llr, threshold))
        found.append({"false_alarms_per_hour": wanted, "threshold_llr": float(threshold), **at})
    return found


def _running_means(trail: Trail, size: int) -> np.ndarray:
    llrs = np.array([step.llr for step in trail.steps if step.llr is not None])
    return np.array([llrs[max(0, end - size) : end].mean() for end in range(1, len(llrs) + 1)])


def _at(bonafide: list[Trail], spoof: list[Trail], hours: float, pool: tuple[int, int], point: tuple[float, float]) -> dict:
    threshold = _point(*point)
    measured = sum(len(alarms(trail, pool, threshold)) for trail in bonafide) / hours
    first = [times[0] for trail in spoof if (times := alarms(trail, pool, threshold))]
    return {"measured": measured, "detected": len(first) / len(spoof), "delay_s": _spread(first)}


def pace(served: Served, audio: np.ndarray, hop_s: float) -> dict:
    """What a live stream costs: CPU milliseconds of the scorer a second of audio, one window at a time on one thread, overlap included."""
    model, block = served.detector.model, round(hop_s * RATE)
    limits = Limits(max_session_seconds=3600, idle_timeout_seconds=0, max_frame_bytes=0, max_buffer_seconds=60)
    start = wire.Start(audio=wire.Audio(encoding="pcm_s16le", sample_rate=RATE))
    session, spent_ms = Session("0" * 32, "", model, limits, start), []
    content = np.round(audio * 32768).clip(-32768, 32767).astype("<i2")
    for at in range(0, len(content), block):
        session.receive_bytes(content[at : at + block].tobytes())
        while windows := session.windows(1):
            begun = time.thread_time()
            scored = served.detector.scorer.score(windows)
            spent_ms.append((time.thread_time() - begun) * 1000)
            session.scored(windows[0], scored[0])
    settled = np.array(spent_ms[len(spent_ms) // 4 :])  # full windows, graphs warm
    return rounded({"ms_per_audio_second": np.median(settled) / hop_s, "p90": np.percentile(settled, 90) / hop_s, "windows": len(settled)})


def _point(bonafide_llr: float, spoof_llr: float) -> OperatingPoint:
    return OperatingPoint(min(bonafide_llr, float(spoof_llr)), float(spoof_llr))


def _spread(values: list[float]) -> dict[str, float | None]:
    return {"median": float(np.median(values)), "p90": float(np.percentile(values, 90))} if values else {"median": None, "p90": None}
