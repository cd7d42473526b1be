"""What the generator says and what the uploads hold: real speech where the data set lies beside the checkout, else noise that swells like speech."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soundfile

from bench.server import ROOT

RATE = 16000
Pcm16 = npt.NDArray[np.int16]
SPEECH = ROOT.parent / "shared" / "data" / "dev"


def speech(seconds: float, folder: Path = SPEECH) -> tuple[Pcm16, str]:
    """int16 at 16 kHz, and in words what it is."""
    wanted = round(seconds * RATE)
    clips: list[Pcm16] = []
    have = 0
    for path in sorted(folder.glob("*.flac")) if folder.is_dir() else []:
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
        if rate != RATE:
            continue
        clips.append(samples[:, 0])
        have += len(samples)
        if have >= wanted:
            break
    if clips:
        whole = np.concatenate(clips)
        return np.tile(whole, -(-wanted // len(whole)))[:wanted], f"{len(clips)} clips of {folder}"
    return _noise(wanted), "speech-like noise (no speech data beside the checkout)"


def _noise(count: int) -> Pcm16:
    """Pulses at a drifting pitch through two resonances, swelling three times a second: enough for a speech detector to hear a voice."""
    rng = np.random.default_rng(0)
    time = np.arange(count) / RATE
    pitch = 120 * (1 + 0.2 * np.sin(2 * np.pi * 0.4 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.cos(k * phase) * (np.exp(-((k * 120 - 600) ** 2) / 2e5) + 0.4 * np.exp(-((k * 120 - 1700) ** 2) / 4e5)) for k in range(1, 30))
    swell = np.clip(np.sin(2 * np.pi * 3 * time) + 0.6, 0, None)
    out = swell * voice + 0.01 * rng.standard_normal(count)
    return np.asarray(np.round(out / np.abs(out).max() * 12000), np.int16)


def wav(samples: Pcm16) -> bytes:
    body = samples.astype("<i2").tobytes()
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + len(body), b"WAVE") + fmt + struct.pack("<4sI", b"data", len(body)) + body


def coded(samples: Pcm16, kind: str) -> bytes:
    """`wav`, `flac`, `mp3`, `opus` (Ogg) or `webm` (Opus, as a browser records it)."""
    if kind == "wav":
        return wav(samples)
    if kind == "webm":
        return _webm(samples)
    out = io.BytesIO()
    container, subtype = {"flac": ("FLAC", "PCM_16"), "mp3": ("MP3", None), "opus": ("OGG", "OPUS")}[kind]
    with soundfile.SoundFile(out, "w", RATE, 1, subtype=subtype, format=container) as file:
        for start in range(0, len(samples), RATE):  # libsndfile overflows its stack on one long Ogg write
            file.write(samples[start : start + RATE])
    return out.getvalue()


def _webm(samples: Pcm16) -> bytes:
    out: Any = io.BytesIO()
    with av.open(out, "w", format="webm", options={"live": "1"}) as file:
        stream = file.add_stream("libopus", rate=48000)
        resampler = av.AudioResampler("s16", "mono", 48000)
        for start in range(0, len(samples), RATE):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, start : start + RATE]), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            for piece in resampler.resample(frame):
                file.mux(stream.encode(piece))
        for piece in resampler.resample(None):
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))
    return bytes(out.getvalue())
