"""One file, whole: PCM blocks through a `Session`, windows through a scorer, messages gathered into one result.

Called by the upload routes, the older `/ws` contract and the CLI; the live route drives the same `Session` in `live`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from app.core import pcm, wire
from app.core.errors import AudioTooLong, EmptyAudio
from app.core.messages import Done, Limits, Message, Segment, Warning, WarningCode
from app.core.pcm import Encoding
from app.core.session import Session
from app.core.terms import Model
from app.core.windows import Scored, Window
from app.scoring.onnx import Scorer

GATHER_MS = 8000  # audio that is decoded before its windows are scored together: half the work of one window at a time
FILE_BATCH = 8  # windows in flight for one file: a window costs no less in a larger batch, and live ones need not wait long

Score = Callable[[Sequence[Window]], Awaitable[list[Scored]]]

NOTES: dict[WarningCode, str] = {
    "truncated": "The file ends before its header says; what was there has been used.",
    "corrupt": "Parts of the file could not be decoded and were left out.",
    "format_changed": "The format changes inside the file; what follows the change was left out.",
    "other_tracks": "The file has more than one sound track; one was used.",
    "mixed": "The file has more than two channels; they were mixed into one.",
    "non_finite_audio": "The audio held NaN or infinite samples; they were replaced by zero.",
}


class Audio(Protocol):
    """A decoded file, as the decoder pool gives it; `warnings` is complete when `blocks` is exhausted."""

    sample_rate: int
    channels: int
    encoding: Any
    warnings: list[str]

    def blocks(self) -> AsyncIterator[bytes]: ...


@dataclass
class Result:
    """What one file came to."""

    done: Done
    segments: list[Segment] = field(default_factory=list)
    warnings: list[Warning] = field(default_factory=list)

    def content(self) -> dict[str, Any]:
        """The fields of `done` plus `segments` and `warnings`, without what only makes sense on a live stream."""
        done = {name: value for name, value in self.done.content().items() if name not in ("type", "seq")}
        return {**done, "segments": [_bare(s) for s in self.segments], "warnings": [_bare(w) for w in self.warnings]}


async def detect(
    audio: Audio, model: Model, score: Score, config: wire.Config, *, max_seconds: float, on_message: Callable[[Message], None] | None = None
) -> Result:
    """Scores a decoded file. Raises EmptyAudio, AudioTooLong beyond `max_seconds`, BadConfig, and what the decoder and `score` raise."""
    feed = Feed(audio)
    # The session's own limits stay out of reach: its overflow rules are for live audio, and `max_seconds` is counted here.
    most = int(max_seconds) + 100
    limits = Limits(max_session_seconds=most, idle_timeout_seconds=0, max_frame_bytes=0, max_buffer_seconds=most)
    start = wire.Start(audio=wire.Audio(encoding=feed.encoding, sample_rate=audio.sample_rate, channels=feed.channels), config=config)
    session = Session(secrets.token_hex(16), "", model, limits, start)
    gathered: list[Message] = []

    async def drain() -> None:
        windows = session.windows(FILE_BATCH)
        while windows:
            for window, scored in zip(windows, await score(windows), strict=True):
                session.scored(window, scored)
            hand_on()
            windows = session.windows(FILE_BATCH)
        hand_on()

    def hand_on() -> None:
        for message in session.messages():
            gathered.append(message)
            if on_message is not None:
                on_message(message)

    drained_ms = 0
    async for block in audio.blocks():
        session.receive_bytes(feed.prepared(block))
        if session.received_ms > max_seconds * 1000:
            raise AudioTooLong()
        if session.received_ms - drained_ms >= GATHER_MS:
            drained_ms = session.received_ms
            await drain()
    if not session.received_ms:
        raise EmptyAudio()
    session.stop()
    await drain()
    done = next(m for m in gathered if isinstance(m, Done))
    warnings = [m for m in gathered if isinstance(m, Warning)]
    warnings += [Warning(code=code, message=text) for code, text in NOTES.items() if code in (*audio.warnings, *feed.notes)]
    return Result(done, [m for m in gathered if isinstance(m, Segment)], warnings)


class Feed:
    """Fits decoded blocks to what a session takes: one or two channels, finite floats."""

    def __init__(self, audio: Audio) -> None:
        self._source: Encoding = audio.encoding
        self._many = audio.channels if audio.channels > 2 else 0
        self._framer = pcm.Framer(self._source, audio.channels)
        self.encoding: Encoding = "pcm_f32le" if self._many else self._source
        self.channels = 1 if self._many else audio.channels
        self.notes: set[WarningCode] = {"mixed"} if self._many else set()

    def prepared(self, block: bytes) -> bytes:
        block = self._framer.feed(block)
        if self._source == "pcm_f32le":
            block, bad = pcm.clean_floats(block)
            if bad:
                self.notes.add("non_finite_audio")
        if self._many:
            samples = pcm.decode(block, self._source, self._many).mean(axis=0, dtype=np.float32)
            block = samples.astype("<f4").tobytes()
        return block


def local(scorer: Scorer) -> Score:
    """Scoring on a thread of this process, without a batcher (the CLI)."""

    async def score(windows: Sequence[Window]) -> list[Scored]:
        return await asyncio.to_thread(scorer.score, windows)

    return score


def _bare(message: Message) -> dict[str, Any]:
    return {name: value for name, value in message.content().items() if name not in ("type", "seq", "latency_ms")}
