"""Suspicious-activity reports: filed once however often and by however many, never with somebody else's evidence, gone when their time is over;
and what comes out as a file can be read back and harms nobody.

The database is SQLite, the objects are in memory, the clock is injected. `tests/integration/test_reports.py` has PostgreSQL and processes.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import BadField, IdempotencyConflict, NotFound, StoreUnavailable, UnsupportedAudio
from app.service import report_sheet
from app.service.access import Principal
from app.service.records import Records
from app.service.reports import Case, Filing, Reports, Sound
from app.settings import Settings
from app.store import cases
from app.store.blobs import Blobs
from app.store.cache import MemoryCache
from app.store.case_filter import Filter
from app.store.db import Database
from tests.audio import tone, wav
from tests.unit.test_records import WAV_RESULT, Clock

DAY_S = 86_400.0
FILING = Filing("call-7", "review", "It sounded odd.", {"channel": "ivr"})
BANK, RIVAL = Principal(owner="bank", key_id="k1", address="10.0.0.7"), Principal(owner="rival", key_id="k2", address="10.0.0.8")
ALL = Filter()


class Place:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.settings = Settings(_env_file=None, data_dir=folder)  # type: ignore[call-arg]
        self.database, self.blobs = Database(None, folder), Blobs("memory:", folder)
        self.records = Records(MemoryCache(), self.settings, self.clock)
        self.reports = Reports(self.database, self.blobs, self.records, self.settings, self.clock)

    async def every(self, principal: Principal = BANK, wanted: Filter = ALL) -> list[Case]:
        return [case async for case in self.reports.every(principal, wanted, "jsonl")]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path / "data")
    yield place
    await place.database.close()


def sound(seconds: float = 0.1) -> Sound:
    data = wav(tone(seconds))
    return Sound(data, f"{len(data):064x}")


async def test_the_same_report_is_the_same_case_for_fifty_at_once(here: Place) -> None:
    filed = await asyncio.gather(*(here.reports.file(BANK, FILING, None, "once" if n % 2 else None) for n in range(50)))
    assert len({case.id for case, _ in filed}) == 1 and [new for _, new in filed].count(True) == 1
    (case,) = await here.every()
    assert [event["action"] for event in await here.reports.events(case)].count("filed again") == 49


@pytest.mark.parametrize(
    "other",
    [
        replace(FILING, session_id="call-8"), replace(FILING, decision="deny"), replace(FILING, reason="It sounded  odd."),
        replace(FILING, metadata={"channel": "ivr", "n": 1}), replace(FILING, metadata={}),
    ],
)  # fmt: skip
async def test_another_report_is_another_case_and_no_key_serves_both(here: Place, other: Filing) -> None:
    first, _ = await here.reports.file(BANK, FILING, None, "key")
    with pytest.raises(IdempotencyConflict):
        await here.reports.file(BANK, other, None, "key")
    second, new = await here.reports.file(BANK, other)
    assert new and second.id != first.id
    assert (await here.reports.file(BANK, FILING, None, "another key"))[0].id == first.id
    with pytest.raises(IdempotencyConflict):
        await here.reports.file(BANK, other, None, "another key")
    assert (await here.reports.file(RIVAL, other, None, "key"))[1], "keys are each owner's own"
    assert len(await here.every()) == 2


async def test_many_reports_under_one_key_at_once_leave_one_case(here: Place) -> None:
    filings = [replace(FILING, reason=f"reason {n}") for n in range(20)]
    ends = await asyncio.gather(*(here.reports.file(BANK, filing, None, "key") for filing in filings), return_exceptions=True)
    assert sum(isinstance(end, IdempotencyConflict) for end in ends) == 19
    assert len(await here.every()) == 1, "a conflict leaves nothing behind"


async def test_the_order_of_metadata_makes_no_difference(here: Place) -> None:
    first, _ = await here.reports.file(BANK, replace(FILING, metadata={"a": 1, "b": {"c": 2, "d": 3}}))
    again, new = await here.reports.file(BANK, replace(FILING, metadata={"b": {"d": 3, "c": 2}, "a": 1}))
    assert again.id == first.id and not new


async def test_evidence_is_what_the_owner_could_see_when_it_was_filed(here: Place) -> None:
    await here.records.finished("bank", "call-7", "file", WAV_RESULT)
    case, _ = await here.reports.file(BANK, FILING)
    seen = await here.records.get("bank", "call-7")
    await here.records.finished("bank", "call-7", "file", {**WAV_RESULT, "verdict": "bonafide"})
    found = await here.reports.open(BANK, case.id, "read")
    assert found.evidence is not None and found.evidence["session"] == "known" and found.evidence["record"] == seen
    assert found.evidence["record"]["audio"]["sha256"] == WAV_RESULT["sha256"]


async def test_somebody_elses_session_is_as_unknown_as_none(here: Place) -> None:
    await here.records.finished("bank", "call-7", "file", WAV_RESULT)
    foreign, _ = await here.reports.file(RIVAL, FILING)
    nobodys, _ = await here.reports.file(RIVAL, replace(FILING, session_id="call-9"))
    assert foreign.evidence == nobodys.evidence == {"session": "unknown", "taken_at": "2027-01-15T08:00:00.000Z", "record": None}


async def test_nobody_reads_another_owners_case(here: Place) -> None:
    case, _ = await here.reports.file(BANK, FILING, sound())
    for case_id in (case.id, "case_" + "0" * 24, "", "x\0y", "' OR 1=1 --"):
        for act in (here.reports.open(RIVAL, case_id, "read"), here.reports.sound(RIVAL, case_id)):
            with pytest.raises(NotFound, match="no case of this id"):
                await act
    assert await here.reports.page(RIVAL, ALL, None, 10) == ([], None) and await here.every(RIVAL) == []
    assert [event["action"] for event in await here.reports.events(case)] == ["filed"], "nor leaves a trace in it"


async def test_who_had_it_in_hand_is_kept(here: Place) -> None:
    case, _ = await here.reports.file(BANK, FILING, sound())
    for act in ("read", "exported"):
        here.clock.now += 60
        await here.reports.open(replace(BANK, key_id="k9"), case.id, act, "csv" if act == "exported" else "")  # type: ignore[arg-type]
    here.clock.now += 60
    await here.reports.sound(BANK, case.id)
    here.clock.now += 60
    await here.every()
    assert [(row["action"], row["key_id"], row["detail"], row["address"]) for row in await here.reports.events(case)] == [
        ("filed", "k1", "", "10.0.0.7"), ("read", "k9", "", "10.0.0.7"), ("exported", "k9", "csv", "10.0.0.7"),
        ("audio", "k1", "", "10.0.0.7"), ("exported", "k1", "jsonl", "10.0.0.7"),
    ]  # fmt: skip
    assert (await here.reports.events(case))[1]["at"] == "2027-01-15T08:01:00.000Z"


async def test_a_recording_is_kept_with_the_case_and_mended_by_a_second_try(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = sound()

    async def down(key: str, data: bytes) -> None:
        raise StoreUnavailable()

    with monkeypatch.context() as patch:
        patch.setattr(here.blobs, "put", down)
        with pytest.raises(StoreUnavailable):
            await here.reports.file(BANK, FILING, clip)
    (case,) = await here.every()
    with pytest.raises(NotFound, match="no audio"):
        await here.reports.sound(BANK, case.id)
    again, new = await here.reports.file(BANK, FILING, clip)
    assert again.id == case.id and not new and await here.reports.sound(BANK, case.id) == clip.data
    assert case.audio == {"sha256": clip.sha256, "bytes": len(clip.data)}
    assert (await here.reports.file(BANK, FILING))[1], "without the recording it is another report"
    with pytest.raises(UnsupportedAudio):
        await here.reports.file(BANK, FILING, Sound(b"<html>" * 100, "0" * 64))


async def test_a_report_is_taken_when_its_evidence_cannot_be_had(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(owner: str, session_id: str) -> dict[str, Any]:
        raise StoreUnavailable()

    monkeypatch.setattr(here.records, "get", down)
    case, new = await here.reports.file(BANK, FILING)
    assert new and case.evidence is not None and case.evidence["session"] == "unavailable"


async def test_a_case_is_gone_when_its_time_is_over_and_its_audio_too(here: Place) -> None:
    case, _ = await here.reports.file(BANK, FILING, sound(), "key")
    here.clock.now += 1827 * DAY_S - 1
    late, _ = await here.reports.file(BANK, replace(FILING, session_id="later"))
    assert await here.reports.sweep() == 0 and len(await here.every()) == 2
    here.clock.now += 1
    assert [each.id for each in await here.every()] == [late.id], "over, though not swept yet"
    with pytest.raises(NotFound):
        await here.reports.open(BANK, case.id, "read")
    again, new = await here.reports.file(BANK, FILING, sound(), "key")
    assert new and again.id != case.id, "the same report anew"
    assert await here.reports.sweep() == 1 and await here.reports.sweep() == 0
    assert [blob.key for blob in await here.blobs.list()] == [f"cases/{again.id}"]
    assert await cases.events(here.database, case.id, 10) == []
    assert {each.id for each in await here.every()} == {late.id, again.id}


async def test_a_store_of_objects_that_fails_leaves_the_case_to_the_next_sweep(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await here.reports.file(BANK, FILING, sound())
    here.clock.now += 1828 * DAY_S

    async def down(key: str) -> None:
        raise StoreUnavailable()

    with monkeypatch.context() as patch:
        patch.setattr(here.blobs, "delete", down)
        with pytest.raises(StoreUnavailable):
            await here.reports.sweep()
    assert await here.reports.sweep() == 1 and await here.blobs.list() == []


async def test_nothing_is_made_on_disk_before_the_first_report(here: Place) -> None:
    assert await here.every() == [] and await here.reports.page(BANK, ALL, None, 5) == ([], None) and await here.reports.sweep() == 0
    with pytest.raises(NotFound):
        await here.reports.open(BANK, "case_" + "0" * 24, "read")
    assert not here.settings.data_dir.exists()


async def test_pages_hold_every_case_once_newest_first(here: Place) -> None:
    ids = []
    for n in range(23):
        here.clock.now += n % 3  # some at the same moment
        filing = replace(FILING, session_id=f"s{n % 4}", decision="deny" if n % 2 else "allow", reason=str(n))
        ids.append((await here.reports.file(BANK, filing))[0])
    seen: list[Case] = []
    cursor: str | None = None
    while True:
        page, cursor = await here.reports.page(BANK, ALL, cursor, 5)
        seen += page
        if cursor is None:
            break
        assert len(page) == 5
    assert [case.id for case in seen] == [case.id for case in sorted(ids, key=lambda each: (each.created_at, each.id), reverse=True)]
    assert all(case.evidence is None and case.reason == "" for case in seen)
    middle = sorted({case.created_at for case in ids})[5]
    for wanted, matches in [
        (Filter(decision="deny"), lambda case: case.decision == "deny"),
        (Filter(session_id="s2"), lambda case: case.session_id == "s2"),
        (Filter(since=middle), lambda case: case.created_at >= middle),
        (Filter(until=middle), lambda case: case.created_at < middle),
        (Filter("allow", "s2", middle, middle + 9), lambda case: case.session_id == "s2" and middle <= case.created_at < middle + 9),
    ]:
        found = {case.id for case in await here.every(BANK, wanted)}
        assert found == {case.id for case in ids if matches(case)} and found


@pytest.mark.parametrize("cursor", ["", "x", "é", "W10", "W05hTiwgImNhc2VfIl0", "WzEsICJ4Il0", "bnVsbA", "W1tbW1tbW1tbW1tb" * 12])
async def test_a_cursor_of_nobodys_is_refused(here: Place, cursor: str) -> None:
    with pytest.raises(BadField) as caught:
        await here.reports.page(BANK, ALL, cursor, 5)
    assert caught.value.field == "cursor"


@given(st.text(max_size=40), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2))
def test_a_spreadsheet_runs_nothing_and_loses_nothing(reason: str, metadata: dict[str, str]) -> None:
    case = Case("case_0", "call-7", "deny", None, 0.0, 1.0, None, reason, metadata, {"session": "unknown", "record": None})
    text = (report_sheet.header() + report_sheet.line(case)).encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["reason"] in (reason, "'" + reason) and json.loads(row["metadata"]) == metadata
    assert not row["reason"].lstrip(" ").startswith(report_sheet.FORMULA)


@pytest.mark.parametrize("reason", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1", "\uff1d1"])
def test_formulas_have_an_apostrophe_in_front(reason: str) -> None:
    case = Case("case_0", "=cmd", "deny", None, 0.0, 1.0, None, reason, {}, {"session": "known", "record": {"llr": -3.25, "model": {"name": "@x"}}})
    (row,) = csv.DictReader(io.StringIO(report_sheet.header() + report_sheet.line(case), newline=""))
    assert (row["reason"], row["session_id"], row["model_name"]) == ("'" + reason, "'=cmd", "'@x")
    assert row["llr"] == "-3.25", "a number of ours stays one"
