"""What a run is asked to do: one frozen object, made by `__main__`, read by the parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Options:
    audio: Path  # raw s16le, 16 kHz, mono
    seconds: float = 20.0
    streams: tuple[int, ...] = (1, 10, 50, 100, 150, 200, 250, 300, 400)
    enough_lag_ms: float = 1000.0  # no larger row after one whose p99 is beyond this
    command: tuple[str, ...] | None = None
    settings: dict[str, str] = field(default_factory=dict)
    ramp_per_second: float = 5.0
    hold_seconds: float = 20.0
    starts: int = 5
    file_seconds: tuple[int, ...] = (60, 600)
    file_kinds: tuple[str, ...] = ("wav", "flac", "mp3", "opus", "webm")
    files_budget_s: float = 4.0  # a row repeats its uploads until this much time has gone
    memory_streams: int = 100
    memory_seconds: float = 15.0
    sessions: tuple[int, int] = (50, 500)
    session_seconds: float = 2.5
    cost_seconds: float = 20.0
    cost_batches: tuple[int, ...] = (1, 16)
    access_blocks: int = 50
    quick: bool = False
    say: Callable[[str], None] = print

    def server_command(self) -> list[str] | None:
        return list(self.command) if self.command else None
