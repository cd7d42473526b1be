"""Which cases of an owner are meant: what `cases` searches for, without SQLAlchemy to load for whoever asks."""

from __future__ import annotations

from typing import NamedTuple


class Filter(NamedTuple):
    """Which cases of an owner are meant; None: any. `until` itself is outside."""

    decision: str | None = None
    session_id: str | None = None
    since: float | None = None
    until: float | None = None
