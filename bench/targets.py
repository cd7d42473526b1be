"""What the project promised to show, held against what was measured. Only rows that were measured count; nothing here changes a figure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from bench.table import Table

STREAMS, LAG_MS, PING_MS = 100, 300, 1000
START_S, LEAK_MB = 2.5, 20.0


def targets_table(report: dict[str, Any]) -> Table:
    table = Table("Targets", ["target", "measured", "met"])
    table.rows = [list(row) for row in _rows(report["parts"])]
    return table


def _rows(parts: dict[str, Any]) -> Iterator[tuple[str, str, bool | None]]:
    for row in parts.get("streams") or []:
        if row["asked"] == STREAMS:
            yield from _live(row)
    if capacity := parts.get("capacity"):
        refused, lag = capacity["refusals"], capacity["lag_while_knocking_ms"]["p99"]
        polite = f"{refused['polite']} of {refused['count']}"
        yield "refusals are 4503 with retry_after_ms", polite, refused["polite"] == refused["count"] if refused["count"] else None
        kept = lag is not None and lag <= LAG_MS
        yield f"lag p99 of those inside at most {LAG_MS} ms while others knock", f"{lag or 0:.0f} ms", _valid(capacity, kept)
    if startup := parts.get("startup"):
        ready = statistics.median(startup["ready_s"])
        yield f"process start to ready at most {START_S} s", f"{ready:.2f} s", ready <= START_S
    if memory := parts.get("memory"):
        for name, leak in (("resume window 1 s", memory["leak"]), ("default resume window", memory["leak_default_window"])):
            first, last = leak["after"]
            text = f"memory after {last} sessions within {LEAK_MB:.0f} MB of that after {first}, {name}"
            yield text, f"{leak['growth_mb']:+.1f} MB", leak["growth_mb"] < LEAK_MB


def _live(row: dict[str, Any]) -> Iterator[tuple[str, str, bool | None]]:
    seen, lag, ping = row["streams"], row["streams"]["lag_ms"]["p99"], row["streams"]["ping_ms"]["max"]
    yield f"{STREAMS} streams: lag p99 at most {LAG_MS} ms", f"{lag or 0:.0f} ms", _valid(row, lag is not None and lag <= LAG_MS)
    lost = f"{seen['held']} held, {seen['missing']} segments missing, {seen['dropped_ms']} ms dropped"
    whole = seen["held"] == STREAMS and not seen["missing"] and not seen["dropped_ms"] and "dropped_audio" not in seen["warnings"]
    yield f"{STREAMS} streams: no drops", lost, whole
    answered = ping is not None and ping <= PING_MS and not seen["pings_unanswered"]
    yield f"{STREAMS} streams: pings answered within {PING_MS} ms", f"{ping or 0:.0f} ms at most", _valid(row, answered)


def _valid(row: dict[str, Any], met: bool) -> bool | None:
    """A failure counts only when the generator kept up: a late generator makes everything late."""
    return met if met or row["invalid"] is None else None
