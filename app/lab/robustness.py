"""Does the verdict follow what it must not follow? EER and llr shift on a sample of `dev` under changes that keep the class.

Also a check for shortcuts: bona fide clips against their own copy-synthesis (same words, room, chain and language; the methods are those of
training, so this is a check and no forecast). Coders and noise levels have tables of their own (`conditions`). Through the server's session.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import default_rng
from scipy.signal import resample_poly

from app.lab.config import FRAME_SAMPLES, RATE
from app.lab.data import METHOD_SHARES, Store
from app.lab.metrics import eer
from app.lab.resynth import resynthesise
from app.lab.served import Served
from app.lab.sounds import sound
from app.lab.speech import label_speech

SEED = 978


def measure(served: Served, cache: Path, clips: int = 300) -> dict:
    """Condition -> EER of the sample and the median absolute change of a clip's llr."""
    dev, rng = Store(cache, "dev"), default_rng(SEED)
    chosen = rng.choice(len(dev), min(clips, len(dev)), replace=False)
    audio = [dev[int(index)] for index in chosen]
    spoof = np.array([dev.clips[index].spoof for index in chosen])
    plain = _scores(served, audio)
    found = {"unchanged": {"eer": round(eer(plain[~spoof], plain[spoof]), 4)}}
    for name, change in _changes(rng).items():
        llr = _scores(served, [change(clip) for clip in audio])
        found[name] = {"eer": round(eer(llr[~spoof], llr[spoof]), 4), "llr_moves_by": round(float(np.median(np.abs(llr - plain))), 4)}
    real = [clip for clip, fake in zip(audio, spoof, strict=True) if not fake][:120]
    copies = [resynthesise(clip, method, rng) for clip, method in zip(real, rng.choice(list(METHOD_SHARES), len(real)), strict=True)]
    found["bona fide against own copies"] = {"eer": round(eer(plain[~spoof][: len(real)], _scores(served, copies)), 4)}
    return found


def _scores(served: Served, clips: list[np.ndarray]) -> np.ndarray:
    return np.nan_to_num(served.llrs([clip.astype(np.float32) for clip in clips]))


def _changes(rng) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    return {
        "gain -30 dB": lambda x: np.round(x * 10**-1.5 * 32768) / 32768,
        "polarity": lambda x: -x,
        "DC 0.1": lambda x: x * 0.8 + 0.1,
        "pauses digital zero": _gated,
        "0.7 s of silence before it": lambda x: np.pad(x, (round(0.7 * RATE), 0)),
        "white noise 20 dB": lambda x: x + _noise(x, "white", 20, rng),
        "pink noise 10 dB": lambda x: x + _noise(x, "pink", 10, rng),
        "8 kHz": _narrow,
    }


def _gated(audio: np.ndarray) -> np.ndarray:
    labels = np.repeat(label_speech(audio), FRAME_SAMPLES)
    return audio * np.pad(labels, (0, len(audio) - len(labels)))


def _noise(audio: np.ndarray, kind: str, snr_db: float, rng) -> np.ndarray:
    noise = sound(kind, len(audio), rng)
    return noise * float(np.sqrt(np.mean(audio**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20))


def _narrow(audio: np.ndarray) -> np.ndarray:
    return resample_poly(resample_poly(audio, 1, 2), 2, 1)[: len(audio)]
