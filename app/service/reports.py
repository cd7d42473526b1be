"""Suspicious-activity reports: filed once, kept with what is known of their session for as long as the law wants, then removed. Confidential:
only the routes of the scope `reports` call this, nothing here is logged or counted, and who looks at a case is written down in the case.

    case = await reports.file(principal, Filing(...), sound, idempotency_key)       the same again gives the same case
    cases, cursor = await reports.page(principal, Filter(...), cursor, most)        await reports.open(principal, case_id, "read")

A case belongs to the owner whose key filed it, and so does its evidence: a session of somebody else is `unknown`, like one that never was.
A report is never refused because its evidence cannot be had. Cases cannot be changed, and are not removed before their time.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import logging
import re
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from types import TracebackType
from typing import Any, Literal, NamedTuple

from app.core.errors import BadField, NotFound, StoreUnavailable, VoxproofError
from app.service.access import Principal
from app.service.limits import Gate
from app.service.records import Records, iso
from app.service.sniff import sniff
from app.settings import Settings
from app.store.blobs import Blobs
from app.store.case_filter import Filter
from app.store.db import Database

Decision = Literal["allow", "deny", "review"]
Action = Literal["read", "exported", "audio"]
BATCH = 50  # cases read, or removed, at once: each may hold a megabyte of evidence
CASE_ID = re.compile(r"case_[0-9a-f]{24}", re.ASCII)
MAX_EVENTS = 1000  # of one case, told at once
FIRST_SWEEP_S = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Filing:
    session_id: str
    decision: Decision
    reason: str
    metadata: Mapping[str, Any]


class Sound(NamedTuple):
    """A recording that comes with a report."""

    data: bytes
    sha256: str


@dataclass(frozen=True)
class Case:
    id: str
    session_id: str
    decision: Decision
    filed_by: str | None
    created_at: float
    expires_at: float
    audio: Mapping[str, Any] | None
    reason: str = ""
    metadata: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Case:
        """From a row of the table, whole or brief."""
        parts = {name: json.loads(row[name]) for name in ("metadata", "evidence") if name in row}
        return cls(
            row["id"], row["session_id"], row["decision"], row["key_id"], row["created_at"], row["expires_at"],
            json.loads(row["audio"]) if row["audio"] else None, row.get("reason", ""), **parts,
        )  # fmt: skip


class Reports:
    def __init__(self, database: Database, blobs: Blobs, records: Records, settings: Settings, now: Callable[[], float] = time.time) -> None:
        self._database, self._blobs, self._records, self._now = database, blobs, records, now
        self._keep_s, self._sweep_s = settings.report_retention_days * 86_400, settings.report_sweep_seconds
        # Not the gate of other uploads, whose gauge would tell of reports.
        self.recordings = Gate("reports with a recording", settings.max_uploads, settings.retry_after_ms)

    async def __aenter__(self) -> Reports:
        self._task = asyncio.create_task(self._run(), name="reports")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def file(self, principal: Principal, filing: Filing, sound: Sound | None = None, idempotency_key: str | None = None) -> tuple[Case, bool]:
        """The case, and whether it is new. Raises IdempotencyConflict, StoreUnavailable, UnsupportedAudio."""
        from app.store import cases

        if sound is not None:
            await asyncio.to_thread(sniff, io.BytesIO(sound.data))  # a recording, not any file
        now, case_id = self._now(), f"case_{secrets.token_hex(12)}"
        metadata = _packed(filing.metadata)
        content = [principal.owner, filing.session_id, filing.decision, filing.reason, metadata, sound.sha256 if sound else None]
        row = {
            "id": case_id, "owner": principal.owner, "key_id": principal.key_id, "session_id": filing.session_id, "decision": filing.decision,
            "reason": filing.reason, "metadata": metadata, "evidence": _packed(await self._evidence(principal.owner, filing.session_id)),
            "audio": _packed({"sha256": sound.sha256, "bytes": len(sound.data)}) if sound else None, "fingerprint": _hash(content),
            "created_at": now, "expires_at": now + self._keep_s,
        }  # fmt: skip
        key_hash = None if idempotency_key is None else _hash([principal.owner, idempotency_key])
        found = await cases.file(self._database, row, self._event(principal, case_id, "filed"), key_hash)
        if sound is not None:
            # After the row, so that nothing lies about which no row knows; and each time, so that a try again mends what broke in between.
            await self._blobs.put(_place(found["id"]), sound.data)
        return Case.of(dict(found)), found["id"] == case_id

    async def page(self, principal: Principal, wanted: Filter, cursor: str | None, most: int) -> tuple[list[Case], str | None]:
        """Cases without their texts and evidence, newest first, and the cursor of the next page. Raises BadField for a cursor of nobody's."""
        after = None if cursor is None else _after(cursor)
        rows = await self._page(principal, wanted, after, most + 1, whole=False)
        return rows[:most], _cursor(rows[most - 1]) if len(rows) > most else None

    async def open(self, principal: Principal, case_id: str, action: Action, detail: str = "") -> Case:
        """One case, whole; that it was looked at is written down first. Raises NotFound."""
        from app.store import cases

        asked = self._database.exists() and CASE_ID.fullmatch(case_id)
        row = await cases.get(self._database, principal.owner, case_id, self._now()) if asked else None
        if row is None:
            raise NotFound("There is no case of this id.")
        await cases.note(self._database, [self._event(principal, case_id, action, detail)])
        return Case.of(dict(row))

    async def events(self, case: Case) -> list[dict[str, Any]]:
        """Who filed, read or exported it, oldest first."""
        from app.store import cases

        return [
            {"at": iso(row["at"]), **{name: row[name] for name in ("action", "key_id", "address", "detail")}}
            for row in await cases.events(self._database, case.id, MAX_EVENTS)
        ]

    async def every(self, principal: Principal, wanted: Filter, detail: str) -> AsyncIterator[Case]:
        """All cases that are meant, whole, a few at a time; each counts as exported."""
        from app.store import cases

        after: tuple[float, str] | None = None
        while rows := await self._page(principal, wanted, after, BATCH, whole=True):
            await cases.note(self._database, [self._event(principal, case.id, "exported", detail) for case in rows])
            for case in rows:
                yield case
            after = (rows[-1].created_at, rows[-1].id)

    async def sound(self, principal: Principal, case_id: str) -> bytes:
        """The recording that came with a case. Raises NotFound."""
        case = await self.open(principal, case_id, "audio")
        data = await self._blobs.get(_place(case.id)) if case.audio else None
        if data is None:
            raise NotFound("There is no audio with this case.")
        return data

    async def sweep(self) -> int:
        """Removes cases whose time is over, with their audio; how many."""
        from app.store import cases

        gone = 0
        while self._database.exists() and (rows := await cases.ended(self._database, self._now(), BATCH)):
            for row in rows:
                if row["audio"]:
                    await self._blobs.delete(_place(row["id"]))
            await cases.remove(self._database, [row["id"] for row in rows])
            gone += len(rows)
        return gone

    async def _run(self) -> None:
        await asyncio.sleep(min(FIRST_SWEEP_S, self._sweep_s))
        while True:
            try:
                await self.sweep()
            except VoxproofError as exc:
                log.warning("what is over could not be removed: %s", exc.message)
            except Exception:
                log.exception("what is over could not be removed")
            await asyncio.sleep(self._sweep_s)

    async def _page(self, principal: Principal, wanted: Filter, after: tuple[float, str] | None, most: int, *, whole: bool) -> list[Case]:
        from app.store import cases

        if not self._database.exists():  # nothing was ever filed, and asking makes no file
            return []
        rows = await cases.page(self._database, principal.owner, self._now(), wanted, after, most, whole=whole)
        return await asyncio.to_thread(lambda: [Case.of(dict(row)) for row in rows])  # fifty of them are half a second of reading JSON

    async def _evidence(self, owner: str, session_id: str) -> dict[str, Any]:
        """What is known of the session now. It may have been told to the same owner only."""
        taken_at = iso(self._now())
        try:
            record = await self._records.get(owner, session_id)
        except StoreUnavailable:
            return {"session": "unavailable", "taken_at": taken_at, "record": None}
        return {"session": "unknown" if record is None else "known", "taken_at": taken_at, "record": record}

    def _event(self, principal: Principal, case_id: str, action: str, detail: str = "") -> dict[str, Any]:
        return {
            "id": secrets.token_hex(16), "case_id": case_id, "at": self._now(), "action": action, "key_id": principal.key_id,
            "address": principal.address[:64], "detail": detail[:64],
        }  # fmt: skip


def _packed(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _hash(content: list[Any]) -> str:
    return hashlib.sha256(_packed(content).encode()).hexdigest()


def _place(case_id: str) -> str:
    return f"cases/{case_id}"


def _cursor(case: Case) -> str:
    return urlsafe_b64encode(json.dumps([case.created_at, case.id]).encode()).decode().rstrip("=")


def _after(cursor: str) -> tuple[float, str]:
    try:
        at, case_id = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if isinstance(at, int | float) and isfinite(at) and CASE_ID.fullmatch(case_id):
            return float(at), str(case_id)
    except (ValueError, TypeError, OverflowError, RecursionError):
        pass
    raise BadField("cursor: take it from the page before.", field="cursor")
