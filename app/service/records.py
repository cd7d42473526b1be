"""What sessions came to, for a while: running and final verdicts, segments, hashes; never audio. Kept in memory, in
Redis, or, where servers share a database and no Redis, there.

    Streams(..., observe=(records.observe,))                 live sessions: written every few seconds, in the background
    await records.finished(owner, session_id, "file", {**result.content(), "sha256": …})     a file that has been judged
    await records.get(owner, session_id)                     the record; None when there is none *of this owner*

A record belongs to an owner by its very name in the cache, so nobody's question can touch another's. A cache that fails costs records, never a
session or a request. `async with records:` runs the background task.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from app.core.errors import VoxproofError
from app.core.session import Session
from app.service.access import Principal
from app.service.recorder import CHUNK, Recorder, Segments, Summary, earlier_of, unpacked
from app.settings import Settings
from app.store.record_rows import RecordStore

LOST_S = 60.0  # a running session nobody has written about for this long: its server is gone
ALIVE_S = 20.0
MAX_WAITING = 1000  # ended sessions kept for a cache that does not answer

log = logging.getLogger(__name__)


class Records:
    def __init__(self, cache: RecordStore, settings: Settings, now: Callable[[], float] = time.time) -> None:
        self._cache, self._now = cache, now
        self._ttl_s, self._every_s = settings.session_record_seconds, settings.session_record_every_seconds
        self._max_segments = settings.session_record_segments
        self._recorders: dict[str, Recorder] = {}  # of this process, until their last word is stored
        self._changed: dict[Recorder, None] = {}
        self._stored: dict[Recorder, tuple[float, int]] = {}  # when all of it was stored last, and the next chunk
        self._wake, self._writing = asyncio.Event(), asyncio.Lock()
        self._failing = self._ending = False

    async def __aenter__(self) -> Records:
        self._task = asyncio.create_task(self._run(), name="records")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._ending = True  # Redis's client may swallow a cancellation in the middle of a command: then the round is the last one
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    def observe(self, principal: Principal, session: Session) -> Recorder:
        """The observer of a live session that begins, or begins again, in this process."""
        return Recorder(_key(principal.owner, session.id), session, self._max_segments, self._now, self._heard)

    async def finished(self, owner: str, session_id: str, kind: str, result: Mapping[str, Any]) -> None:
        """Stores the record of a judged file: what `Result.content()` says of it, the file's `sha256`, and `metadata` of the caller, if any.

        `session_id` may be the caller's own; an earlier session of the same id stands in the list `earlier`.
        """
        if not self._ttl_s:
            return
        now, key = self._now(), _key(owner, session_id)
        segments = await asyncio.to_thread(Segments, self._max_segments, result["segments"])  # an hour's takes 50 ms
        content = {name: value for name, value in result.items() if name not in ("segments", "sha256")}
        summary: Summary = {
            **content, "session_id": session_id, "kind": kind, "state": "finished", "writer": "", "started_at": now, "updated_at": now,
            "ended_at": now, "channels": [{**row, "state": None} for row in result["channels"]], "segments_total": segments.total,
            "segments_kept": segments.kept, "alerts": [], "error": None, "audio": {"sha256": result["sha256"]}, "earlier": [],
        }  # fmt: skip
        try:
            if found := await self._summary(key):
                summary["earlier"] = earlier_of(found)
            await self._put(key, summary, segments.packed(0))
        except VoxproofError as exc:
            self._failed(exc)

    async def get(self, owner: str, session_id: str) -> dict[str, Any] | None:
        """Raises StoreUnavailable when nothing can be said."""
        key = _key(owner, session_id)
        own = self._recorders.get(key)
        try:
            if own is not None and own.resumed and not own.adopted:
                await self._store(own)  # what was before is told as well
            found = await self._summary(key)
        except VoxproofError:
            if own is None:
                raise
            found = None
        if own is not None and (found is None or found["writer"] == own.writer or found["updated_at"] < own.updated_at):
            return self._told(own.summary(), own.segments())
        return None if found is None else self._told(found, await self._rows(key, found))

    async def flush(self) -> None:
        """Stores what has changed, and gives up what is over."""
        now = self._now()
        for recorder in self._recorders.values():
            if recorder.running and now - recorder.updated_at > ALIVE_S:
                recorder.alive()
                self._changed[recorder] = None
        for recorder in list(self._changed):
            try:
                await self._store(recorder)
            except VoxproofError as exc:
                self._failed(exc)
                break
            self._failing = False
            await asyncio.sleep(0)  # a cache in memory never waits, and live streams would, for all of them
        ended = [recorder for recorder in self._changed if recorder.over]
        for recorder in ended[: max(0, len(ended) - MAX_WAITING)]:
            self._let_go(recorder)

    async def _run(self) -> None:
        while not self._ending:
            try:
                async with asyncio.timeout(self._every_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.flush()
            except Exception:  # a bug of ours; the next round may do better
                log.exception("session records could not be written")

    def _heard(self, recorder: Recorder) -> None:
        if not self._ttl_s:
            return
        if recorder not in self._stored or not recorder.running:
            if not self._failing:
                self._wake.set()  # the first and the last word at once; what is between waits for the next round
            self._recorders[recorder.key] = recorder
            self._stored.setdefault(recorder, (0.0, 0))
        self._changed[recorder] = None

    async def _store(self, recorder: Recorder) -> None:
        async with self._writing:
            key = recorder.key
            found = await self._summary(key)
            if found is not None and found["writer"] != recorder.writer:
                if recorder.adopted:  # another process has it now, or another session of this name
                    self._let_go(recorder)
                    return
                recorder.adopt(found, await self._rows(key, found) if recorder.resumed else [])
            elif not recorder.adopted:
                recorder.adopt(None, [])
            whole_at, first = self._stored.get(recorder, (0.0, 0))
            now = self._now()
            if not recorder.running or now - whole_at > self._ttl_s / 4:  # else the first chunks would end before the last
                whole_at, first = now, 0
            self._changed.pop(recorder, None)  # before the content is taken: what is said from here on is a change again
            over, summary, chunks = recorder.over, recorder.summary(), recorder.chunks(first)
            try:
                await self._put(key, summary, chunks)
            except VoxproofError:
                self._changed[recorder] = None
                raise
            if recorder in self._stored:
                self._stored[recorder] = (whole_at, summary["segments_kept"] // CHUNK)
            if over:
                self._let_go(recorder)

    def _let_go(self, recorder: Recorder) -> None:
        self._changed.pop(recorder, None)
        self._stored.pop(recorder, None)
        if self._recorders.get(recorder.key) is recorder:
            del self._recorders[recorder.key]

    async def _put(self, key: str, summary: Summary, chunks: Mapping[int, bytes]) -> None:
        for number, chunk in chunks.items():
            await self._cache.set(f"{key}:{number}", chunk, self._ttl_s)
        await self._cache.set(key, json.dumps(summary, separators=(",", ":"), allow_nan=False).encode(), self._ttl_s)

    async def _summary(self, key: str) -> Summary | None:
        data = await self._cache.get(key)
        summary: Summary | None = None if data is None else json.loads(data)
        return summary if summary is not None and summary["updated_at"] + self._ttl_s > self._now() else None

    async def _rows(self, key: str, summary: Summary) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for number in range(-(-summary["segments_kept"] // CHUNK)):
            chunk = await self._cache.get(f"{key}:{number}")
            rows += unpacked(chunk) if chunk else []
        return rows[: summary["segments_kept"]]

    def _told(self, summary: Summary, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """The record as it leaves: times as text, and a session whose server is gone called so."""
        content = {name: value for name, value in summary.items() if name not in ("writer", "segments_kept", "segments_total")}
        if content["state"] == "running" and self._now() - summary["updated_at"] > LOST_S:
            content["state"] = "lost"
        for name in ("started_at", "updated_at", "ended_at"):
            content[name] = iso(content[name])
        content["earlier"] = [{**row, "started_at": iso(row["started_at"]), "ended_at": iso(row["ended_at"])} for row in summary["earlier"]]
        total = summary["segments_total"]
        content |= {"expires_at": iso(summary["updated_at"] + self._ttl_s), "segments_total": total, "segments_left_out": total - len(rows)}
        return {**content, "segments": rows}

    def _failed(self, exc: VoxproofError) -> None:
        if not self._failing:  # once, not for every record
            log.warning("session records cannot be written: %s", exc.message)
        self._failing = True


def iso(at: float | None) -> str | None:
    """A time as RFC 3339 in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _key(owner: str, session_id: str) -> str:
    """Hashed as a pair: no owner's name and id can be put together to another's."""
    return "record:" + hashlib.sha256(json.dumps([owner, session_id]).encode()).hexdigest()
