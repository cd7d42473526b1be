"""The same sound in every encoding, as raw bytes and as a WAV file; and what a check of it comes to, by every road, in one comparable shape.

`outcome_of_rows` (a stream's messages), `outcome_of_answer` (an upload's JSON) and `outcome_here` (the CLI's code path, in this process) give
segments and verdict without what the protocol lets differ; `assert_same` compares them as PROTOCOL.md defines "identical".
"""

from __future__ import annotations

import io
import random
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from app.core import wire
from app.scoring.load import Detector
from app.service.decode import AudioFile, DecodeLimits, open_audio
from app.service.detect import detect, local
from tests.audio import wav_format
from tests.integration.talk import Row, as_text
from tests.toy import voice

FORMATS = [("pcm_s16le", 16000, 1), ("pcm_s16le", 44100, 2), ("pcm_f32le", 48000, 1), ("mulaw", 8000, 1), ("alaw", 8000, 1)]
TAGS = {"pcm_s16le": (1, 16), "pcm_f32le": (3, 32), "mulaw": (7, 8), "alaw": (6, 8)}
NOT_COMPARED = frozenset({"type", "seq", "session_id", "latency_ms", "request_id", "sha256", "warnings", "file"})
LOOSE = {"llr": 1e-3, "score": 1e-3}


def changing(rate: int, channels: int, seed: int = 0) -> npt.NDArray[np.int16]:
    """Seven seconds in which the toy model hears a voice change: bona fide then spoofed; the second channel the other way round."""
    real, fake = voice(3.0, "bonafide", rate, channels, seed), voice(4.0, "spoof", rate, channels, seed)
    samples = np.concatenate((real, fake))
    if channels == 2:
        samples[:, 1] = np.concatenate((fake, real))[:, 1]
    return samples


def encoded(samples: npt.NDArray[np.int16], encoding: str) -> bytes:
    """Raw interleaved bytes."""
    if encoding == "pcm_s16le":
        return samples.astype("<i2").tobytes()
    if encoding == "pcm_f32le":
        return (samples / 32768).astype("<f4").tobytes()
    out = io.BytesIO()
    soundfile.write(out, samples, 8000, format="RAW", subtype={"mulaw": "ULAW", "alaw": "ALAW"}[encoding])
    return out.getvalue()


def wav_of(data: bytes, encoding: str, rate: int, channels: int) -> bytes:
    tag, bits = TAGS[encoding]
    fmt = wav_format(tag, channels, rate, bits)
    return struct.pack("<4sI4s", b"RIFF", 28 + 8 + len(data), b"WAVE") + fmt + struct.pack("<4sI", b"data", len(data)) + data


def cut(data: bytes, seed: int, sizes: tuple[int, ...] = (1, 2, 3, 999, 4096, 20_000, 70_001)) -> Iterator[bytes]:
    """`data` in pieces of random sizes, down to one byte."""
    chance, at = random.Random(seed), 0
    while at < len(data):
        size = chance.choice(sizes)
        yield data[at : at + size]
        at += size


def mixed(data: bytes, seed: int) -> Iterator[bytes | str]:
    """The same, each piece at random as binary or as a base64 `audio` message."""
    chance = random.Random(seed)
    for piece in cut(data, seed):
        yield piece if chance.random() < 0.5 else as_text(piece)


# --- outcomes -----------------------------------------------------------------------------------------------


def outcome_of_rows(rows: list[Row]) -> Row:
    (done,) = [row for row in rows if row["type"] == "done"]
    return _bare({**done, "segments": [row for row in rows if row["type"] == "segment" and not row.get("interim")]})


def outcome_of_answer(answer: Row) -> Row:
    return _bare(answer)


async def outcome_here(file: bytes, detector: Detector, **config: Any) -> Row:
    """What `app.service.detect` says with the scorer of this process, without server, batcher or decoder pool."""
    with open_audio(file, DecodeLimits()) as audio:
        opened: Any = _Opened(audio)
        result = await detect(opened, detector.model, local(detector.scorer), wire.Config(**config), max_seconds=1800)
    return _bare(result.content())


class _Opened:
    """A file decoded in this process as `detect` wants it."""

    def __init__(self, audio: AudioFile) -> None:
        self._audio = audio
        self.sample_rate, self.channels, self.encoding, self.warnings = audio.sample_rate, audio.channels, audio.encoding, audio.warnings

    async def blocks(self) -> AsyncIterator[bytes]:
        for block in self._audio.blocks():
            yield block


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _bare(each) for name, each in value.items() if name not in NOT_COMPARED}
    return [_bare(each) for each in value] if isinstance(value, list) else value


def assert_same(got: Any, wanted: Any, where: str = "") -> None:
    """Equal, but for llr (and the score that follows from it) within 0.001."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        assert got.keys() == wanted.keys(), where
        for name in wanted:
            if name in LOOSE and wanted[name] is not None and got[name] is not None:
                assert abs(got[name] - wanted[name]) <= LOOSE[name], f"{where}.{name}: {got[name]} is not {wanted[name]}"
            else:
                assert_same(got[name], wanted[name], f"{where}.{name}")
    elif isinstance(wanted, list) and isinstance(got, list):
        assert len(got) == len(wanted), f"{where}: {len(got)} entries are not {len(wanted)}"
        for at, (left, right) in enumerate(zip(got, wanted, strict=True)):
            assert_same(left, right, f"{where}[{at}]")
    else:
        assert got == wanted, f"{where}: {got!r} is not {wanted!r}"
