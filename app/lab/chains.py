"""What a recording goes through on its way: steps on the fly, for both classes alike. No function here is told the class.

`EDITS` work on a whole clip and its frame labels, before it is cut: (audio, labels, another, rng) -> (audio, labels). The others take and
give float32 [samples] at 16 kHz of one length. All are drawn from `rng` alone; called by `augment.py`, so each costs a few milliseconds.
"""

from collections.abc import Callable

import numpy as np
import scipy.fft
import soxr
from numpy.random import Generator

from app.lab.config import FRAME_SAMPLES, RATE
from app.lab.spectra import istft, stft

Clip = tuple[np.ndarray, np.ndarray]
"""Samples, and speech or not for each frame of 320."""
BLOCK = RATE // 100


def stretch(clip: Clip, another: Callable[[], Clip], rng: Generator) -> Clip:
    """Another pace at the same pitch, by 8 % at most: frames overlapped where they agree best (WSOLA)."""
    audio, labels = clip
    rate, size, search = rng.uniform(0.92, 1.08), 640, 160
    count = int((len(audio) - 2 * size) / rate / (size // 2))
    if count < 2:
        return clip
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    out = np.zeros((count + 1) * size // 2, np.float32)
    at = 0
    for index in range(count):
        wanted = int(index * rate * size // 2)
        if index:
            low = max(0, wanted - search)
            follows = audio[at + size // 2 : at + size]
            at = low + int(np.correlate(audio[low : wanted + search + size // 2], follows, "valid").argmax())
        at = min(at, len(audio) - size)
        out[index * size // 2 : index * size // 2 + size] += audio[at : at + size] * window
    return out, _at_pace(labels, rate, len(out))


def speed(clip: Clip, another: Callable[[], Clip], rng: Generator) -> Clip:
    """Another pace and pitch, as a tape or a wrong clock gives."""
    audio, labels = clip
    rate = rng.uniform(0.94, 1.06)
    out = soxr.resample(audio, RATE * rate, RATE, "MQ")
    return out, _at_pace(labels, rate, len(out))


def trim(clip: Clip, another: Callable[[], Clip], rng: Generator) -> Clip:
    """Pauses cut short, hard or with a fade: what editors and voice-activated recorders do."""
    audio, labels = clip
    age = np.zeros(len(labels), int)
    for index in range(1, len(labels)):
        age[index] = 0 if labels[index] else age[index - 1] + 1
    keep = age <= rng.integers(0, 8)
    if keep.sum() < 25:
        return clip
    frames = audio[: len(labels) * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)[keep].copy()
    if rng.random() < 0.5:
        joints = np.flatnonzero(np.diff(np.flatnonzero(keep)) > 1)
        ramp = np.linspace(1, 0, 80, dtype=np.float32)
        frames[joints, -80:] *= ramp
        frames[joints + 1, :80] *= ramp[::-1]
    return frames.ravel(), labels[keep]


def pad(clip: Clip, another: Callable[[], Clip], rng: Generator) -> Clip:
    """Silence put before, behind or into a pause: digital zero, a dither of one bit, or faint noise."""
    audio, labels = clip
    for _ in range(rng.integers(1, 3)):
        count = int(rng.integers(5, 60))
        quiet = rng.standard_normal(count * FRAME_SAMPLES, np.float32) * np.float32(rng.choice([0.0, 0.0, 1 / 32768, 10 ** rng.uniform(-4, -2.7)]))
        pauses = np.concatenate([[0, len(labels)], np.flatnonzero(~labels)])
        at = int(rng.choice(pauses))
        audio = np.concatenate([audio[: at * FRAME_SAMPLES], quiet, audio[at * FRAME_SAMPLES :]])
        labels = np.concatenate([labels[:at], np.zeros(count, bool), labels[at:]])
    return audio, labels


def splice(clip: Clip, another: Callable[[], Clip], rng: Generator) -> Clip:
    """A second clip joined on, hard or with a cross-fade, at its own level or the first one's."""
    audio, labels = clip
    after, after_labels = another()
    cut, start = (int(len(row) * rng.uniform(*span)) for row, span in ((labels, (0.3, 1.0)), (after_labels, (0.0, 0.5))))
    first, second = audio[: cut * FRAME_SAMPLES].copy(), after[start * FRAME_SAMPLES :].copy()
    if rng.random() < 0.5:
        second *= np.float32(np.abs(first).max(initial=1e-4) / np.abs(second).max(initial=1e-4))
    fade = min(int(rng.choice([0, 80, 800])), len(first), len(second))
    if fade:  # each fades on its own side, so that frames stay where their labels are
        first[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        second[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
    return np.concatenate([first, second]), np.concatenate([labels[:cut], after_labels[start:]])


def short(clip: Clip, another: Callable[[], Clip], rng: Generator) -> Clip:
    """One to two and a half seconds of it, so that a clip's length tells nothing."""
    audio, labels = clip
    count = int(rng.uniform(1.0, 2.5) * RATE / FRAME_SAMPLES)
    first = int(rng.integers(max(1, len(labels) - count + 1)))
    return audio[first * FRAME_SAMPLES : (first + count) * FRAME_SAMPLES], labels[first : first + count]


EDITS = {"stretch": stretch, "speed": speed, "trim": trim, "pad": pad, "splice": splice, "short": short}


def loudspeaker(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """A small loudspeaker heard by a microphone: band-pass with resonances, a cone that bends, a second band-pass, hiss."""
    size = scipy.fft.next_fast_len(len(audio) + 1024, real=True)
    frequency = np.maximum(np.linspace(0, RATE / 2, size // 2 + 1, dtype=np.float32), 1)

    def device(low: float, high: float) -> np.ndarray:
        order = int(rng.integers(2, 5))
        response = 1 / (1 + (low / frequency) ** (2 * order)) / (1 + (frequency / high) ** (2 * order))
        for _ in range(rng.integers(2, 7)):
            centre, width = np.exp(rng.uniform(np.log(200), np.log(6000))), rng.uniform(0.03, 0.4)
            response = response * (1 + (10 ** (rng.uniform(-10, 10) / 20) - 1) * np.exp(-((np.log(frequency / centre) / width) ** 2)))
        return response.astype(np.float32)

    wave = scipy.fft.irfft(scipy.fft.rfft(audio, n=size) * device(rng.uniform(80, 500), rng.uniform(3500, 7800)), n=size)[: len(audio)]
    peak = np.abs(wave).max() + 1e-9
    wave = wave / peak
    bent = wave + rng.uniform(0, 0.15) * (wave**2 - np.mean(wave**2)) - rng.uniform(0, 0.25) * wave**3
    if rng.random() < 0.3:
        bent = np.tanh(bent * (drive := rng.uniform(1, 4))) / drive
    wave = scipy.fft.irfft(scipy.fft.rfft(bent, n=size) * device(rng.uniform(30, 150), rng.uniform(5000, 9000)), n=size)[: len(audio)] * peak
    hiss = rng.standard_normal(len(audio), np.float32) * (np.sqrt(np.mean(wave**2)) * 10 ** (rng.uniform(-60, -25) / 20))
    return (wave + hiss).astype(np.float32)


def distorted(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """RawBoost (Tak et al. 2022), after the paper's description: notch-filtered powers of the signal, impulses, coloured noise."""
    kinds = rng.random(3) < 0.5
    if not kinds.any():
        kinds[rng.integers(3)] = True
    peak = np.abs(audio).max() + 1e-9
    size = scipy.fft.next_fast_len(len(audio) + 512, real=True)
    frequency = np.linspace(0, RATE / 2, size // 2 + 1, dtype=np.float32)
    out = audio
    if kinds[0]:
        spectrum = 0
        for power in range(1, int(rng.integers(2, 6))):
            gain = 1.0 if power == 1 else 10 ** (rng.uniform(-35, -15) / 20)
            spectrum = spectrum + scipy.fft.rfft((audio / peak) ** power, n=size) * _notches(frequency, rng) * np.float32(gain)
        spectrum[0] = 0  # even powers add a constant
        out = scipy.fft.irfft(spectrum, n=size)[: len(audio)] * peak
    if kinds[1]:
        chosen = rng.random(len(audio)) < rng.uniform(0, 0.1)
        impulses = rng.uniform(-1, 1, len(audio)) * chosen
        out = out + out * impulses * rng.uniform(0.1, 2.0)
    if kinds[2]:
        noise = scipy.fft.irfft(scipy.fft.rfft(rng.standard_normal(len(audio), np.float32), n=size) * _notches(frequency, rng), n=size)[: len(audio)]
        out = out + noise * (np.sqrt(np.mean(out**2) / (np.mean(noise**2) + 1e-12)) * 10 ** (-rng.uniform(10, 40) / 20))
    return out.astype(np.float32)


def _notches(frequency: np.ndarray, rng: Generator) -> np.ndarray:
    response = np.ones_like(frequency)
    for _ in range(rng.integers(1, 6)):
        centre, width = rng.uniform(20, 8000), rng.uniform(50, 500)
        response *= 1 - rng.uniform(0.3, 1.0) * np.exp(-(((frequency - centre) / width) ** 2))
    return response.astype(np.float32)


def levelled(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """Automatic gain as in browsers and phones: quick down, slow up, a bound on the gain, none in silence."""
    count = -(-len(audio) // BLOCK)
    level = np.sqrt(np.pad(audio, (0, count * BLOCK - len(audio))).reshape(count, BLOCK).astype(np.float64) ** 2 @ np.full(BLOCK, 1 / BLOCK))
    attack, release = np.exp(-0.01 / rng.uniform(0.01, 0.1)), np.exp(-0.01 / rng.uniform(0.2, 3.0))
    follower, state = np.empty(count), float(np.quantile(level, rng.uniform(0.5, 0.95)))
    for index, value in enumerate(level):
        keep = attack if value > state else release
        state = keep * state + (1 - keep) * value
        follower[index] = state
    top = np.quantile(level, 0.9) + 1e-6
    gain = np.clip(top / np.maximum(follower, 1e-6), 0.1, 10 ** (rng.uniform(6, 30) / 20)) ** rng.uniform(0.3, 1.0)
    out = audio * np.interp(np.arange(len(audio)), np.arange(count) * BLOCK, gain)
    return np.clip(out, -1, 1).astype(np.float32) if rng.random() < 0.5 else (out / max(1.0, float(np.abs(out).max()))).astype(np.float32)


def suppressed(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """Noise suppression: spectral subtraction with its musical noise, a Wiener gain, or a hard gate on each bin or on the whole frame."""
    size = int(rng.choice([320, 512, 640]))
    spectrum = stft(audio, size, size // 2)
    power = np.abs(spectrum) ** 2
    floor = np.quantile(power, rng.uniform(0.05, 0.3), axis=0) * rng.uniform(1, 4) + 1e-10
    kind = rng.integers(4)
    if kind == 0:
        gain = np.sqrt(np.maximum(1 - rng.uniform(0.8, 2) * floor / (power + 1e-12), 0))
    elif kind == 1:
        ratio = np.maximum(power / floor - 1, 0)
        gain = ratio / (1 + ratio)
    elif kind == 2:
        gain = (power > floor * rng.uniform(1, 5)).astype(np.float32)
    else:
        frame = power.mean(1, keepdims=True)
        gain = np.repeat((frame > frame.max() * 10 ** (-rng.uniform(25, 45) / 10)).astype(np.float32), power.shape[1], axis=1)
    if rng.random() < 0.7:  # gains that follow slowly
        keep = rng.uniform(0.2, 0.7)
        for index in range(1, len(gain)):
            gain[index] = np.maximum(gain[index], keep * gain[index - 1])
    least = 0.0 if rng.random() < 0.2 else 10 ** (-rng.uniform(8, 35) / 20)
    out = istft(spectrum * np.maximum(gain, least), size, size // 2)
    return np.pad(out, (0, max(0, len(audio) - len(out))))[: len(audio)].astype(np.float32)


def resampled(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """To another rate and back, each way with a good filter, a short one, or by joining dots, which aliases and leaves images."""
    rate = int(rng.choice([8000, 11025, 12000, 22050, 24000, 32000, 44100, 48000]))
    there, back = rng.choice(["HQ", "QQ", "dots"], 2, p=[0.5, 0.2, 0.3])
    return _to_rate(_to_rate(audio, RATE, rate, there), rate, RATE, back, len(audio))


def _to_rate(audio: np.ndarray, given: int, wanted: int, way: str, samples: int | None = None) -> np.ndarray:
    samples = samples or len(audio) * wanted // given
    if way == "dots":
        out = np.interp(np.arange(samples) * (given / wanted), np.arange(len(audio)), audio)
    else:
        out = soxr.resample(audio, given, wanted, way)
    return np.pad(out, (0, max(0, samples - len(out))))[:samples].astype(np.float32)


def lossy(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """Packets of 10 to 60 ms lost alone or in bursts (Gilbert's two states); zero, the last one again and fading, or noise in their place."""
    size = int(rng.choice([160, 320, 320, 480, 960]))
    loss, stay = rng.uniform(0.01, 0.15), rng.uniform(0.0, 0.6)
    way, fade = rng.integers(3), rng.uniform(0.3, 0.9)
    out, lost = audio.copy(), False
    ramp = np.linspace(0, 1, 32, dtype=np.float32)
    for start in range(size, len(out) - size, size):
        lost = rng.random() < (stay if lost else loss)
        if not lost:
            continue
        packet = out[start : start + size]
        if way == 0:
            packet[:] = 0
        elif way == 1:
            packet[:] = out[start - size : start] * fade
        else:
            level = np.sqrt(np.mean(out[start - size : start] ** 2)) * fade
            packet[:] = rng.standard_normal(size, np.float32) * level
        if way == 1:
            packet[:32] = packet[:32] * ramp + out[start - 1] * (1 - ramp)
    return out


def _at_pace(labels: np.ndarray, rate: float, samples: int) -> np.ndarray:
    """The labels of a clip that now runs `rate` times as fast."""
    count = samples // FRAME_SAMPLES
    return labels[np.minimum(((np.arange(count) + 0.5) * rate).astype(int), len(labels) - 1)] if len(labels) else np.zeros(count, bool)
