"""Clips through the server's own code: the model folder loaded, hashed and probed by `app.scoring`, each clip a `Session`.

So the published figures are those of what runs, not of a second implementation. `Served` keeps what each session said on the way: a clip's
llr after so many seconds of speech, its first verdict and its alarms are read off that, without scoring anything twice.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from app.core import wire
from app.core.messages import Message, Segment, Verdict
from app.core.verdict import State, VerdictName
from app.core.windows import Scored, Window
from app.lab.config import RATE
from app.scoring.load import load
from app.service.detect import Result, detect

LONGEST_S = 3600


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


@dataclass(frozen=True)
class Step:
    """One window of a session, and what the running verdict was after it."""

    end_s: float
    llr: float | None
    new_speech_ms: int
    verdict: VerdictName
    state: State
    changed: bool


@dataclass(frozen=True)
class Trail:
    """One session: its final llr (NaN: none) and verdict, its speech, and its windows in order."""

    llr: float
    verdict: VerdictName
    speech_s: float
    seconds: float
    steps: tuple[Step, ...]

    def llr_at(self, speech_s: float) -> float:
        """The session's llr if it had ended once `speech_s` of speech were heard (a clip with less: its whole llr), as `conclude` pools it."""
        total = weight = heard = 0.0
        for step in self.steps:
            heard += step.new_speech_ms / 1000
            if step.llr is not None:
                total, weight = total + step.llr * step.new_speech_ms, weight + step.new_speech_ms
            if heard >= speech_s and weight:
                return total / weight
        return self.llr


class Served:
    """A model folder as the server would run it."""

    def __init__(self, folder: Path):
        self.detector = load(str(folder.resolve()))

    def results(self, clips: Iterable[np.ndarray]) -> list[Result]:
        """What the server answers for each clip."""
        return [result for result, _ in self._run(clips)]

    def trails(self, clips: Iterable[np.ndarray]) -> list[Trail]:
        return [_trail(result, said) for result, said in self._run(clips)]

    def llrs(self, clips: Iterable[np.ndarray]) -> np.ndarray:
        """Session llr of each clip, NaN where the server gives none."""
        return np.array([np.nan if result.done.llr is None else result.done.llr for result in self.results(clips)])

    async def _score(self, windows: Sequence[Window]) -> list[Scored]:
        # Not on a thread, as the server does it: a hand-over per window is most of the time on a busy machine.
        return self.detector.scorer.score(windows)

    def _run(self, clips: Iterable[np.ndarray]) -> list[tuple[Result, list[Message]]]:
        async def one(clip: np.ndarray) -> tuple[Result, list[Message]]:
            said: list[Message] = []
            config = wire.Config()  # its default asks for a verdict after every window
            result = await detect(Pcm(clip), self.detector.model, self._score, config, max_seconds=LONGEST_S, on_message=said.append)
            return result, said

        async def run() -> list[tuple[Result, list[Message]]]:
            return [await one(clip) for clip in clips]

        return asyncio.run(run())


def results(folder: Path, clips: Iterable[np.ndarray]) -> list[Result]:
    """What the server answers for each clip."""
    return Served(folder).results(clips)


def llrs(folder: Path, clips: Iterable[np.ndarray]) -> np.ndarray:
    """Session llr of each clip, NaN where the server gives none."""
    return Served(folder).llrs(clips)


def _trail(result: Result, said: list[Message]) -> Trail:
    segments = [message for message in said if isinstance(message, Segment)]
    verdicts = [message for message in said if isinstance(message, Verdict)]
    steps, heard_ms = [], 0
    for segment, verdict in zip(segments, verdicts, strict=True):
        steps.append(Step(segment.end_ms / 1000, segment.llr, verdict.speech_ms - heard_ms, verdict.verdict, verdict.state, verdict.changed))
        heard_ms = verdict.speech_ms
    done = result.done
    llr = np.nan if done.llr is None else done.llr
    return Trail(llr, done.verdict, done.speech_ms / 1000, done.duration_ms / 1000, tuple(steps))
