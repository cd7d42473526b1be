"""Whether this server can take work: a handful of checks, asked by probes. Called by `web.health`; `main` says what is checked.

A check takes `timeout_s` at most, whatever it waits for, and answers are kept for a second: probes cost nothing, and nobody can make this
server hammer its database by asking. One that is still waiting is not started again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

from app.core.errors import OwnError, VoxproofError

KEEP_S = 1.0

Check = Callable[[], Awaitable[str]]  # what there is to say when all is well; raises otherwise

log = logging.getLogger(__name__)


class Unwell(Exception):
    """A check failed, and says why in words that anybody may read."""


@dataclass(frozen=True)
class Finding:
    ok: bool
    text: str
    took_ms: float


@dataclass(frozen=True)
class Report:
    findings: Mapping[str, Finding]

    @property
    def ready(self) -> bool:
        return all(each.ok for each in self.findings.values())

    @property
    def problems(self) -> list[str]:
        return [name for name, each in self.findings.items() if not each.ok]


class Health:
    def __init__(self, checks: Mapping[str, Check], timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._checks, self._timeout_s, self._clock = dict(checks), timeout_s, clock
        self._running: dict[str, asyncio.Task[Finding]] = {}
        self._asking = asyncio.Lock()
        self._report, self._at = Report({}), float("-inf")
        self._began = clock()

    async def __aenter__(self) -> Health:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    @property
    def up_s(self) -> float:
        return self._clock() - self._began

    async def report(self) -> Report:
        async with self._asking:  # who asks meanwhile gets the same answer
            if self._clock() - self._at >= KEEP_S:
                before, self._report = self._report, await self._look()
                self._at = self._clock()
                self._tell(before)
        return self._report

    def forget(self) -> None:
        """The next report is a new one: something is known to have changed."""
        self._at = float("-inf")

    async def _look(self) -> Report:
        for name, check in self._checks.items():
            if name not in self._running:
                self._running[name] = asyncio.create_task(_found(check), name=f"health {name}")
        await asyncio.wait(self._running.values(), timeout=self._timeout_s)
        findings = {}
        for name in self._checks:
            if self._running[name].done():
                findings[name] = self._running.pop(name).result()
            else:
                findings[name] = Finding(False, f"no answer within {self._timeout_s:g} s", self._timeout_s * 1000)
        return Report(findings)

    def _tell(self, before: Report) -> None:
        if self._report.problems != before.problems:
            if self._report.problems:
                log.warning("not ready: %s", "; ".join(f"{name}: {self._report.findings[name].text}" for name in self._report.problems))
            else:
                log.warning("ready again")


async def _found(check: Check) -> Finding:
    began = time.monotonic()
    try:
        ok, text = True, await check()
    except Unwell as exc:
        ok, text = False, str(exc)
    except VoxproofError as exc:
        ok, text = False, exc.message if isinstance(exc, OwnError) else exc.code
    except Exception as exc:  # its text may hold an address or worse
        ok, text = False, type(exc).__name__
        log.debug("a check failed", exc_info=exc)
    return Finding(ok, text, round((time.monotonic() - began) * 1000, 1))
