"""A detector that is arithmetic only, for core tests: the llr and the speech of a window follow from its samples by a known formula.

It honours the frames contract (embeddings by absolute frame number, right context), so a mistake in the geometry changes its scores.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from app.core import wire
from app.core.messages import Limits, Message, ModelInfo
from app.core.session import Session
from app.core.terms import Model
from app.core.verdict import OperatingPoint
from app.core.windows import FrameLayout, Layout, Scored, Window

FRAME, LEFT, RIGHT, SIZE = 320, 640, 960, 3
INFO = ModelInfo(name="fake", version="1", sha256="0" * 64, sample_rate=16000, window_seconds=4, hop_seconds=0.5, min_speech_seconds=0.5)
FRAMES = Layout(16000, 64000, 16000, 8000, FrameLayout(FRAME, LEFT, RIGHT, SIZE))
WHOLE = Layout(16000, 64000, 16000, 8000)
POINTS = {"fast": OperatingPoint(-0.1, 0.1), "balanced": OperatingPoint(-0.5, 0.5), "strict": OperatingPoint(-1.0, 2.0)}
LIMITS = Limits(max_session_seconds=7200, idle_timeout_seconds=30, max_frame_bytes=1 << 20, max_buffer_seconds=10)


def model(layout: Layout = FRAMES) -> Model:
    return Model(INFO, layout, POINTS, "balanced", 3, 2)


class FakeScorer:
    """llr = 40 * (mean frame rms - 0.1); a frame is speech when its rms exceeds 0.01."""

    def score(self, windows: Sequence[Window]) -> list[Scored]:
        return [self._one(window) for window in windows]

    def _one(self, window: Window) -> Scored:
        span, memory = window.span, window.memory
        assert memory is not None
        count, new = span.stop_frame - span.first_frame, 0
        if count > 0:
            assert len(window.audio) == LEFT + count * FRAME + RIGHT
            # All of the frame's context counts, as in a real encoder: here the mean square over left + frame + right.
            around = np.lib.stride_tricks.sliding_window_view(window.audio, LEFT + FRAME + RIGHT)[::FRAME]
            rms = np.sqrt(np.square(around, dtype=np.float64).mean(axis=1)).astype(np.float32)
            speech = (rms > 0.01).astype(np.float32)
            memory.write(span.first_frame, np.repeat(rms[:, None], SIZE, axis=1), speech)
            new = int(speech.sum())
        frames, speech = memory.read(span.pool_from, max(span.pool_from, span.stop_frame))
        heard = int(speech.sum())
        llr = float(40 * (frames[speech > 0, 0].mean() - 0.1)) if heard >= 25 else None
        return Scored(llr, heard * 20, new * 20)


def open_session(
    encoding: str = "pcm_s16le", sample_rate: int = 16000, channels: int = 1, *, limits: Limits = LIMITS, layout: Layout = FRAMES, **config: Any
) -> Session:
    start = wire.Start.model_validate({"audio": {"encoding": encoding, "sample_rate": sample_rate, "channels": channels}, "config": config})
    return Session("s", "t", model(layout), limits, start)


def score_all(session: Session, limit: int = 8) -> list[Message]:
    """Scores what waits and gives the messages."""
    scorer = FakeScorer()
    out = session.messages()
    while windows := session.windows(limit):
        for window in windows:
            session.scored(window, scorer._one(window))
        out += session.messages()
    return out + session.messages()


def play(session: Session, pieces: Iterable[bytes], *, limit: int = 8) -> list[Message]:
    """Feeds pieces, stops, and gives all messages."""
    out: list[Message] = []
    for piece in pieces:
        session.receive_bytes(piece)
        out += score_all(session, limit)
    session.stop()
    return out + score_all(session, limit)


def facts(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """What must be equal whatever the transport: segments, verdicts, alerts and done, without seq, ids and wall-clock fields."""
    kept = ("segment", "verdict", "alert", "done", "finalized")
    rows = [json.loads(wire.encode(m)) for m in messages if m.type in kept]
    return [{k: v for k, v in row.items() if k not in ("seq", "session_id", "latency_ms")} for row in rows]


def speechlike(seconds: float, rate: int = 16000, *, level: float = 0.15, seed: int = 0, channels: int = 1) -> np.ndarray:
    """float32 [frames, channels]: noise in syllables, loud and soft, for tests that need no meaning."""
    random = np.random.default_rng(seed)
    count = int(seconds * rate)
    envelope = np.repeat(random.uniform(0.2, 1.8, count // (rate // 5) + 1), rate // 5)[:count, None]
    return (random.standard_normal((count, channels)) * envelope * level).clip(-1, 1).astype(np.float32)


def s16(samples: np.ndarray) -> bytes:
    return np.rint(samples * 32767).astype("<i2").tobytes()


def kinds(messages: Iterable[Message]) -> list[str]:
    return [m.type for m in messages]
