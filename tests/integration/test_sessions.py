"""`GET /v1/sessions/{id}` over two servers: running and ended sessions, who is told, and where records are when there is no Redis, or nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from app.main import records_place
from app.service.access import Principal
from app.service.records import Records
from app.settings import Settings
from app.store.cache import MemoryCache
from app.store.db import Database
from app.store.record_rows import RecordRows
from tests.fake import open_session, score_all
from tests.integration.pair import SAR, SPOKEN, WAV, Pair
from tests.integration.server import Server
from tests.integration.talk import S16, talk
from tests.unit.test_records import WAV_RESULT, Clock, hear

PLACES = {"nothing": {}, "redis": {"redis_url": "redis://x"}, "database": {"database_url": "sqlite:///x"},
          "both": {"redis_url": "redis://x", "database_url": "sqlite:///x"}}  # fmt: skip


async def until_known(pair: Pair, session_id: str, server: Server, **wanted: Any) -> dict[str, Any]:
    """The record, once it says what is wanted: another process has to hear of it."""
    async with asyncio.timeout(15):
        while True:
            answer = await asyncio.to_thread(pair.ask, "GET", f"/v1/sessions/{session_id}", "stream", server)
            content = answer.json()
            if answer.status_code == 200 and all(content[name] == value for name, value in wanted.items()):
                return dict(content)
            await asyncio.sleep(0.05)


async def test_a_live_session_is_told_by_both_servers_while_it_runs_and_after(pair: Pair) -> None:
    headers = {"Authorization": f"Bearer {pair.keys['stream']}"}
    async with talk(pair.one.ws(), additional_headers=headers) as it:
        await it.send({"type": "start", "audio": S16, "session_id": "call-live"})
        await it.next("ready")
        await it.send(SPOKEN[:80_000])
        await it.next("segment")
        running = await until_known(pair, "call-live", pair.two, state="running", segments_total=4)
        assert running["duration_ms"] == 2500 and running["ended_at"] is None and running["segments"][0]["end_ms"] == 1000
        await it.send(SPOKEN[80_000:], {"type": "stop"})
        assert await it.rest() == 1000
    for server in (pair.one, pair.two):
        final = await until_known(pair, "call-live", server, state="finished")
        done = it.of("done")[0]
        assert {name: final[name] for name in ("verdict", "score", "llr", "duration_ms", "spoof_ranges")} == {
            name: done[name] for name in ("verdict", "score", "llr", "duration_ms", "spoof_ranges")
        }
        said = [{name: value for name, value in row.items() if name not in ("type", "latency_ms")} for row in it.of("segment")]
        assert final["segments"] == said
        assert final["audio"]["sha256"] == hashlib.sha256(SPOKEN).hexdigest()
        assert final["model"]["sha256"] == it.rows[0]["model"]["sha256"] and final["kind"] == "live"


async def test_a_session_whose_client_is_cut_off_is_broken_in_the_end(pair: Pair) -> None:
    async with talk(pair.one.ws(), additional_headers={"Authorization": f"Bearer {pair.keys['stream']}"}) as it:
        await it.send({"type": "start", "audio": S16, "session_id": "call-cut"}, SPOKEN[:40_000])
        await it.next("segment")
        it.abort()
    assert (await until_known(pair, "call-cut", pair.two, state="broken"))["segments_total"] >= 1


async def test_a_session_that_went_on_at_the_other_server_has_one_record(pair: Pair) -> None:
    headers = {"Authorization": f"Bearer {pair.keys['stream']}"}
    async with talk(pair.one.ws(), additional_headers=headers) as it:
        await it.send({"type": "start", "audio": S16, "session_id": "call-moved"})
        ready = await it.next("ready")
        await it.send(SPOKEN[:80_000])
        while it.of("segment")[-1:] == [] or it.of("segment")[-1]["end_ms"] < 2500:
            await it.next("segment")
        it.abort()
    resume = {"session_id": "call-moved", "resume_token": ready["resume_token"], "last_seq": it.rows[-1]["seq"]}
    async with talk(pair.two.ws(), additional_headers=headers) as on:
        await on.send({"type": "start", "audio": S16, "resume": resume})
        from_ms = (await on.next("ready"))["resume"]["continue_from_ms"]
        await on.send(SPOKEN[from_ms * 32 :], {"type": "stop"})
        assert await on.rest() == 1000
    for server in (pair.one, pair.two):
        found = await until_known(pair, "call-moved", server, state="finished")
        assert [row["index"] for row in found["segments"]] == list(range(7)) and found["segments_total"] == 7
        assert found["duration_ms"] == 4000 and found["verdict"] == on.of("done")[0]["verdict"]
        parts = found["audio"]["parts"]
        assert parts[0]["start_ms"] == 0 and parts[-1]["end_ms"] == 4000
        for part in parts:
            assert part["sha256"] == hashlib.sha256(SPOKEN[part["start_ms"] * 32 : part["end_ms"] * 32]).hexdigest()


def test_a_file_is_known_to_its_owner_only(pair: Pair, either: Server) -> None:
    judged = pair.detect()
    path = f"/v1/sessions/{judged['session_id']}"
    for key in ("detect", "stream", "others"):
        found = pair.ask("GET", path, key, either).json()
        assert found["audio"]["sha256"] == judged["sha256"] == hashlib.sha256(WAV).hexdigest() and found["segments"] == judged["segments"]
    foreign, nobodys = pair.ask("GET", path, "rival", either), pair.ask("GET", "/v1/sessions/nobodys", "rival", either)
    assert foreign.status_code == nobodys.status_code == 404 and foreign.json()["code"] == "unknown_session"
    assert {**foreign.json(), "request_id": ""} == {**nobodys.json(), "request_id": ""}
    assert pair.ask("GET", path, "reports", either).json()["code"] == "scope_missing"
    assert pair.ask("GET", path, "", either).status_code == 401


@pytest.fixture
def alone(tmp_path: Path, toy: Path) -> Iterator[Server]:
    with Server(tmp_path, toy, data_dir=tmp_path / "data") as running:
        yield running


def test_a_server_with_nothing_configured_keeps_records_in_memory_and_makes_a_file_with_the_first_report(alone: Server, tmp_path: Path) -> None:
    with httpx2.Client(base_url=alone.http, timeout=30) as http:
        judged = http.post("/v1/detect", content=WAV).json()
        assert http.get(f"/v1/sessions/{judged['session_id']}").json()["verdict"] == judged["verdict"]
        assert http.get(SAR).json() == {"cases": [], "next_cursor": None} and not (tmp_path / "data").exists()
        body = {"session_id": judged["session_id"], "decision": "deny", "reason": "r"}
        assert http.post(SAR, json=body).status_code == 201
        assert len(http.get(SAR).json()["cases"]) == 1
        assert [path.name for path in (tmp_path / "data").glob("*.db")] == ["voxproof.db"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_servers_that_share_a_database_and_no_redis_share_records(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path}/x.db" if kind == "sqlite" else request.getfixturevalue("postgres_server").url()
    settings, clock = Settings(_env_file=None, database_url=url, session_record_seconds=600), Clock()  # type: ignore[call-arg]
    databases = [Database(url, tmp_path), Database(url, tmp_path)]
    places = [records_place(settings, MemoryCache(), database) for database in databases]
    for place in places:
        assert isinstance(place, RecordRows)
        place._now = clock
    here, there = (Records(place, settings, clock) for place in places)
    try:
        recorder = here.observe(Principal(owner="bank"), session := open_session())
        session.receive_bytes(SPOKEN)
        hear(recorder, score_all(session))
        await here.flush()
        running = await there.get("bank", "s")
        assert running is not None and running["state"] == "running" and len(running["segments"]) == 7
        session.stop()
        hear(recorder, score_all(session))
        recorder.ended()
        await here.flush()
        await asyncio.gather(*(records.finished("bank", f"f{n}", "file", WAV_RESULT) for n, records in enumerate([here, there] * 10)))
        final = await there.get("bank", "s")
        assert final == await here.get("bank", "s") and final is not None and final["state"] == "finished"
        assert await there.get("bank", "f0") and await here.get("bank", "f19") and await there.get("rival", "f0") is None
        clock.now += 600
        assert await there.get("bank", "f0") is None
        await there.finished("bank", "late", "file", WAV_RESULT)
        async with databases[0].read() as connection:
            left = (await connection.execute(text("SELECT count(*) FROM session_records"))).scalar()
        assert left == 2, "who writes removes what is over"
    finally:
        for database in databases:
            await database.close()


def test_records_are_on_disk_only_if_somebody_named_a_database(tmp_path: Path) -> None:
    cache, database = MemoryCache(), Database(None, tmp_path)
    place = {name: records_place(Settings(_env_file=None, **given), cache, database) for name, given in PLACES.items()}  # type: ignore[arg-type]
    assert isinstance(place["nothing"], MemoryCache) and place["nothing"] is not cache
    assert place["redis"] is place["both"] is cache and isinstance(place["database"], RecordRows)
