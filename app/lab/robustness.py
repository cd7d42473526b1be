"""Does the verdict follow what it must not follow? EER and llr shift on a sample of `dev` under changes that keep the class.

Also two checks for shortcuts: English clips only (language carries the class in the data), and bona fide clips against their own
copy-synthesis (same words, room, chain and language; the methods are those of training, so this is a check and no forecast).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import default_rng
from scipy.signal import resample_poly

from app.lab.config import FRAME_SAMPLES
from app.lab.data import METHOD_SHARES, Store, through_coder
from app.lab.metrics import eer
from app.lab.resynth import resynthesise
from app.lab.sounds import sound
from app.lab.speech import label_speech
from app.lab.windows import FrameScorer, score_clips

SEED = 978


def measure(scorer: FrameScorer, cache: Path, threshold: float, clips: int = 300) -> dict:
    """Condition -> EER of the sample and the median absolute change of a clip's llr."""
    dev, rng = Store(cache, "dev"), default_rng(SEED)
    chosen = rng.choice(len(dev), clips, replace=False)
    audio = [dev[int(index)] for index in chosen]
    spoof = np.array([dev.clips[index].spoof for index in chosen])
    plain = _scores(scorer, audio, threshold)
    found = {"unchanged": {"eer": round(eer(plain[~spoof], plain[spoof]), 4)}}
    for name, change in _changes(rng).items():
        llr = _scores(scorer, [change(clip) for clip in audio], threshold)
        found[name] = {"eer": round(eer(llr[~spoof], llr[spoof]), 4), "llr_moves_by": round(float(np.median(np.abs(llr - plain))), 4)}
    english = np.array([dev.clips[index].language == "en" for index in chosen])
    found["english only"] = {"eer": round(eer(plain[~spoof & english], plain[spoof & english]), 4)}
    real = [clip for clip, fake in zip(audio, spoof, strict=True) if not fake][:120]
    copies = [resynthesise(clip, method, rng) for clip, method in zip(real, rng.choice(list(METHOD_SHARES), len(real)), strict=True)]
    found["bona fide against own copies"] = {"eer": round(eer(plain[~spoof][: len(real)], _scores(scorer, copies, threshold)), 4)}
    return found


def _scores(scorer: FrameScorer, clips: list[np.ndarray], threshold: float) -> np.ndarray:
    return np.nan_to_num([score.llr for score in score_clips(scorer, [clip.astype(np.float32) for clip in clips], threshold)])


def _changes(rng) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    return {
        "gain -30 dB": lambda x: np.round(x * 10**-1.5 * 32768) / 32768,
        "polarity": lambda x: -x,
        "DC 0.1": lambda x: x * 0.8 + 0.1,
        "pauses digital zero": _gated,
        "white noise 20 dB": lambda x: x + _noise(x, "white", 20, rng),
        "pink noise 10 dB": lambda x: x + _noise(x, "pink", 10, rng),
        "8 kHz": lambda x: _narrow(x),
        "Opus 16 kbit/s": lambda x: through_coder(x, "opus", 0.96),
        "MP3 32 kbit/s": lambda x: through_coder(x, "mp3", 0.5),
        "GSM": lambda x: through_coder(x, "gsm", 0.0),
    }


def _gated(audio: np.ndarray) -> np.ndarray:
    labels = np.repeat(label_speech(audio), FRAME_SAMPLES)
    return audio * np.pad(labels, (0, len(audio) - len(labels)))


def _noise(audio: np.ndarray, kind: str, snr_db: float, rng) -> np.ndarray:
    noise = sound(kind, len(audio), rng)
    return noise * float(np.sqrt(np.mean(audio**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20))


def _narrow(audio: np.ndarray) -> np.ndarray:
    return resample_poly(resample_poly(audio, 1, 2), 2, 1)[: len(audio)]
