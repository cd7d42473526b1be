"""What a session does, in media order: windows wait here for their scores, commands for the windows before them. Used by `session`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from app.core import wire
from app.core.errors import VoxproofError
from app.core.quality import Quality
from app.core.windows import Scored, Window


@dataclass(frozen=True)
class End:
    """The end of the stream; `failure` when it was not the client's wish."""

    failure: VoxproofError | None = None


Command = wire.Finalize | wire.Update | End


@dataclass
class Step:
    """A window that waits for its score, or (window None) a command. `config` is what held when it was taken up."""

    config: wire.Config
    window: Window | None = None
    quality: Quality | None = None
    scored: Scored | None = None
    command: Command | None = None
    as_of_ms: int = 0


class Steps:
    """Scores may come in any order; steps leave in the order they came."""

    def __init__(self) -> None:
        self._line: deque[Step] = deque()

    def __len__(self) -> int:
        return len(self._line)

    def add(self, step: Step) -> None:
        self._line.append(step)

    def score(self, window: Window, scored: Scored) -> None:
        for step in self._line:
            if step.window is window:
                step.scored = scored
                break

    def due(self) -> Iterator[Step]:
        """The steps whose turn has come, each once."""
        while self._line and (self._line[0].window is None or self._line[0].scored is not None):
            yield self._line.popleft()

    def clear(self) -> None:
        self._line.clear()
