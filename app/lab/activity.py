"""Does the speech output refuse what is not speech, and keep what is? Figures for the card, from sounds that training never saw.

Refusal: of 4 s windows of each kind of sound, the share with less than 0.5 s called speech (such a window gets no verdict).
Recall (models that tell speech by the frame): of frames labelled speech in clean `dev` clips, the share still called speech with noise at 10 dB
SNR, or very quiet.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import default_rng
from scipy.signal import resample_poly

from app.lab.config import FRAME_SAMPLES, RATE
from app.lab.data import Store
from app.lab.served import Served
from app.lab.sounds import KINDS, sound
from app.lab.speech import label_speech
from app.lab.windows import WINDOW, FrameScorer

HELD_SEED = 977
"""Seeds of training sounds are drawn from the recipe's seed; these are others."""


def refusal(served: Served, cache: Path, music: Path | None = None, each: int = 30) -> dict[str, dict[str, float]]:
    """Kind of sound -> share of windows that get no verdict from the server's session, and the mean and the most speech seen, in seconds."""
    found: dict[str, dict[str, float]] = {}
    for kind, windows in _sounds(cache, music, each):
        trails = served.trails(windows)
        seconds = np.array([trail.speech_s for trail in trails])
        found[kind] = {
            "windows": len(windows),
            "refused": round(float(np.mean([np.isnan(trail.llr) for trail in trails])), 3),
            "mean_speech_s": round(float(seconds.mean()), 3),
            "most_speech_s": round(float(seconds.max()), 2),
        }
    return found


def recall(scorer: FrameScorer, cache: Path, clips: int = 120, threshold: float = 0.5) -> dict[str, float]:
    """Condition -> share of labelled speech frames kept; `pauses_called_speech` is the other error, on clean clips."""
    dev, noises = Store(cache, "dev"), Store(cache, "noise-held")
    rng = default_rng(HELD_SEED)
    chosen = rng.choice(len(dev), min(clips, len(dev)), replace=False)
    conditions: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "clean": lambda audio: audio,
        "minus_45_dbfs": lambda audio: np.round(audio * (10 ** (-45 / 20) / np.abs(audio).max()) * 32768).astype(np.float32) / 32768,
        "white_10_db": lambda audio: _mixed(audio, sound("white", len(audio), rng), 10),
        "pink_10_db": lambda audio: _mixed(audio, sound("pink", len(audio), rng), 10),
        "recorded_10_db": lambda audio: _mixed(audio, np.resize(noises[int(rng.integers(len(noises)))], len(audio)), 10),
    }
    kept: dict[str, list[int]] = {name: [0, 0] for name in conditions}
    pauses = [0, 0]
    for index in chosen:
        audio = dev[int(index)]
        labels = label_speech(audio)
        for name, change in conditions.items():
            active = _active(scorer, change(audio), threshold)[: len(labels)]
            kept[name][0] += int((active & labels).sum())
            kept[name][1] += int(labels.sum())
            if name == "clean":
                pauses[0] += int((active & ~labels).sum())
                pauses[1] += int((~labels).sum())
    shares = {name: round(right / of, 3) for name, (right, of) in kept.items()}
    return {**shares, "pauses_called_speech": round(pauses[0] / max(pauses[1], 1), 3), "clips": len(chosen)}


def _sounds(cache: Path, music: Path | None, each: int) -> Iterator[tuple[str, list[np.ndarray]]]:
    length = WINDOW * FRAME_SAMPLES
    rng = default_rng(HELD_SEED)
    for kind in ("silence", *KINDS):
        yield kind, [sound(kind, length, rng) for _ in range(1 if kind == "silence" else each)]
    held = Store(cache, "music-held")
    yield "music, synthesised", [held[i][:length] for i in range(len(held))]
    noises = Store(cache, "noise-held")
    for kind in sorted({clip.system for clip in noises.clips}):
        yield kind, [noises[i][:length] for i, clip in enumerate(noises.clips) if clip.system == kind]
    if music is not None:
        yield f"music, recorded ({music.name})", list(_recorded(music, rng))


def _recorded(folder: Path, rng) -> Iterator[np.ndarray]:
    """Four windows from each audio file under `folder`."""
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".ogg", ".opus", ".flac", ".wav", ".mp3")):
        with soundfile.SoundFile(path) as file:
            for start in rng.integers(max(1, len(file) - 5 * file.samplerate), size=4):
                file.seek(int(start))
                audio = file.read(4 * file.samplerate + 1, dtype="float32", always_2d=True).mean(1)
                audio = resample_poly(audio, RATE, file.samplerate)[: WINDOW * FRAME_SAMPLES]
                if np.abs(audio).max() > 1e-3:
                    yield audio.astype(np.float32)


def _active(scorer: FrameScorer, audio: np.ndarray, threshold: float) -> np.ndarray:
    count = len(audio) // FRAME_SAMPLES
    padded = np.pad(audio[: count * FRAME_SAMPLES], (scorer.left_samples, scorer.right_samples))
    return scorer.encode(padded[None].astype(np.float32))[1][0] > threshold


def _mixed(audio: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Noise at `snr_db` below the speech frames' level."""
    active = np.repeat(label_speech(audio), FRAME_SAMPLES)
    level = np.sqrt(np.mean(audio[: len(active)][active] ** 2)) if active.any() else np.sqrt(np.mean(audio**2))
    return audio + noise * (level / (np.sqrt(np.mean(noise**2)) + 1e-9) * 10 ** (-snr_db / 20))
