"""Raw PCM bytes -> float32 samples. `Framer` cuts a byte stream at whole sample frames (odd bytes wait for the rest);
`decode` turns aligned bytes into an array. Called by `session`; knows nothing of rates or windows.

Encodings: `pcm_s16le`, `pcm_f32le`, `mulaw` and `alaw` (ITU-T G.711). Channels are interleaved.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
Samples = npt.NDArray[np.float32]

SAMPLE_BYTES: dict[Encoding, int] = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}
SILENT_BYTE: dict[Encoding, bytes] = {"pcm_s16le": b"\0", "pcm_f32le": b"\0", "mulaw": b"\xff", "alaw": b"\xd5"}  # A-law has no zero

# Float samples may exceed full scale a little after somebody's resampler; anything far beyond is a wrong format, and
# bounding it keeps powers finite inside the detector's graph.
MAX_ABS = 4.0


def _mulaw_table() -> Samples:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    value = np.where(code & 0x80, 0x84 - magnitude, magnitude - 0x84)
    return (value / 32768.0).astype(np.float32)


def _alaw_table() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    value = np.where(code & 0x80, magnitude, -magnitude)
    return (value / 32768.0).astype(np.float32)


_TABLES: dict[str, Samples] = {"mulaw": _mulaw_table(), "alaw": _alaw_table()}


class Framer:
    """Carries the bytes of an unfinished sample frame from one piece to the next."""

    def __init__(self, encoding: Encoding, channels: int) -> None:
        self.frame_bytes = SAMPLE_BYTES[encoding] * channels
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """All whole frames known so far; their length is a multiple of `frame_bytes`."""
        if self._rest:
            data = self._rest + data
        whole = len(data) - len(data) % self.frame_bytes
        self._rest = data[whole:]
        return data if whole == len(data) else data[:whole]

    def reset(self) -> None:
        """Forgets a half frame: what follows starts at a frame again (a resumed connection)."""
        self._rest = b""


def clean_floats(data: bytes) -> tuple[bytes, int]:
    """f32le bytes with NaN and infinite samples zeroed (time is kept), and how many there were."""
    values = np.frombuffer(data, dtype="<f4")
    finite = np.isfinite(values)
    if finite.all():
        return data, 0
    return np.where(finite, values, np.float32(0)).astype("<f4").tobytes(), int(values.size - np.count_nonzero(finite))


def decode(data: bytes, encoding: Encoding, channels: int) -> Samples:
    """Aligned bytes -> float32 [channels, frames] in -1..1 (floats: bounded to +-`MAX_ABS`). s16 is divided by 32768."""
    if encoding == "pcm_s16le":
        flat = np.frombuffer(data, dtype="<i2").astype(np.float32) * np.float32(1 / 32768)
    elif encoding == "pcm_f32le":
        flat = np.clip(np.frombuffer(data, dtype="<f4"), -MAX_ABS, MAX_ABS).astype(np.float32, copy=False)
    else:
        flat = _TABLES[encoding][np.frombuffer(data, dtype=np.uint8)]
    return flat.reshape(-1, channels).T
