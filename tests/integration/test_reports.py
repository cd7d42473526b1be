"""Filing reports over two servers: once whatever happens, with the evidence of their owner only, and what strangers see: nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests

from app.service.reports import Reports
from app.store.db import Database
from tests.audio import sound_file
from tests.integration.pair import SAR, WAV, Pair
from tests.integration.server import Server
from tests.integration.servers_of_others import PostgresServer
from tests.toy import voice
from tests.unit.test_reports import BANK, DAY_S, FILING, Place, sound

LATER = sound_file(voice(2.0, "bonafide"))


def test_the_older_client_files_a_report(pair: Pair) -> None:
    session = requests.Session()
    session.trust_env = False
    body = {"session_id": "session-123", "decision": "review", "reason": "Suspicious activity detected", "metadata": None}
    for _ in range(2):
        answer = session.post(pair.one.http + SAR, json=body, headers={"Authorization": f"Bearer {pair.keys['reports']}"}, timeout=30)
        answer.raise_for_status()
        assert list(answer.json()) == ["status", "case_id", "session_id"] and answer.json()["session_id"] == "session-123"


async def test_fifty_at_once_at_two_servers_are_one_case(pair: Pair) -> None:
    async with httpx2.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {pair.keys['reports']}"}) as http:
        body = {"session_id": "call-fifty", "decision": "deny", "reason": "many", "metadata": {"n": 1}}
        answers = await asyncio.gather(*(http.post((pair.one, pair.two)[n % 2].http + SAR, json=body) for n in range(50)))
    assert len({answer.text for answer in answers}) == 1
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert len(pair.ask("GET", SAR + "?session_id=call-fifty").json()["cases"]) == 1


async def test_one_key_at_two_servers_serves_one_report(pair: Pair) -> None:
    headers = {"Authorization": f"Bearer {pair.keys['reports']}", "Idempotency-Key": "k-1"}
    async with httpx2.AsyncClient(timeout=60, headers=headers) as http:
        bodies = [{"session_id": "call-key", "decision": "deny", "reason": f"{n}"} for n in range(20)]
        answers = await asyncio.gather(*(http.post((pair.one, pair.two)[n % 2].http + SAR, json=body) for n, body in enumerate(bodies)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json().get("code") for answer in answers} == {None, "idempotency_conflict"}
    assert len(pair.ask("GET", SAR + "?session_id=call-key", server=pair.two).json()["cases"]) == 1


def test_the_evidence_is_the_owners_record_wherever_it_was_made(pair: Pair, either: Server) -> None:
    judged = pair.detect(pair.one)
    filed = pair.file(judged["session_id"], server=either, decision="deny")
    assert filed.status_code == 201 and filed.headers["location"] == f"{SAR}/{filed.json()['case_id']}"
    case = pair.ask("GET", filed.headers["location"], server=pair.one).json()
    assert (
        case["evidence"]["session"] == "known"
        and case["evidence"]["record"] == pair.ask("GET", f"/v1/sessions/{judged['session_id']}", "detect").json()
    )
    assert case["evidence"]["record"]["audio"]["sha256"] == judged["sha256"] and case["audio"] is None


def test_the_older_clients_whole_way_ends_in_a_case_with_evidence(pair: Pair) -> None:
    session = requests.Session()
    session.trust_env = False
    metadata = json.dumps({"session_id": "my-session", "channel": "ivr"})
    for clip in (WAV, LATER):  # a long call comes in pieces, under one name
        heard = session.post(
            pair.one.http + "/v1/voice/deepfake", files={"audio": ("a.wav", clip, "audio/wav")}, data={"metadata": metadata},
            headers={"Authorization": f"Bearer {pair.keys['detect']}"}, timeout=30,
        ).json()  # fmt: skip
        assert heard["session_id"] == "my-session"
    filed = pair.file(heard["session_id"], decision=heard["recommended_action"], server=pair.two).json()
    record = pair.ask("GET", f"{SAR}/{filed['case_id']}").json()["evidence"]["record"]
    assert record["score"] == heard["score"] and record["metadata"]["channel"] == "ivr"
    assert record["audio"]["sha256"] == hashlib.sha256(LATER).hexdigest()
    assert [each["sha256"] for each in record["earlier"]] == [hashlib.sha256(WAV).hexdigest()]


async def test_on_postgresql_too_a_case_goes_with_its_time(tmp_path: Path, postgres_server: PostgresServer) -> None:
    here = Place(tmp_path)
    here.database = Database(postgres_server.url(), tmp_path)
    here.reports = Reports(here.database, here.blobs, here.records, here.settings, here.clock)
    try:
        case, _ = await here.reports.file(BANK, FILING, sound(), "key")
        assert (await here.reports.file(BANK, FILING, sound(), "key"))[0].id == case.id
        here.clock.now += 1827 * DAY_S
        again, new = await here.reports.file(BANK, FILING, sound(), "key")
        assert new and again.id != case.id and [each.id for each in await here.every()] == [again.id]
        assert await here.reports.sweep() == 1 and [blob.key for blob in await here.blobs.list()] == [f"cases/{again.id}"]
        assert {event["action"] for event in await here.reports.events(again)} == {"filed", "exported"}
    finally:
        await here.database.close()


def test_somebody_elses_session_looks_like_none(pair: Pair) -> None:
    judged = pair.detect()
    foreign, nobodys = pair.file(judged["session_id"], "rival"), pair.file("0" * len(judged["session_id"]), "rival")
    assert foreign.status_code == nobodys.status_code == 201 and list(foreign.json()) == list(nobodys.json())
    for answer in (foreign, nobodys):
        case = pair.ask("GET", f"{SAR}/{answer.json()['case_id']}", "rival").json()
        assert case["evidence"]["session"] == "unknown" and case["evidence"]["record"] is None
    assert judged["sha256"] not in json.dumps(pair.ask("GET", f"{SAR}/{foreign.json()['case_id']}", "rival").json())


async def test_recordings_of_reports_are_taken_so_many_at_once(toy: Path, tmp_path: Path) -> None:
    """Each may be 50 MB; and the gauge of uploads does not tell of them."""
    with Server(tmp_path, toy, max_uploads=1, metrics_public=True) as server:
        key = await asyncio.to_thread(server.make_key, "reports")
        async with httpx2.AsyncClient(timeout=30, base_url=server.http, headers={"Authorization": f"Bearer {key}"}) as http:
            begun, sent = asyncio.Event(), asyncio.Event()

            async def slowly() -> AsyncIterator[bytes]:
                yield form[:200]
                begun.set()
                await sent.wait()
                yield form[200:]

            fields = {"session_id": "s", "decision": "review", "reason": "slow"}
            whole = http.build_request("POST", SAR, data=fields, files={"audio": ("a.wav", LATER)})
            form = await whole.aread()
            slow = asyncio.create_task(http.post(SAR, content=slowly(), headers={"Content-Type": whole.headers["content-type"]}))
            await begun.wait()
            async with asyncio.timeout(10):
                while (answer := await http.post(SAR, data=fields, files={"audio": ("a.wav", LATER)})).status_code != 503:
                    pass
            assert answer.json()["code"] == "server_full" and "retry-after" in answer.headers
            assert "voxproof_uploads_open 0.0" in (await http.get("/metrics")).text
            assert (await http.post(SAR, json=fields)).status_code == 201
            sent.set()
            assert (await slow).status_code == 201


def test_a_recording_comes_back_as_it_was(pair: Pair) -> None:
    data = {"session_id": "call-audio", "decision": "deny", "reason": "heard", "metadata": '{"channel": "ivr"}'}
    filed = pair.ask("POST", SAR, data=data, files={"audio": ("../../etc/passwd", WAV, "text/html")})
    assert filed.status_code == 201, filed.text
    case_id = filed.json()["case_id"]
    got = pair.ask("GET", f"{SAR}/{case_id}/audio", server=pair.two)
    assert got.content == WAV and got.headers["content-type"] == "application/octet-stream" and "attachment" in got.headers["content-disposition"]
    case = pair.ask("GET", f"{SAR}/{case_id}").json()
    assert case["audio"] == {"sha256": hashlib.sha256(WAV).hexdigest(), "bytes": len(WAV)} and case["metadata"] == {"channel": "ivr"}
    assert pair.ask("GET", f"{SAR}/{case_id}/audio", "rival").json()["code"] == "not_found"
    without = pair.file("call-mute").json()["case_id"]
    assert pair.ask("GET", f"{SAR}/{without}/audio").json()["code"] == "not_found"


JSON = {"content-type": "application/json"}
GOOD = {"session_id": "a", "decision": "deny", "reason": "r"}
DEEP = b'{"session_id":"a","decision":"deny","reason":"r","metadata":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001
BAD: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "no decision": ({"json": {"session_id": "a", "reason": "r"}}, 422, "bad_field", "decision"),
    "bad decision": ({"json": {"session_id": "a", "decision": "maybe", "reason": "r"}}, 422, "bad_field", "decision"),
    "empty reason": ({"json": {"session_id": "a", "decision": "deny", "reason": ""}}, 422, "bad_field", "reason"),
    "blank reason": ({"json": {"session_id": "a", "decision": "deny", "reason": " \n"}}, 422, "bad_field", "reason"),
    "long reason": ({"json": {"session_id": "a", "decision": "deny", "reason": "r" * 4001}}, 422, "bad_field", "reason"),
    "odd session": ({"json": {"session_id": "a\nb", "decision": "deny", "reason": "r"}}, 422, "bad_field", "session_id"),
    "long session": ({"json": {"session_id": "a" * 129, "decision": "deny", "reason": "r"}}, 422, "bad_field", "session_id"),
    "unknown field": ({"json": {"session_id": "a", "decision": "deny", "reason": "r", "x": 1}}, 422, "bad_field", "x"),
    "metadata is no object": ({"json": {"session_id": "a", "decision": "deny", "reason": "r", "metadata": [1]}}, 422, "bad_field", "metadata"),
    "big metadata": ({"json": {"session_id": "a", "decision": "deny", "reason": "r", "metadata": {"a": "x" * 16_384}}}, 422, "bad_field", "metadata"),
    "big body": ({"content": b" " * 65_537, "headers": JSON}, 413, "upload_too_large", None),
    "deep": ({"content": DEEP[:60_000], "headers": JSON}, 400, "bad_json", None),
    "twice": ({"content": b'{"session_id":"a","session_id":"b","decision":"deny","reason":"r"}', "headers": JSON}, 400, "bad_json", None),
    "list": ({"json": []}, 400, "bad_message", None),
    "no json": ({"content": b"decision=deny", "headers": JSON}, 400, "bad_json", None),
    "wrong type": ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "wrong_content_type", None),
    "no type": ({"content": b"{}"}, 415, "wrong_content_type", None),
    "no boundary": ({"content": b"{}", "headers": {"content-type": "multipart/form-data"}}, 400, "bad_message", None),
    "form without fields": ({"files": {"audio": WAV}}, 422, "bad_field", "session_id"),
    "form with a file too many": ({"files": [("audio", WAV), ("audio", WAV)]}, 400, "bad_message", None),
    "form with no recording": ({"data": GOOD, "files": {"audio": b""}}, 422, "empty_audio", "audio"),
    "form with a web page": (
        {"data": GOOD, "files": {"audio": b"<html>" * 99}}, 415, "unsupported_audio", None,
    ),
    "form with bad metadata": ({"data": {**GOOD, "metadata": "{"}, "files": {"audio": WAV}}, 400, "bad_json", None),
    "empty key": ({"json": {}, "headers": {"Idempotency-Key": ""}}, 422, "bad_field", "Idempotency-Key"),
    "long key": ({"json": {}, "headers": {"Idempotency-Key": "k" * 256}}, 422, "bad_field", "Idempotency-Key"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_reports_are_refused_and_a_good_one_is_taken(pair: Pair, name: str) -> None:
    options, status, code, field = BAD[name]
    answer = pair.ask("POST", SAR, **options)
    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field), answer.text
    good = pair.file(f"after-{name.replace(' ', '-')}")
    assert good.status_code == 201


# --- confidence ----------------------------------------------------------------------------------------------


def test_nobody_without_the_scope_gets_past_the_door(pair: Pair) -> None:
    case_id = pair.file("call-door").json()["case_id"]
    for method, path in [
        ("POST", SAR),
        ("GET", SAR),
        ("GET", f"{SAR}/export"),
        *(("GET", f"{SAR}/{case_id}{end}") for end in ("", "/audio", "/export")),
    ]:
        for key, code in (("others", "scope_missing"), ("detect", "scope_missing"), ("", "unauthorized")):
            known = pair.ask(method, path, key)
            unknown = pair.ask(method, path.replace(case_id, "case_" + "0" * 24), key)
            assert known.json()["code"] == unknown.json()["code"] == code
            assert {**known.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    theirs, nobodys = pair.ask("GET", f"{SAR}/{case_id}", "rival"), pair.ask("GET", f"{SAR}/case_{'0' * 24}", "rival")
    assert theirs.status_code == 404 and {**theirs.json(), "request_id": ""} == {**nobodys.json(), "request_id": ""}
    assert {event["action"] for event in pair.ask("GET", f"{SAR}/{case_id}").json()["events"]} == {"filed", "read"}


def test_neither_metrics_nor_logs_nor_records_tell_of_a_report(pair: Pair) -> None:
    judged = pair.detect()
    before = pair.ask("GET", f"/v1/sessions/{judged['session_id']}", "detect").json()
    filed = pair.file(judged["session_id"], reason="nobody is to know")
    case_id = filed.json()["case_id"]
    pair.ask("GET", f"{SAR}/{case_id}")
    pair.ask("GET", f"{SAR}/{case_id}/export?format=csv")
    pair.file(judged["session_id"], decision="maybe")
    assert pair.ask("GET", f"/v1/sessions/{judged['session_id']}", "detect").json() == before
    assert not [line for line in pair.ask("GET", "/metrics", "").text.splitlines() if "report" in line and 'status="20' in line]
    text = "\n".join(pair.one.lines)
    for secret in (case_id, "nobody is to know", filed.headers["x-request-id"]):
        assert secret not in text
    pair.ask("GET", SAR, "others")
    assert f'"route": "{SAR}"' in "\n".join(pair.one.lines), "who was turned away is logged as anywhere"
