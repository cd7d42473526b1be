"""Clips through the server's own code: the model folder loaded, hashed and probed by `app.scoring`, each clip a `Session`.

So the published figures are those of what runs, not of a second implementation; `windows.score_clips` must agree with them.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from app.core import wire
from app.lab.config import RATE
from app.scoring.load import load
from app.service.detect import Result, detect, local


@dataclass
class Pcm:
    """A clip as the decoder would give it: 16-bit, mono, 16 kHz, in blocks of 0.5 s."""

    samples: np.ndarray
    sample_rate: int = RATE
    channels: int = 1
    encoding: str = "pcm_s16le"
    warnings: list[str] = field(default_factory=list)

    async def blocks(self) -> AsyncIterator[bytes]:
        content = np.round(self.samples * 32768).clip(-32768, 32767).astype("<i2").tobytes()
        for start in range(0, len(content), RATE):
            yield content[start : start + RATE]


def results(folder: Path, clips: Iterable[np.ndarray]) -> list[Result]:
    """What the server answers for each clip."""
    detector = load(str(folder), folder.parent)
    score = local(detector.scorer)

    async def run() -> list[Result]:
        return [await detect(Pcm(clip), detector.model, score, wire.Config(), max_seconds=600) for clip in clips]

    return asyncio.run(run())


def llrs(folder: Path, clips: Iterable[np.ndarray]) -> np.ndarray:
    """Session llr of each clip, NaN where the server gives none."""
    return np.array([np.nan if r.done.llr is None else r.done.llr for r in results(folder, clips)])
