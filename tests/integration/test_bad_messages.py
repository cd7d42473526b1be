"""Nonsense on a live stream: each bad message is answered with its code and costs nothing; what cannot go on ends with a reason and a code.

Around every abuse stands `unharmed`: a stream opened before it ends with the right verdict, and the next file is served.
"""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from app.status import STATUS
from tests.integration.conftest import Unharmed
from tests.integration.material import assert_same, changing, encoded, outcome_of_rows
from tests.integration.server import Server
from tests.integration.talk import S16, Row, Talk, frame, raw, started, stream, talk
from tests.toy import voice

PCM = encoded(changing(16000, 1), "pcm_s16le")
SECOND = 32_000
DEEP = "[" * 100_000

BAD = {
    "not JSON": ("{", "bad_json"),
    "half JSON": ('{"type":"keepalive"', "bad_json"),
    "two objects": ('{"type":"keepalive"}{"type":"keepalive"}', "bad_json"),
    "deep": (DEEP, "bad_json"),
    "a list": ("[1]", "bad_message"),
    "a string": ('"stop"', "bad_message"),
    "a number": ("1e999", "bad_message"),
    "null": ("null", "bad_message"),
    "no type": ('{"data":""}', "bad_message"),
    "type is a number": ('{"type":5}', "bad_message"),
    "type is null": ('{"type":null}', "bad_message"),
    "unknown type": ('{"type":"transmogrify"}', "unknown_type"),
    "a type with a surrogate": ('{"type":"\\ud800"}', "unknown_type"),
    "a server's type": ('{"type":"done"}', "unknown_type"),
    "audio without data": ('{"type":"audio"}', "bad_message"),
    "audio is a number": ('{"type":"audio","data":7}', "bad_message"),
    "base64 rubbish": ('{"type":"audio","data":"§§§§"}', "bad_base64"),
    "base64 with a stranger": ('{"type":"audio","data":"AAA*AAAA"}', "bad_base64"),
    "base64 cut off": ('{"type":"audio","data":"AAAAA"}', "bad_base64"),
    "padding inside": ('{"type":"audio","data":"AA==AAAA"}', "bad_base64"),
    "update without config": ('{"type":"update"}', "bad_message"),
    "update with a list": ('{"type":"update","config":[]}', "bad_message"),
    "finalize with an object": ('{"type":"finalize","id":{}}', "bad_message"),
    "a second start": (json.dumps({"type": "start", "audio": S16}), "out_of_order"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_message_is_answered_and_the_session_goes_on(server: Server, unharmed: Unharmed, name: str) -> None:
    text, code = BAD[name]
    async with unharmed(server):
        rows = await stream(server.ws(), [PCM[: 3 * SECOND], text, PCM[3 * SECOND :]])
        (error,) = [row for row in rows if row["type"] == "error"]
        assert error["code"] == code and error["error"] == error["message"] != ""
        assert error["fatal"] is False and error["close_code"] == STATUS[code].close and error["retryable"] is False
        assert_same(outcome_of_rows(rows), outcome_of_rows(await stream(server.ws(), [PCM])))


@pytest.mark.parametrize("name", sorted(BAD.keys() - {"a second start", "audio without data"}))
async def test_a_bad_first_message_leaves_room_for_a_good_one(server: Server, name: str) -> None:
    async with talk(server.ws()) as it:
        await it.send(BAD[name][0], {"type": "start", "audio": S16})
        await it.next("ready")
        (error,) = it.of("error")
        assert not error["fatal"] and error["close_code"] == STATUS[error["code"]].close


@pytest.mark.parametrize(
    "dress",
    [
        lambda packed: packed.rstrip("="),
        lambda packed: "\r\n".join(packed[at : at + 76] for at in range(0, len(packed), 76)) + "\n",
        lambda packed: " \t" + packed + " ",
        lambda packed: packed.replace("+", "-").replace("/", "_"),
        lambda packed: "data:audio/wav;base64," + packed,
    ],
    ids=["no padding", "lines", "blanks", "URL-safe", "data-URL"],
)
async def test_base64_in_every_dress_people_send(server: Server, dress) -> None:  # type: ignore[no-untyped-def]
    packed = base64.b64encode(PCM[: 3 * SECOND + 2]).decode()
    assert packed.endswith("=") and "+" in packed and "/" in packed
    rows = await stream(server.ws(), [{"type": "audio", "data": dress(packed), "seq": 1}])
    assert_same(outcome_of_rows(rows), outcome_of_rows(await stream(server.ws(), [PCM[: 3 * SECOND + 2]])))


async def test_the_twentieth_bad_message_ends_the_session(server: Server, unharmed: Unharmed) -> None:
    async with unharmed(server), started(server.ws()) as it:
        await it.send(*["{"] * 20, PCM)
        assert await it.rest() == 1007
        assert it.codes() == ["bad_json"] * 20 + ["too_many_errors"]
        assert [row["fatal"] for row in it.of("error")] == [False] * 20 + [True]


async def test_floats_that_are_no_numbers_become_silence(server: Server, unharmed: Unharmed) -> None:
    samples = (changing(16000, 1)[:, 0] / 32768).astype("<f4")
    spoilt, zeroed = samples.copy(), samples.copy()
    spoilt[16000:16003] = np.nan, np.inf, -np.inf
    zeroed[16000:16003] = 0
    audio = {"encoding": "pcm_f32le", "sample_rate": 16000}
    async with unharmed(server):
        rows = await stream(server.ws(), [spoilt.tobytes()], audio)
        assert [row["code"] for row in rows if row["type"] == "error"] == ["non_finite_audio"]
        assert rows[-1]["duration_ms"] == 7000  # time is kept
        assert_same(outcome_of_rows(rows), outcome_of_rows(await stream(server.ws(), [zeroed.tobytes()], audio)))


async def test_enormous_floats_are_no_catastrophe(server: Server, unharmed: Unharmed) -> None:
    noise = np.random.default_rng(0).standard_normal(48_000) * np.float64(3e38)
    async with unharmed(server):
        rows = await stream(server.ws(), [noise.clip(-3.4e38, 3.4e38).astype("<f4").tobytes()], {"encoding": "pcm_f32le", "sample_rate": 16000})
        assert all(row["llr"] is None or abs(row["llr"]) < 1000 for row in rows if row["type"] == "segment")
        assert rows[-1]["duration_ms"] == 3000


BAD_RATES = ["0", "-1", "7999", "96001", '"16000"', "16000.5", "true", "null", "1e400", "9" * 4000, "[16000]"]


@pytest.mark.parametrize("rate", BAD_RATES, ids=[rate[:12] for rate in BAD_RATES])
async def test_a_wrong_sample_rate_in_start(server: Server, rate: str) -> None:
    async with talk(server.ws()) as it:
        await it.send('{"type":"start","audio":{"encoding":"pcm_s16le","sample_rate":' + rate + "}}")
        assert await it.rest() == 4400
        assert it.codes() == ["bad_config"] and it.rows[-1]["field"] == "audio.sample_rate"


BAD_QUERIES = [
    "encoding=pcm_s16le", "sample_rate=16000", "encoding=pcm_s16le&sample_rate=", "encoding=pcm_s16le&sample_rate=16000.5",
    "encoding=pcm_s16le&sample_rate=-16000", "encoding=pcm_s16le&sample_rate=96001", "encoding=pcm_s16le&sample_rate=%D9%A1",
    "encoding=pcm_s16le&sample_rate=" + "9" * 5000, "encoding=pcm_s16le&sample_rate=16000&channels=3", "encoding=mp3&sample_rate=16000",
    "encoding=pcm_s16le&sample_rate=16000&threshold=nan", "encoding=pcm_s16le&sample_rate=16000&hop_seconds=inf",
    "encoding=pcm_s16le&sample_rate=16000&hop_seconds=0.01", "encoding=pcm_s16le&sample_rate=16000&interim=maybe",
    "encoding=pcm_s16le&sample_rate=16000&session_id=a%0Ab", "encoding=pcm_s16le&sample_rate=16000&channel_labels=a,b,c",
    "encoding=pcm_s16le&sample_rate=16000&protocol=voxproof.v2", "encoding=pcm_s16le&sample_rate=16000&enrollment_id=me",
]  # fmt: skip


@pytest.mark.parametrize("query", BAD_QUERIES, ids=[query[-40:] for query in BAD_QUERIES])
async def test_a_wrong_query(server: Server, query: str) -> None:
    async with talk(server.ws("/v1/stream?" + query)) as it:
        assert await it.rest() == 4400
        assert it.codes() == ["bad_config"] and it.rows[-1]["field"]


BAD_STARTS: list[tuple[Row, str]] = [
    ({"audio": {**S16, "channels": 0}}, "audio.channels"),
    ({"audio": {**S16, "channels": 3}}, "audio.channels"),
    ({"audio": {"sample_rate": 16000}}, "audio.encoding"),
    ({"audio": {**S16, "channel_labels": ["a", "b"]}}, "audio.channel_labels"),
    ({"audio": "pcm"}, "audio"),
    ({"audio": S16, "config": {"threshold": 0}}, "config.threshold"),
    ({"audio": S16, "config": {"threshold": "0.5"}}, "config.threshold"),
    ({"audio": S16, "config": {"hop_seconds": 0.2}}, "config.hop_seconds"),
    ({"audio": S16, "config": {"interim": "yes"}}, "config.interim"),
    ({"audio": S16, "config": {"enrollment_id": "me"}}, "config.enrollment_id"),
    ({"audio": S16, "config": None}, "config"),
    ({"audio": S16, "metadata": {"text": "x" * 5000}}, "metadata"),
    ({"audio": S16, "session_id": "../etc"}, "session_id"),
    ({"audio": S16, "protocol": "voxproof.v2"}, "protocol"),
    ({"audio": S16, "resume": {"session_id": "x"}}, "resume.resume_token"),
]


@pytest.mark.parametrize(("start", "field"), BAD_STARTS, ids=[f"{number}-{field}" for number, (_, field) in enumerate(BAD_STARTS)])
async def test_a_start_that_cannot_be_honoured(server: Server, start: Row, field: str) -> None:
    async with talk(server.ws()) as it:
        await it.send({"type": "start", **start})
        assert await it.rest() == 4400
        assert it.codes() == ["bad_config"] and it.rows[-1]["field"] == field


async def test_binary_before_a_format(server: Server, unharmed: Unharmed) -> None:
    async with unharmed(server), talk(server.ws()) as it:
        await it.send({"type": "keepalive"}, PCM[:3200])
        assert await it.rest() == 1003
        assert it.codes() == ["format_unknown"] and it.rows[-1]["fatal"]


@pytest.mark.parametrize("path", ["/v1/stream", "/ws"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://[", "http://127.0.0.1", "{host}.evil.example", "file://", ""])
async def test_a_foreign_page_is_refused_before_the_upgrade(server: Server, path: str, origin: str) -> None:
    origin = origin.replace("{host}", server.http)
    with pytest.raises(InvalidStatus) as refused:
        async with talk(server.ws(path), additional_headers={"Origin": origin}):
            pass
    assert refused.value.response.status_code == 403 == STATUS["foreign_origin"].http


@pytest.mark.parametrize("path", ["/v1/stream", "/ws"])
async def test_the_servers_own_page_may_come_in(server: Server, path: str) -> None:
    async with talk(server.ws(path), additional_headers={"Origin": server.http}) as it:
        await it.send({"type": "start", "audio": S16})
        assert (await it.next())["type"] == "ready"


async def test_a_listed_page_may_come_in(toy, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with Server(tmp_path, toy, allowed_origins=json.dumps(["https://app.example", "null"])) as running:
        for origin in ("https://app.example", "null"):
            async with talk(running.ws(), additional_headers={"Origin": origin}) as it:
                await it.send({"type": "start", "audio": S16})
                assert (await it.next())["type"] == "ready"
        with pytest.raises(InvalidStatus):
            async with talk(running.ws(), additional_headers={"Origin": "https://app.example.evil"}):
                pass


async def over_time(it: Talk, frames: bytes) -> None:
    assert await it.rest() == 4413, it.rows[-1]


@pytest.mark.parametrize("size", [640, 3200, 200_000], ids=["20 ms", "100 ms", "6 s"])
async def test_a_session_over_its_time(hasty: Server, unharmed: Unharmed, size: int) -> None:
    """Five seconds are the limit: they are judged, error and done tell both things, whatever the client goes on sending."""
    pcm = encoded(voice(7.0, "spoof"), "pcm_s16le")
    async with unharmed(hasty), raw(hasty.port, "/v1/stream?encoding=pcm_s16le&sample_rate=16000") as it:
        await it.write(b"".join(frame(pcm[at : at + size]) for at in range(0, len(pcm), size)))
        rows, code = await it.rest()
        assert code == 4413 == STATUS["session_too_long"].close
        error, done = rows[-2:]
        assert (error["type"], error["code"], error["fatal"]) == ("error", "session_too_long", True)
        assert (done["type"], done["duration_ms"], done["verdict"]) == ("done", 5000, "spoof")
        assert_same(outcome_of_rows(rows), outcome_of_rows(await stream(hasty.ws(), [pcm[: 5 * SECOND]])))


async def test_what_a_client_names_is_not_stored_by_the_megabyte(server: Server) -> None:
    """Answers are kept for a resume: an id of a megabyte, echoed two thousand times, would be gigabytes."""
    async with started(server.ws()) as it:
        await it.send({"type": "finalize", "id": "x" * 100_000})
        answer = await it.next()
        assert answer["type"] == "error" and answer["code"] == "bad_message" and answer["field"].startswith("id")
