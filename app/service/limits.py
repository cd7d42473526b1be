"""Who may come in: live streams and uploads are admitted or refused politely, by number and by measured load. Called by the transports.

A server that takes one stream too many serves all of them late; so a new one is refused while the workers are nearly always busy, windows
wait, or the event loop itself is late.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol

from app.core.errors import ServerFull, ShuttingDown

PULSE_S = 0.1
PULSE_FADE = 0.8  # of the lateness one beat ago; about half a second of memory


class Load(Protocol):
    """What the batcher tells of itself."""

    def busy(self) -> float: ...
    def waiting_ms(self) -> float: ...


class Pulse:
    """How late the event loop runs, measured ten times a second. `async with Pulse() as pulse: pulse.late_ms`."""

    late_ms: float = 0.0

    def __init__(self, observe: Callable[[float], None] = lambda late_ms: None) -> None:
        """`observe` hears each beat's lateness."""
        self._observe = observe

    async def __aenter__(self) -> Pulse:
        self._task = asyncio.create_task(self._beat(), name="pulse")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(PULSE_S)
            late_ms = (time.monotonic() - began - PULSE_S) * 1000
            self.late_ms = max(late_ms, self.late_ms * PULSE_FADE)
            self._observe(late_ms)


class Gate:
    """Counts what is open and refuses what would be too much. `what` names the thing in the refusal."""

    def __init__(self, what: str, most: int, retry_after_ms: int, reason: Callable[[], str | None] = lambda: None) -> None:
        """`reason` says in words why nobody else should come in now, or None."""
        self._what, self._most, self._retry_after_ms, self._other_reason = what, most, retry_after_ms, reason
        self.open = 0
        self.is_shut = False
        self._changed = asyncio.Event()

    def shut(self) -> None:
        """Nobody else comes in: the server ends."""
        self.is_shut = True

    async def emptied(self) -> None:
        """Returns when nobody is inside."""
        while self.open:
            self._changed.clear()
            await self._changed.wait()

    @contextmanager
    def enter(self, *, instead: bool = False, back: bool = False) -> Iterator[None]:
        """A place inside, for as long as the block runs. Raises ServerFull, which says when to try again.

        `instead`: whoever comes in makes somebody leave, or has been inside before. `back`: it was inside on another server, so only the
        number counts against it.
        """
        if self.is_shut:
            raise ShuttingDown(retry_after_ms=self._retry_after_ms)
        reason = None if instead else self._too_many() if back else self._too_many() or self._other_reason()
        if reason is not None:
            raise ServerFull(f"The server is full: {reason}. Try again later.", retry_after_ms=self._retry_after_ms)
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1
            self._changed.set()

    def _too_many(self) -> str | None:
        return f"{self._most} {self._what} are open, which is its limit" if self.open >= self._most else None


def strained(load: Load, pulse: Pulse, *, max_busy: float, max_lag_ms: float) -> str | None:
    """Why one live stream more would make the others late, or None."""
    if load.busy() > max_busy or load.waiting_ms() > max_lag_ms:
        return "its detector is busy"
    return "it is running late" if pulse.late_ms > max_lag_ms else None
