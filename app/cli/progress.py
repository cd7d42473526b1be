"""A progress bar on stderr while `check` works through a long file; nothing where nobody watches.

How long a file is nobody knows before it is decoded, so the bar goes by how much of its bytes has been read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LONG_MS = 20_000
LEAST_MS = 2_000  # of audio before the guess of a file's length is believed


class Progress:
    """`follow` a file, then tell the media time reached. The bar comes once a file proves long, and goes with it."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._bar: Bar | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.clear()

    def follow(self, name: str, file: BinaryIO) -> Callable[[int], None]:
        """To be called with each media time reached, in ms."""
        self.clear()
        if not self._watched:
            return lambda reached_ms: None
        size = file.seek(0, os.SEEK_END)

        def moved(reached_ms: int) -> None:
            share = min(1.0, file.tell() / max(1, size))
            long = reached_ms >= LONG_MS or (reached_ms >= LEAST_MS and reached_ms >= LONG_MS * share)
            if self._bar is None and long and share < 1:
                self._bar = _bar(name)
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=share, reached=_clock(reached_ms))

        return moved

    def clear(self) -> None:
        """The bar goes; the next long file brings another."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar(name: str) -> Bar:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[reached]}"), TimeRemainingColumn()
    bar = Bar(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(escape(name), total=1.0, reached="")
    bar.start()
    return bar


def _clock(ms: int) -> str:
    return f"{ms // 60_000}:{ms // 1000 % 60:02d}"
