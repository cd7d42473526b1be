"""What one live session came to, gathered from its messages while it runs. No I/O and no wait: `records` fetches and stores.

A record is a summary (JSON) and its segments in chunks of `CHUNK`, so that a long session is not written anew with every second of it. Times
are seconds since the epoch in here. A session that comes from another process `adopt`s what that one has recorded.
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from app.core.messages import Alert, Done, Error, Message, Ready, Segment, Verdict, Warning
from app.core.session import Session

CHUNK = 256
MAX_NOTES = 200  # warnings and alerts each
MAX_EARLIER = 100  # sessions before this one of the same id

State = Literal["running", "finished", "failed", "broken"]
Summary = dict[str, Any]


class Recorder:
    """An `Observer` of a live stream. `changed` is called with it when there is something new to store."""

    def __init__(self, key: str, session: Session, max_segments: int, now: Callable[[], float], changed: Callable[[Recorder], None]) -> None:
        self.key, self.writer = key, secrets.token_hex(8)
        self.state: State = "running"
        self.over = self.resumed = self.adopted = False
        self._session, self._now, self._changed = session, now, changed
        self._begun, self._begun_ms = [len(track.heard) for track in session.tracks], session.processed_ms
        self._started_at = self._updated_at = now()
        self._ready: Mapping[str, Any] = {}
        self._verdicts: dict[int, Verdict] = {}
        self._done: Done | None = None
        self._failure: dict[str, Any] | None = None
        self._segments = Segments(max_segments)
        self._warnings: list[dict[str, Any]] = []
        self._alerts: list[dict[str, Any]] = []
        self._earlier: list[dict[str, Any]] = []
        self._recalled: list[dict[str, Any]] = []
        self._first_seq: int | None = None

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def updated_at(self) -> float:
        return self._updated_at

    # --- what it hears --------------------------------------------------------------------------------------

    def said(self, message: Message) -> None:
        self._updated_at = self._now()
        if isinstance(message, Ready):
            self.resumed = self.resumed or (message.resume is not None and not self._ready)
            self._ready = message.content()
        elif self._first_seq is None and message.seq > 1:
            self._first_seq = message.seq
        if isinstance(message, Segment):
            self._segments.add(_plain(message))
        elif isinstance(message, Verdict):
            self._verdicts[message.channel] = message
        elif isinstance(message, Warning):
            _note(self._warnings, _plain(message))
        elif isinstance(message, Alert):
            _note(self._alerts, _plain(message))
        elif isinstance(message, Error) and message.fatal and message.seq:  # seq 0: the end of a connection, not of the session
            self._failure = {"code": message.code, "message": message.message}
            self.state = "failed"
        elif isinstance(message, Done):
            self._done = message
            self.state = "failed" if self._failure else "finished"
        self._changed(self)

    def ended(self) -> None:
        if self.running:
            self.state, self._updated_at = "broken", self._now()
        self.over = True
        if self._ready:  # one that was refused before it began leaves nothing
            self._changed(self)

    def alive(self) -> None:
        """A session that says nothing (its client only keeps the connection open) runs all the same."""
        self._updated_at = self._now()

    def recalled(self, said: Iterable[tuple[int, str]]) -> None:
        """The last messages of the other process, some of which it may not have recorded any more."""
        rows = (json.loads(text) for _, text in said)
        self._recalled = [{name: row[name] for name in row if name not in ("type", "latency_ms")} for row in rows if row["type"] == "segment"]

    def adopt(self, earlier: Summary | None, segments: list[dict[str, Any]]) -> None:
        """What was stored under this id before: of the same session in another process, or of another session."""
        self.adopted = True
        if not self.resumed:
            self._earlier = [] if earlier is None else earlier_of(earlier)
            return
        if earlier is None:
            self._segments.precede(self._recalled, 0)
            return
        first = self._first_seq if self._first_seq is not None else float("inf")
        self._started_at, self._earlier = earlier["started_at"], earlier["earlier"]
        # A server that was killed may have recorded more than its last snapshot held: that is said again here.
        before = [row for row in segments if row.get("seq", 0) < first and row["index"] < self._begun[row["channel"]] + row.get("interim", False)]
        known = {row.get("seq") for row in before}
        before += [row for row in self._recalled if row["seq"] not in known]
        self._segments.precede(sorted(before, key=lambda row: row.get("seq", 0)), earlier["segments_total"] - len(segments))
        self._warnings[:0] = [row for row in earlier["warnings"] if row.get("seq", 0) < first]
        self._alerts[:0] = [row for row in earlier["alerts"] if row["seq"] < first and row["at_ms"] <= self._begun_ms]
        for row in earlier["channels"]:
            if row["state"] is not None and row["channel"] not in self._verdicts:
                self._verdicts[row["channel"]] = Verdict(as_of_ms=0, changed=False, **{k: v for k, v in row.items() if k != "label"})

    # --- what it tells --------------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """Everything but the segments."""
        session, ready = self._session, self._ready
        content: Summary = {
            "session_id": session.id, "kind": "live", "state": self.state, "writer": self.writer,
            "started_at": self._started_at, "updated_at": self._updated_at, "ended_at": None if self.running else self._updated_at,
            **(self._final(self._done) if self._done else self._running()),
            "segments_total": self._segments.total, "segments_kept": self._segments.kept, "warnings": self._warnings, "alerts": self._alerts,
            "error": self._failure,
            "audio": {**ready.get("audio", {}), **audio_of(session)}, "config": ready.get("config", {}), "model": ready.get("model", {}),
            "metadata": session.terms.start.metadata, "earlier": self._earlier,
        }  # fmt: skip
        return content

    def chunks(self, first: int) -> dict[int, bytes]:
        """The segments to store, from chunk `first` on. All but the last are full and stay as they are."""
        return self._segments.packed(first)

    def segments(self) -> list[dict[str, Any]]:
        return self._segments.rows()

    def _running(self) -> dict[str, Any]:
        labels = self._ready.get("audio", {}).get("channel_labels") or []
        rows = [
            {**verdict.model_dump(include=CHANNEL_FIELDS), "label": labels[channel] if channel < len(labels) else None}
            for channel, verdict in sorted(self._verdicts.items())
        ]
        top = max(rows, key=lambda row: (row["verdict"] == "spoof", row["llr"] if row["llr"] is not None else float("-inf")), default=None)
        overall = {name: top[name] if top else None for name in ("score", "llr")}
        return {
            "verdict": top["verdict"] if top else "no_speech", **overall, "speech_ms": top["speech_ms"] if top else 0,
            "duration_ms": self._session.received_ms, "channels": rows, "spoof_ranges": [], "dropped_ms": 0,
        }  # fmt: skip

    def _final(self, done: Done) -> dict[str, Any]:
        content = done.model_dump(include=FINAL_FIELDS)
        return {**content, "channels": [{**row, "state": None} for row in content["channels"]]}


CHANNEL_FIELDS = {"channel", "verdict", "score", "llr", "speech_ms", "segments", "state"}
FINAL_FIELDS = {"verdict", "score", "llr", "speech_ms", "duration_ms", "channels", "spoof_ranges", "dropped_ms"}


def audio_of(session: Session) -> dict[str, Any]:
    """The hash of what was received: one for all of it, unless several processes have each heard a part."""
    parts = session.intake.digest.parts(session.received_ms)
    whole = len(parts) == 1 and parts[0].start_ms == 0
    return {"sha256": parts[0].sha256 if whole else None, "parts": [part._asdict() for part in parts]}


class Segments:
    """Up to `most` segments as JSON, full chunks compressed; the first are kept, later ones counted."""

    def __init__(self, most: int, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._most = most
        self._full: list[bytes] = []
        self._tail: list[str] = []
        self.total = 0
        for row in rows:
            self.add(row)

    @property
    def kept(self) -> int:
        return len(self._full) * CHUNK + len(self._tail)

    def add(self, row: Mapping[str, Any]) -> None:
        self.total += 1
        if self.kept >= self._most:
            return
        self._tail.append(json.dumps(row, separators=(",", ":"), allow_nan=False))
        if len(self._tail) == CHUNK:
            self._full.append(pack(self._tail))
            self._tail = []

    def precede(self, rows: Iterable[Mapping[str, Any]], uncounted: int) -> None:
        """Puts earlier ones before those that are here."""
        own, total = self.rows(), self.total
        later = total - len(own)
        self._full, self._tail, self.total = [], [], 0
        for row in (*rows, *own):
            self.add(row)
        self.total += uncounted + later

    def packed(self, first: int) -> dict[int, bytes]:
        chunks = dict(enumerate(self._full[first:], first))
        if self._tail:
            chunks[len(self._full)] = pack(self._tail)
        return chunks

    def rows(self) -> list[dict[str, Any]]:
        return [row for chunk in self.packed(0).values() for row in unpacked(chunk)]


def pack(rows: Iterable[str]) -> bytes:
    return zlib.compress(f"[{','.join(rows)}]".encode(), 1)


def unpacked(chunk: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(zlib.decompress(chunk))
    return rows


def earlier_of(summary: Summary) -> list[dict[str, Any]]:
    """The list of sessions before this one of the same id, `summary` being the last of them."""
    brief = {name: summary[name] for name in ("kind", "state", "started_at", "ended_at", "verdict", "score", "llr", "duration_ms")}
    return [*summary["earlier"], {**brief, "sha256": summary["audio"]["sha256"]}][-MAX_EARLIER:]


def _plain(message: Message) -> dict[str, Any]:
    return {name: value for name, value in message.content().items() if name not in ("type", "latency_ms")}


def _note(notes: list[dict[str, Any]], note: dict[str, Any]) -> None:
    if len(notes) < MAX_NOTES:
        notes.append(note)
