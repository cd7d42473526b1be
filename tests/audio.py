"""Test audio, made in memory: tones as arrays, and the same tones as files of every kind the server reads. Nothing here is
a recording. Used by the decoder's, the upload's and the client's tests.
"""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soundfile

Pcm16 = npt.NDArray[np.int16]

LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}


def tone(seconds: float, rate: int = 16000, channels: int = 1, seed: int = 0) -> Pcm16:
    """int16 [frames, channels]: a sine and a little noise, different in each channel."""
    frames = round(seconds * rate)
    time = np.arange(frames)[:, None] / rate
    pitch = 220.0 * (1 + np.arange(channels))[None, :]
    noise = np.random.default_rng(seed).standard_normal((frames, channels))
    return np.round(9000 * np.sin(2 * np.pi * pitch * time) + 300 * noise).astype(np.int16)


def sound_file(samples: npt.NDArray[Any], rate: int = 16000, kind: str = "WAV", subtype: str | None = None, endian: str | None = None) -> bytes:
    """A file written by libsndfile: WAV, WAVEX, RF64, W64, FLAC, MP3, OGG, AIFF, AU, CAF …"""
    out = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(out, "w", rate, channels, subtype=subtype, endian=endian, format=kind) as file:
        for start in range(0, len(samples), rate):  # libsndfile overflows its stack on one long Vorbis write
            file.write(samples[start : start + rate])
    return out.getvalue()


def wav(samples: Pcm16, rate: int = 16000, riff_length: int | None = None, data_length: int | None = None, extra: bytes = b"") -> bytes:
    """A 16-bit WAV by hand, so that its lengths can be wrong; `extra` bytes trail after the samples."""
    body = samples.astype("<i2").tobytes()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    fmt = wav_format(1, channels, rate, 16)
    data = struct.pack("<4sI", b"data", len(body) if data_length is None else data_length)
    riff = 36 + len(body) if riff_length is None else riff_length
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + fmt + data + body + extra


def wav_format(tag: int, channels: int, rate: int, bits: int) -> bytes:
    """A WAV `fmt ` chunk that says exactly this, sense or nonsense."""
    align = channels * bits // 8
    return struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels & 0xFFFF, rate & 0xFFFFFFFF, rate * align & 0xFFFFFFFF, align & 0xFFFF, bits)


class Pipe(io.RawIOBase):
    """Takes what a muxer writes and cannot seek, as a live stream cannot."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def media_file(
    samples: Pcm16,
    rate: int,
    container: str,
    codec: str,
    *,
    live: bool = False,
    options: dict[str, str] | None = None,
    sample_format: str | None = None,
    bit_rate: int | None = None,
) -> bytes:
    """A file written by FFmpeg. `live`: the muxer cannot go back, so sizes and durations stay unknown, as in a browser."""
    samples = samples.reshape(len(samples), -1)
    channels = samples.shape[1]
    out: Any = Pipe() if live else io.BytesIO()
    with av.open(out, "w", format=container, options=options or {}) as file:
        stream: Any = file.add_stream(codec, rate=rate)  # its type depends on the codec's name
        stream.codec_context.layout = LAYOUTS[channels]
        if sample_format:
            stream.codec_context.format = sample_format
        if bit_rate:
            stream.codec_context.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="s16", layout=LAYOUTS[channels])
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for packet in stream.encode(frame):
            file.mux(packet)
        for packet in stream.encode(None):
            file.mux(packet)
    return bytes(out.data) if live else out.getvalue()


def recorder_webm(seconds: float, channels: int = 1) -> bytes:
    """WebM/Opus as Chrome's MediaRecorder writes it: 48 kHz, unknown size and duration, live clusters."""
    options = {"live": "1", "cluster_time_limit": "500"}
    return media_file(tone(seconds, 48000, channels), 48000, "webm", "libopus", live=True, options=options)


def recorder_mp4(seconds: float, channels: int = 1) -> bytes:
    """Fragmented MP4/AAC as Safari's MediaRecorder writes it."""
    options = {"movflags": "frag_every_frame+empty_moov+default_base_moof"}
    return media_file(tone(seconds, 48000, channels), 48000, "mp4", "aac", live=True, options=options)


def silent_video() -> bytes:
    """An MP4 with a picture and no sound."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")):
                file.mux(packet)
        for packet in stream.encode(None):
            file.mux(packet)
    return out.getvalue()
