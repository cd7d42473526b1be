"""Cases as rows of a table (CSV). A text that a spreadsheet would take for a formula gets an apostrophe in front."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from app.service.records import iso
from app.service.reports import Case

# What starts a formula in the usual programs, also in full width, and what they drop before they look.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def _record(case: Case, *path: str) -> Any:
    found: Any = (case.evidence or {}).get("record")
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


COLUMNS: dict[str, Callable[[Case], Any]] = {
    "case_id": lambda case: case.id,
    "session_id": lambda case: case.session_id,
    "decision": lambda case: case.decision,
    "reason": lambda case: case.reason,
    "metadata": lambda case: json.dumps(case.metadata, ensure_ascii=False),
    "created_at": lambda case: iso(case.created_at),
    "expires_at": lambda case: iso(case.expires_at),
    "filed_by": lambda case: case.filed_by,
    "session": lambda case: (case.evidence or {}).get("session"),
    "session_state": lambda case: _record(case, "state"),
    "session_started_at": lambda case: _record(case, "started_at"),
    "verdict": lambda case: _record(case, "verdict"),
    "score": lambda case: _record(case, "score"),
    "llr": lambda case: _record(case, "llr"),
    "speech_ms": lambda case: _record(case, "speech_ms"),
    "duration_ms": lambda case: _record(case, "duration_ms"),
    "segments_total": lambda case: _record(case, "segments_total"),
    "spoof_ranges": lambda case: json.dumps(_record(case, "spoof_ranges") or []),
    "audio_sha256": lambda case: _record(case, "audio", "sha256"),
    "model_name": lambda case: _record(case, "model", "name"),
    "model_version": lambda case: _record(case, "model", "version"),
    "model_sha256": lambda case: _record(case, "model", "sha256"),
    "attached_audio_sha256": lambda case: (case.audio or {}).get("sha256"),
}


def header() -> str:
    return _line(list(COLUMNS))


def line(case: Case) -> str:
    return _line([_safe(column(case)) for column in COLUMNS.values()])


def _safe(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA) else value


def _line(values: list[Any]) -> str:
    """As RFC 4180 has it; None is an empty field."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(values)
    return out.getvalue()
