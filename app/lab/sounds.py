"""Sounds that are not speech, synthesised: noise, hum, tones, chirps, DTMF, clicks and music. All give float32 [samples] at 16 kHz, peak 0.5.

They teach the speech output what to refuse. Training and held-out checks use different seeds.
"""

import numpy as np
import scipy.fft
from numpy.random import Generator

from app.lab.config import RATE

KINDS = ("white", "pink", "brown", "hum", "tone", "chirp", "dtmf", "clicks", "band")


def sound(kind: str, samples: int, rng: Generator) -> np.ndarray:
    """One sound of a kind of `KINDS`, or `music`, or `silence`."""
    if kind == "silence":
        return np.zeros(samples, np.float32)
    time = np.arange(samples) / RATE
    makers = {
        "white": lambda: noise(samples, 0.0, rng),
        "pink": lambda: noise(samples, -1.0, rng),
        "brown": lambda: noise(samples, -2.0, rng),
        "band": lambda: _band(samples, rng),
        "hum": lambda: _hum(time, rng),
        "tone": lambda: _tones(time, rng),
        "chirp": lambda: np.sin(2 * np.pi * np.cumsum(np.interp(time % rng.uniform(0.3, 4), [0, 4], rng.uniform(80, 7000, 2))) / RATE),
        "dtmf": lambda: _dtmf(time, rng),
        "clicks": lambda: _clicks(samples, rng),
        "music": lambda: music(samples, rng),
    }
    return _peak(makers[kind]())


