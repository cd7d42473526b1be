"""SHA-256 of a session's audio as its client sent it: whole sample frames in the client's own encoding, each once. Fed by `intake`.

A hash cannot be carried to another process half-way, so a session that is taken up there begins a new part; most have one.

    digest.add(data, at_ms)      digest.parts(now_ms) -> [Part(0, 12_480, "9f86…")]
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple


class Part(NamedTuple):
    start_ms: int
    end_ms: int
    sha256: str


class Digest:
    def __init__(self, parts: Iterable[Part] = ()) -> None:
        """`parts`: what another process has made of the audio so far."""
        self._parts = list(parts)
        self._hash = hashlib.sha256()
        self._start_ms: int | None = None

    def add(self, data: bytes, at_ms: int) -> None:
        """Whole frames; `at_ms` is where they begin."""
        if self._start_ms is None:
            self._start_ms = at_ms
        self._hash.update(data)

    def parts(self, now_ms: int) -> list[Part]:
        """All audio up to now. One part beginning at 0 is the hash of everything that was received."""
        own = [] if self._start_ms is None else [Part(self._start_ms, now_ms, self._hash.hexdigest())]
        return [*self._parts, *own]
