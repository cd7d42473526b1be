"""Copy-synthesis: real speech in, the same words from the same room as a vocoder would say them out.

The clips of one class differ from those of the other in language and recording chain; a spoofed twin of a bona fide clip differs
from it in nothing else, so the net cannot use those shortcuts. All functions take and give float32 mono at 16 kHz, same length.
Called by `data.py`, from `train` bona fide clips only.
"""

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter1d

from app.lab import vocoders
from app.lab.config import RATE
from app.lab.spectra import istft, mel_bank, stft, world_analysis

METHODS = ("griffin_lim", "world", "harmonic", "phase")
"""Of the store `copies`."""
MORE_METHODS = ("lpc", "lpc_quantised", "mel_inverted", "phase_bands", "world_smoothed", "upsampled")
"""Of the store `copies-more`."""


def resynthesise(audio: np.ndarray, method: str, rng: Generator) -> np.ndarray:
    """One copy of `audio` by `method`, at the level of the original."""
    own = {"griffin_lim": griffin_lim, "world": world, "harmonic": harmonic, "phase": phase}
    made = (own[method] if method in own else getattr(vocoders, method))(audio, rng)
    made = np.nan_to_num(made[: len(audio)])
    made = np.pad(made, (0, len(audio) - len(made)))
    peak = np.abs(made).max()
    return (made * (np.abs(audio).max() / max(peak, 1e-6))).astype(np.float32)


def griffin_lim(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """Mel (or linear) magnitudes, inverted and given a phase by 4 to 40 Griffin-Lim rounds; half of them over-smoothed as TTS is."""
    size, hop = ((1024, 256), (1024, 200), (512, 128), (800, 200))[rng.integers(4)]
    spectrum = stft(audio, size, hop)
    magnitude = np.abs(spectrum)
    if rng.random() < 0.8:
        bank = mel_bank(int(rng.choice([64, 80, 80, 100])), size)
        mel = np.log(magnitude @ bank.T + 1e-5)
        if rng.random() < 0.5:
            mel = gaussian_filter1d(mel, rng.uniform(0.3, 1.2), axis=rng.integers(2))
        magnitude = np.maximum(np.exp(mel) @ np.linalg.pinv(bank).T, 1e-8)
    angle = np.exp(2j * np.pi * rng.random(magnitude.shape)).astype(np.complex64)
    momentum, last = rng.choice([0.0, 0.9]), 0
    for _ in range(rng.integers(4, 41)):
        rebuilt = stft(istft(magnitude * angle, size, hop), size, hop)[: len(magnitude)]
        step = rebuilt + momentum * (rebuilt - last) if momentum else rebuilt
        last = rebuilt
        angle = step / np.maximum(np.abs(step), 1e-9)
    return istft(magnitude * angle, size, hop)


def world(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """WORLD analysis and synthesis (Morise 2016), sometimes with coded parameters, another pitch or another vocal tract length."""
    import pyworld

    pitch, envelope, aperiodicity = world_analysis(audio)
    size = (envelope.shape[1] - 1) * 2
    if rng.random() < 0.5:
        coded = pyworld.code_spectral_envelope(envelope, RATE, int(rng.integers(24, 61)))
        if rng.random() < 0.5:
            coded = gaussian_filter1d(coded, rng.uniform(0.3, 1.5), axis=0)
        envelope = pyworld.decode_spectral_envelope(np.ascontiguousarray(coded), RATE, size)
    if rng.random() < 0.5:
        aperiodicity = pyworld.decode_aperiodicity(pyworld.code_aperiodicity(aperiodicity, RATE), RATE, size)
    if rng.random() < 0.4:
        pitch = pitch * rng.uniform(0.75, 1.35)
    if rng.random() < 0.3:
        position = np.clip(np.arange(envelope.shape[1]) * rng.uniform(0.85, 1.15), 0, envelope.shape[1] - 1)
        low = position.astype(int)
        high = np.minimum(low + 1, envelope.shape[1] - 1)
        envelope = envelope[:, low] + (envelope[:, high] - envelope[:, low]) * (position - low)
    return pyworld.synthesize(pitch, np.ascontiguousarray(envelope), np.ascontiguousarray(aperiodicity), RATE)


def harmonic(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """Sinusoids at the harmonics plus filtered noise, both shaped by the spectral envelope, as neural source-filter vocoders start."""
    pitch, envelope, aperiodicity = world_analysis(audio)
    hop = RATE // 200
    samples = np.arange(len(audio))
    frames = np.arange(len(pitch)) * hop
    track = np.interp(samples, frames, np.where(pitch > 0, pitch, 120.0))
    voiced = np.interp(samples, frames, (pitch > 0).astype(float))
    turn = 2 * np.pi * np.cumsum(track) / RATE
    out = np.zeros(len(audio))
    limit = rng.uniform(3000, 7900)
    bins = envelope.shape[1] - 1
    for number in range(1, 60):
        frequency = np.where(pitch > 0, pitch, 120.0) * number
        if frequency.min() > limit:
            break
        column = np.clip((frequency / (RATE / 2) * bins).astype(int), 0, bins)
        row = np.arange(len(pitch))
        size = np.sqrt(envelope[row, column] * (1 - aperiodicity[row, column] ** 2).clip(0)) * (frequency < limit)
        out += np.interp(samples, frames, size * np.sqrt(np.maximum(pitch, 1))) * np.sin(number * turn + rng.uniform(0, 2 * np.pi))
    noise = stft(rng.standard_normal(len(audio)).astype(np.float32), bins * 2, hop)
    rows = min(len(noise), len(envelope))
    shaped = istft(noise[:rows] * np.sqrt(envelope[:rows] * aperiodicity[:rows] ** 2), bins * 2, hop)
    shaped = np.pad(shaped, (0, max(0, len(audio) - len(shaped))))[: len(audio)]
    return out * voiced * 0.02 * rng.uniform(0.5, 1.5) + shaped


def phase(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """The true magnitudes with a wrong phase: noise on it, or the phase of another analysis, then one overlap-add."""
    size = int(rng.choice([320, 512, 1024]))
    spectrum = stft(audio, size, size // 4)
    error = rng.standard_normal(spectrum.shape) * rng.uniform(0.6, 2.5)
    if rng.random() < 0.5:  # the error drifts from frame to frame, as in a phase vocoder
        error = np.cumsum(error * 0.4, axis=0)
    return istft(spectrum * np.exp(1j * error), size, size // 4)
