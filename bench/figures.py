"""Plain arithmetic on what was measured: percentiles, and how many segments a stream should have had. No clock, no I/O; unit-tested."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

FIRST_WINDOW_MS = 1000  # PROTOCOL.md: window k ends at 1 s + k * hop of audio
HOP_MS = 500
FRAME_MS = 100


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` (0..1) of all do not exceed (nearest rank, so always a value that was measured)."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """Count, p50, p95, p99 and max."""
    return {
        "count": len(values),
        "p50": percentile(values, 0.50),
        "p95": percentile(values, 0.95),
        "p99": percentile(values, 0.99),
        "max": max(values, default=None),
    }


def median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def expected_segments(audio_ms: int, first_ms: int = FIRST_WINDOW_MS, hop_ms: int = HOP_MS) -> int:
    """Windows that end within `audio_ms` of audio (the tail that `stop` adds is not one of them)."""
    return 0 if audio_ms < first_ms else (audio_ms - first_ms) // hop_ms + 1


def closing_frame(end_ms: int, frame_ms: int = FRAME_MS) -> int:
    """Number of the frame that holds the last sample before `end_ms`."""
    return -(-end_ms // frame_ms) - 1


def fell_behind(pacing_p99_ms: float | None, pacing_max_ms: float | None, cpu_share: float) -> str | None:
    """Why a row measures its generator instead of the server, or None. A frame is 100 ms; it may be a fifth of that late now and then."""
    if cpu_share > 0.7:
        return f"the generator used {cpu_share:.0%} of a core"
    if (pacing_p99_ms or 0) > 20:
        return f"1 % of the frames left {pacing_p99_ms:.0f} ms late or more"
    if (pacing_max_ms or 0) > 500:
        return f"a frame left {pacing_max_ms:.0f} ms late"
    return None


def slope(low: tuple[float, float], high: tuple[float, float]) -> float | None:
    """Rise per step between two points (count, value)."""
    return (high[1] - low[1]) / (high[0] - low[0]) if high[0] > low[0] else None


def rounded(value: Any, digits: int = 3) -> Any:
    """The same nested value with its floats rounded, for JSON that people read."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, dict):
        return {key: rounded(each, digits) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each, digits) for each in value]
    return value