def noise(samples: int, slope: float, rng: Generator) -> np.ndarray:
    """Gaussian noise whose power falls with frequency to the power `slope`."""
    spectrum = scipy.fft.rfft(rng.standard_normal(samples, np.float32))
    frequency = np.maximum(np.arange(len(spectrum)), max(1, samples * 20 // RATE))
    return scipy.fft.irfft(spectrum * frequency ** (slope / 2), n=samples)


def music(samples: int, rng: Generator) -> np.ndarray:
    """A few bars: chords, arpeggio or lead with vibrato, bass and drums, each part there or not, over a random scale, tempo and timbres."""
    out = np.zeros(samples + RATE)
    beat = 60 / rng.uniform(60, 180)
    root = rng.uniform(40, 60)
    scale = np.array([(0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9, 12, 14), (0, 1, 4, 5, 7, 8, 11)][rng.integers(4)])
    parts = rng.random(5) < (0.65, 0.5, 0.6, 0.5, 0.45)
    if not parts.any():
        parts[rng.integers(3)] = True
    chords, arpeggio, lead, bass, drums = parts
    timbres = [_timbre(rng) for _ in range(4)]
    at, seconds = -rng.uniform(0, 2 * beat), samples / RATE
    while at < seconds:
        degree = int(rng.integers(7))
        pitches = [root + scale[(degree + step) % 7] + 12 * ((degree + step) // 7) for step in (0, 2, 4, 6)[: rng.integers(3, 5)]]
        bar = beat * rng.choice([2, 4])
        if chords:
            for pitch in pitches:
                _add(out, at, _note(pitch + 12, bar * rng.uniform(0.6, 1.05), timbres[0], rng), rng.uniform(0.15, 0.4))
        if arpeggio:
            step = beat / rng.choice([1, 2, 3, 4])
            for index in range(int(bar / step)):
                _add(out, at + index * step, _note(pitches[index % len(pitches)] + 24, step * rng.uniform(0.5, 1.5), timbres[1], rng), 0.4)
        if lead:
            start = 0.0
            while start < bar:
                length = beat * rng.choice([0.25, 0.5, 0.5, 1, 2])
                pitch = root + scale[rng.integers(7)] + 12 * rng.integers(1, 3)
                _add(out, at + start, _note(pitch, length, timbres[2], rng), rng.uniform(0.5, 0.9))
                start += length
        if bass:
            for index in range(int(bar / beat)):
                _add(out, at + index * beat, _note(pitches[0] - 12, beat * 0.9, timbres[3], rng), 0.7)
        if drums:
            for index in range(int(bar / beat * 2)):
                _add(out, at + index * beat / 2, _hat(rng), 0.15)
                if index % 4 == 0:
                    _add(out, at + index * beat / 2, _kick(rng), 0.9)
                if index % 4 == 2:
                    _add(out, at + index * beat / 2, _snare(rng), 0.5)
        at += bar
    return out[:samples]


def _timbre(rng: Generator) -> dict:
    """Amplitude of each partial, inharmonicity, envelope times and vibrato of one instrument."""
    count = int(rng.integers(1, 25))
    partials = np.arange(1, count + 1)
    size = partials ** -rng.uniform(0.3, 2.5)
    if rng.random() < 0.3:
        size[1::2] *= 0.05
    if rng.random() < 0.3:
        size *= rng.uniform(0.1, 1, count)
    bell = rng.uniform(0, 0.02) if rng.random() < 0.25 else rng.uniform(0, 0.0004)
    return {
        "size": size, "ratio": partials * np.sqrt(1 + bell * partials**2), "attack": rng.choice([0.004, 0.02, 0.08, 0.2]),
        "decay": rng.choice([0.15, 0.4, 1.0, 50.0]), "damping": rng.uniform(0, 0.6),
        "vibrato": rng.choice([0, 0, 0.003, 0.008, 0.015]),
        "rate": rng.uniform(4, 7), "detune": rng.choice([0, 0, 0.002, 0.006]), "breath": rng.choice([0, 0, 0.02, 0.1]),
        "glide": rng.choice([0, 0, 0, 0.05]),
    }  # fmt: skip


def _note(pitch: float, seconds: float, timbre: dict, rng: Generator) -> np.ndarray:
    count = max(int(seconds * RATE), 400)
    time = np.arange(count, dtype=np.float32) / RATE
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    bend = 1 + timbre["vibrato"] * np.sin(2 * np.pi * timbre["rate"] * time + rng.uniform(0, 6)) - timbre["glide"] * np.exp(-time / 0.05)
    turn = np.cumsum(bend) * (2 * np.pi * frequency / RATE)
    tone = np.zeros(count)
    for shift in (-timbre["detune"], timbre["detune"]) if timbre["detune"] else (0.0,):
        for index, (size, ratio) in enumerate(zip(timbre["size"], timbre["ratio"], strict=True)):
            if frequency * ratio > 7800:
                break
            tone += size * np.sin(turn * (ratio * (1 + shift)) + rng.uniform(0, 6.28)) * np.exp(-time * index * timbre["damping"])
    tone += timbre["breath"] * rng.standard_normal(count)
    envelope = np.minimum(time / timbre["attack"], 1) * np.exp(-time / timbre["decay"]) * np.minimum((count - np.arange(count)) / 400, 1)
    return tone * envelope / max(np.abs(timbre["size"]).sum() ** 0.5, 0.3)


def _kick(rng: Generator) -> np.ndarray:
    time = np.arange(3200) / RATE
    return np.sin(2 * np.pi * (rng.uniform(40, 70) * time + 3 * (1 - np.exp(-time * 40)))) * np.exp(-time * 15)


def _snare(rng: Generator) -> np.ndarray:
    time = np.arange(3200) / RATE
    return (rng.standard_normal(3200) + np.sin(2 * np.pi * 190 * time)) * np.exp(-time * rng.uniform(15, 35)) * 0.5


def _hat(rng: Generator) -> np.ndarray:
    return np.diff(rng.standard_normal(1601)) * np.exp(-np.arange(1600) / RATE * rng.uniform(40, 90))


def _add(out: np.ndarray, seconds: float, part: np.ndarray, gain: float) -> None:
    start = int(seconds * RATE)
    part = part[max(0, -start) :]
    start = max(start, 0)
    room = max(0, min(len(part), len(out) - start))
    out[start : start + room] += gain * part[:room]


def _band(samples: int, rng: Generator) -> np.ndarray:
    """Noise in one band, slowly modulated: wind, engines, fans."""
    spectrum = scipy.fft.rfft(rng.standard_normal(samples))
    frequency = np.fft.rfftfreq(samples, 1 / RATE)
    spectrum *= np.exp(-(((frequency - rng.uniform(50, 5000)) / rng.uniform(50, 1500)) ** 2))
    wave = scipy.fft.irfft(spectrum, n=samples)
    return wave * (1 + rng.uniform(0, 0.95) * np.sin(2 * np.pi * rng.uniform(0.1, 12) * np.arange(samples) / RATE))


def _hum(time: np.ndarray, rng: Generator) -> np.ndarray:
    base = rng.choice([50.0, 60.0]) * rng.choice([1, 1, 2])
    wave = sum(rng.random() / n * np.sin(2 * np.pi * base * n * time + rng.uniform(0, 6)) for n in range(1, int(rng.integers(2, 40))))
    return wave + rng.uniform(0, 0.05) * rng.standard_normal(len(time))


def _tones(time: np.ndarray, rng: Generator) -> np.ndarray:
    """Steady or beeping tones, one to three (ringback and busy tones among them)."""
    wave = sum(np.sin(2 * np.pi * rng.uniform(80, 6000) * time) for _ in range(rng.integers(1, 4)))
    return wave * ((time % rng.uniform(0.2, 2)) < rng.uniform(0.1, 2)) if rng.random() < 0.6 else wave


def _dtmf(time: np.ndarray, rng: Generator) -> np.ndarray:
    key = (time / rng.uniform(0.12, 0.4)).astype(int)
    rows = np.array([697, 770, 852, 941])[rng.integers(4, size=key[-1] + 1)]
    columns = np.array([1209, 1336, 1477, 1633])[rng.integers(4, size=key[-1] + 1)]
    gate = (time / rng.uniform(0.12, 0.4)) % 1 < rng.uniform(0.4, 0.9)
    return (np.sin(2 * np.pi * rows[key] * time) + np.sin(2 * np.pi * columns[key] * time)) * gate


def _clicks(samples: int, rng: Generator) -> np.ndarray:
    """Taps, keys and crackle: short decaying bursts at random times."""
    wave = np.zeros(samples)
    for _ in range(rng.integers(2, 60)):
        length = int(rng.integers(16, 1200))
        burst = rng.standard_normal(length) * np.exp(-np.arange(length) / length * 6)
        _add(wave, rng.uniform(0, samples / RATE), burst, rng.uniform(0.1, 1))
    return wave


def _peak(wave: np.ndarray) -> np.ndarray:
    return (0.5 * wave / max(float(np.abs(wave).max()), 1e-9)).astype(np.float32)
