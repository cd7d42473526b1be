"""A phone call over a real server: the verdicts of a native stream of the same audio, whatever happens on the line, and refusals by close code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from tests.integration.material import assert_same, outcome_of_rows
from tests.integration.server import Server
from tests.integration.talk import Talk, stream, talk
from tests.phone import STREAM, Row, both, media_of, recorded, spoken, texts

KEY = "integration-test-key-0123456789"
BEARER = {"Authorization": f"Bearer {KEY}"}
TWILIO = "twilio-auth-token"
PHONE = {"encoding": "mulaw", "sample_rate": 8000, "channels": 2, "channel_labels": ["inbound", "outbound"]}
VOICES = spoken(6.0)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("twilio")
    with Server(folder, toy, data_dir=folder, api_key=KEY, handshake_timeout_seconds=1, max_bad_messages=5) as running:
        yield running
        assert not running.traces(), "\n".join(running.lines[-40:])


@pytest.fixture(scope="module")
def token(keyed: Server) -> str:
    """As a customer's TwiML would carry: for one call, opening only."""
    answer = httpx2.post(keyed.http + "/v1/tokens", headers=BEARER, json={})
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["token"])


@pytest.fixture
async def wanted(keyed: Server) -> Row:
    """What a native client with the same two channels gets."""
    data = both(VOICES)
    url = f"{keyed.ws()}?token={httpx2.post(keyed.http + '/v1/tokens', headers=BEARER, json={}).json()['token']}"
    return outcome_of_rows(await stream(url, [data[at : at + 4000] for at in range(0, len(data), 4000)], PHONE))


async def called(server: Server, rows: list[Row], headers: Row | None = None) -> tuple[Talk, int]:
    async with talk(server.ws("/v1/twilio"), additional_headers=headers) as it:
        with suppress(ConnectionClosed):  # a refusal need not wait for all we would say
            await it.send(*texts(rows))
        return it, await it.rest()


async def test_a_call_gets_the_verdicts_of_a_native_stream(keyed: Server, token: str, wanted: Row) -> None:
    it, code = await called(keyed, recorded(VOICES, token=token, replies="true", session_id="call-1"))
    assert code == 1000 and it.rows[-1]["type"] == "done" and it.rows[0]["session_id"] == "call-1"
    assert it.rows[0]["audio"] == PHONE and [c["label"] for c in it.rows[-1]["channels"]] == ["inbound", "outbound"]
    assert_same(outcome_of_rows(it.rows), wanted)


async def test_twilio_is_told_nothing_and_the_verdict_is_fetched(keyed: Server, token: str, wanted: Row) -> None:
    it, code = await called(keyed, recorded(VOICES, token=token))
    assert (code, it.rows) == (1000, [])
    answer = httpx2.get(f"{keyed.http}/v1/sessions/{STREAM}", headers=BEARER)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["state"], found["verdict"], found["duration_ms"]) == ("finished", wanted["verdict"], 6000)
    assert [channel["label"] for channel in found["channels"]] == ["inbound", "outbound"]


async def test_wrong_order_and_duplicates_change_nothing_and_a_gap_is_told(keyed: Server, token: str, wanted: Row) -> None:
    rows = recorded(VOICES, token=token, replies="true", session_id="call-2")
    for at in range(10, 500, 7):
        rows[at], rows[at + 3] = rows[at + 3], rows[at]
    rows.insert(400, rows[399])
    it, code = await called(keyed, rows)
    assert code == 1000
    assert_same(outcome_of_rows(it.rows), wanted)
    gap = [row for row in media_of(rows, "inbound") if 100 < int(row["media"]["chunk"]) <= 150]
    it, code = await called(keyed, [row for row in rows if row not in gap])
    assert code == 1000 and it.rows[-1]["duration_ms"] == 6000
    lost = [(row["channel"], row["range_ms"]) for row in it.of("warning") if row["code"] == "dropped_audio"]
    assert lost == [(0, [2000, 3000])] and it.rows[-1]["dropped_ms"] == 1000


async def test_a_caller_who_hangs_up_without_stop_is_judged(keyed: Server, token: str) -> None:
    async with talk(keyed.ws("/v1/twilio")) as it:
        await it.send(*texts(recorded(VOICES, token=token, session_id="hung-up")[:-1]))
    await keyed.until(streams=0, parked=0)
    answer = httpx2.get(f"{keyed.http}/v1/sessions/hung-up", headers=BEARER)
    assert answer.status_code == 200 and '"duration_ms":6000' in answer.text.replace(" ", "")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"customParameters": {}}, 4401),
        ({"customParameters": {"token": "wrong"}}, 4401),
        ({"customParameters": {"token": "TOKEN", "profile": "best"}}, 4400),
        ({"mediaFormat": {"encoding": "audio/x-opus", "sampleRate": 48000, "channels": 1}}, 4415),
        ({"tracks": 7}, 4400),
    ],
)
async def test_what_cannot_be_served_is_closed_with_its_code(keyed: Server, token: str, change: Row, code: int) -> None:
    rows = recorded(VOICES, token=token)[:6]
    rows[1]["start"] |= json.loads(json.dumps(change).replace("TOKEN", token))
    it, closed = await called(keyed, rows)
    assert (closed, it.rows) == (code, [])


async def test_stop_and_media_before_start(keyed: Server) -> None:
    rows = recorded(VOICES)
    assert (await called(keyed, [rows[0], rows[-1]]))[1] == 1000
    assert (await called(keyed, [rows[0], *rows[2:20]]))[1] == 1007
    assert (await called(keyed, [rows[0], *rows[2:5]]))[1] == 4408


async def test_mistakes_on_the_line_are_counted_like_everybodys(keyed: Server, token: str) -> None:
    rows: list[Row] = recorded(VOICES, token=token, replies="true")
    bad = {"event": "media", "media": {"track": "inbound", "payload": "%"}}
    it, code = await called(keyed, [*rows[:100], *[bad] * 4, *rows[100:]])
    assert code == 1000 and it.codes() == ["bad_base64"] * 4
    it, code = await called(keyed, [*rows[:100], *[bad] * 5])
    assert code == 1007 and it.codes()[-1] == "too_many_errors"


async def test_signatures(tmp_path: Path, toy: Path) -> None:
    with Server(tmp_path, toy, data_dir=tmp_path, twilio_auth_token=TWILIO) as server:
        url = server.ws("/v1/twilio")
        for signed, code in ((url, 1000), (url + "/", 1000), (url.replace("ws:", "wss:"), 1000), (server.ws("/v1/stream"), 4401), (None, 4401)):
            made = base64.b64encode(hmac.new(TWILIO.encode(), (signed or "").encode(), hashlib.sha1).digest()).decode()
            headers = {"X-Twilio-Signature": made} if signed else {}
            _, closed = await called(server, recorded({"inbound": VOICES["inbound"][:16_000]}), headers)
            assert closed == code, signed
        assert not server.traces() and not any(TWILIO in line for line in server.lines)
