"""What a live client has heard. A server that was killed had said more than the server that goes on with the session knows: the latter says it
again, with new numbers. `again` tells such a message from a new one, by what it is about. Used by `stream`.
"""

from __future__ import annotations

from collections import deque
from typing import Any

MOST_KEPT = 1024  # messages: several minutes of them, where seconds come again


class Heard:
    """One per session."""

    def __init__(self) -> None:
        self._order: deque[tuple[Any, ...]] = deque(maxlen=MOST_KEPT)
        self._known: set[tuple[Any, ...]] = set()

    def again(self, message: dict[str, Any]) -> bool:
        """Whether this was heard before; it counts as heard from now on."""
        subject = _subject(message)
        if subject is None or subject in self._known:
            return subject is not None
        if len(self._order) == MOST_KEPT:
            self._known.discard(self._order[0])
        self._order.append(subject)
        self._known.add(subject)
        return False

    def clear(self) -> None:
        """A new session begins."""
        self._order.clear()
        self._known.clear()


def _subject(message: dict[str, Any]) -> tuple[Any, ...] | None:
    """What a message says something about; None for those that are no worse for being heard twice."""
    get = message.get
    name = message["type"]
    if name == "segment":
        return (name, get("channel"), get("index"), get("end_ms"), get("interim"))
    if name == "verdict":
        return (name, get("channel"), get("as_of_ms"))
    if name == "alert":
        return (name, get("channel"), get("rule"), get("at_ms"), get("cleared"))
    if name == "warning" and isinstance(get("range_ms"), list):
        return (name, get("code"), get("channel"), *get("range_ms", []))
    return None
