"""Short-time spectra and the WORLD analysis that the copy-synthesis methods share.

In: float32 mono at 16 kHz. Called by `resynth.py`, `vocoders.py` and `chains.py`.
"""

import numpy as np
import scipy.fft

from app.lab.config import RATE


def stft(audio: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Complex64 [frames, size/2+1], Hann window, centred."""
    padded = np.pad(audio.astype(np.float32), size // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return scipy.fft.rfft(frames * np.hanning(size).astype(np.float32))


def istft(spectrum: np.ndarray, size: int, hop: int) -> np.ndarray:
    """The least-squares inverse of `stft`."""
    window = np.hanning(size).astype(np.float32)
    frames = scipy.fft.irfft(spectrum.astype(np.complex64), n=size) * window
    length = (len(frames) - 1) * hop + size
    out, weight = np.zeros(length, np.float32), np.zeros(length, np.float32)
    for index, frame in enumerate(frames):
        out[index * hop : index * hop + size] += frame
        weight[index * hop : index * hop + size] += window**2
    return (out / np.maximum(weight, 1e-3))[size // 2 : length - size // 2]


def mel_bank(bands: int, size: int) -> np.ndarray:
    """Triangles on the mel scale, [bands, size/2+1], 0..8 kHz."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bank = np.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)).clip(0)
    return (bank + 1e-6).astype(np.float32)


def world_analysis(audio: np.ndarray):
    import pyworld

    wave = audio.astype(np.float64) + 1e-6 * np.sin(np.arange(len(audio)))
    pitch, times = pyworld.dio(wave, RATE, frame_period=5.0)
    pitch = pyworld.stonemask(wave, pitch, times, RATE)
    return pitch, pyworld.cheaptrick(wave, pitch, times, RATE), pyworld.d4c(wave, pitch, times, RATE)
