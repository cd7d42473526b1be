"""`voxproof.v1` as a client sees it on the wire: greeting, configuration, control messages, numbering, clocks, and how a session ends.

The session's own rules are unit-tested without ports; here is what only a real connection shows: close codes, subprotocols, timers.
"""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import pytest

from app.status import STATUS
from tests.integration.material import assert_same, changing, encoded, outcome_of_rows
from tests.integration.server import Server
from tests.integration.talk import S16, Row, Talk, frame, raw, started, stream, talk
from tests.toy import voice

PCM = encoded(changing(16000, 1), "pcm_s16le")
SECOND = 32_000
ACKED_EVERY_MS = 1000


async def test_ready_echoes_what_was_applied(server: Server, toy: Path) -> None:
    config = {"profile": "strict", "threshold": 0.7, "hop_seconds": 1.0, "detail": "full", "interim": False, "language": "de", "colour": "red"}
    audio = {"encoding": "pcm_f32le", "sample_rate": 48000, "channels": 2, "channel_labels": ["caller", "agent"], "gain": 3}
    async with started(server.ws(), audio, config=config, metadata={"call": 7}, hurry=True, protocol="voxproof.v1") as it:
        ready = it.rows[0]
        card = json.loads((toy / "card.json").read_text())
        assert ready["seq"] == 1 and ready["protocol"] == "voxproof.v1" and len(ready["resume_token"]) >= 20
        assert ready["audio"] == {name: value for name, value in audio.items() if name != "gain"}
        assert ready["config"] == {
            **{name: value for name, value in config.items() if name != "colour"}, "on_overflow": "block", "channel_mode": "separate",
        }  # fmt: skip
        model = {name: card[name] for name in ("name", "version", "sample_rate", "window_seconds", "min_speech_seconds")}
        assert {**ready["model"], "sha256": ""} == {**model, "hop_seconds": 1.0, "sha256": ""}
        assert len(ready["model"]["sha256"]) == 64
        assert ready["limits"] == {"max_session_seconds": 7200, "idle_timeout_seconds": 30, "max_frame_bytes": 1 << 20, "max_buffer_seconds": 10}
        assert sorted(ready["unknown_fields"]) == ["audio.gain", "config.colour", "hurry"]
        warning = await it.next()
        assert warning["type"] == "warning" and warning["code"] == "unknown_field"
        assert all(name in warning["message"] for name in ready["unknown_fields"])


async def test_nothing_unknown_gives_no_warning_and_defaults_are_echoed(server: Server) -> None:
    rows = await stream(server.ws(), [])
    assert [row["type"] for row in rows] == ["ready", "done"]
    assert rows[0]["unknown_fields"] == []
    assert rows[0]["config"]["profile"] == "balanced" and rows[0]["config"]["hop_seconds"] == 0.5
    assert rows[1]["verdict"] == "no_speech" and rows[1]["duration_ms"] == 0 and rows[1]["llr"] is None


async def test_the_query_is_a_start(server: Server) -> None:
    query = "encoding=mulaw&sample_rate=8000&channels=2&channel_labels=a,b&profile=fast&interim=false&threshold=0.4&session_id=call-7&shoe=9"
    async with talk(server.ws(f"/v1/stream?{query}")) as it:
        ready = await it.next()
    assert ready["session_id"] == "call-7" and ready["unknown_fields"] == ["shoe"]
    assert ready["audio"] == {"encoding": "mulaw", "sample_rate": 8000, "channels": 2, "channel_labels": ["a", "b"]}
    assert (ready["config"]["profile"], ready["config"]["interim"], ready["config"]["threshold"]) == ("fast", False, 0.4)


@pytest.mark.parametrize("offered", [["voxproof.v1", "token.c2VjcmV0"], ["token.c2VjcmV0", "voxproof.v1"], ["token.c2VjcmV0"], ["other"], None])
async def test_only_our_subprotocol_is_ever_selected(server: Server, offered: list[str] | None) -> None:
    async with talk(server.ws(), subprotocols=offered) as it:
        assert it.connection.subprotocol == ("voxproof.v1" if offered and "voxproof.v1" in offered else None)
        await it.send({"type": "start", "audio": S16})
        assert (await it.next())["type"] == "ready"


@pytest.mark.parametrize("stop", ['{"type":"stop"}', '{"type":"close"}', '{"type":"CloseStream"}', '{"type":"Terminate"}', '{"eof":1}', "", " \n"])
async def test_every_word_for_stop(server: Server, stop: str) -> None:
    async with started(server.ws()) as it:
        await it.send(PCM[: 3 * SECOND], stop)
        assert await it.rest() == 1000
        assert it.rows[-1]["type"] == "done" and it.rows[-1]["duration_ms"] == 3000
        assert it.codes() == []


async def test_messages_are_numbered_without_gaps_and_done_is_the_last(server: Server) -> None:
    async with started(server.ws(), config={"detail": "full"}) as it:
        await it.send(PCM, {"type": "stop"}, {"type": "stop"})
        assert await it.rest() == 1000
        assert [row["seq"] for row in it.rows] == list(range(1, len(it.rows) + 1))
        assert [row["type"] for row in it.rows].index("done") == len(it.rows) - 1
        ends = [row["end_ms"] for row in it.of("segment")]
        assert ends == [1000 + 500 * index for index in range(13)]
        assert all(row["latency_ms"] >= 0 and isinstance(row["latency_ms"], int) for row in it.of("segment"))
        raised = it.of("alert")
        assert [(row["rule"], row["cleared"]) for row in raised] == [("spoof_onset", False)] and 3000 < raised[0]["at_ms"] <= 7000


async def test_an_ack_for_each_second_of_audio(server: Server) -> None:
    async with started(server.ws()) as it:
        for at in range(0, len(PCM), 3200):
            await it.send(PCM[at : at + 3200])
        await it.send({"type": "stop"})
        await it.rest()
        acks = it.of("ack")
        assert [ack["received_ms"] for ack in acks] == [ACKED_EVERY_MS * second for second in range(1, 8)]
        assert [(ack["bytes"], ack["frames"]) for ack in acks] == [(SECOND * second, 10 * second) for second in range(1, 8)]
        for ack in acks:
            assert 0 <= ack["processed_ms"] <= ack["received_ms"] and ack["buffered_ms"] == ack["received_ms"] - ack["processed_ms"]
            assert ack["lag_ms"] >= 0
        assert all(left["processed_ms"] <= right["processed_ms"] for left, right in pairwise(acks))


async def test_keepalive_keeps_a_silent_session(hasty: Server) -> None:
    async with started(hasty.ws()) as it:
        for _ in range(6):
            with pytest.raises(TimeoutError):  # six times 0.4 s, against an idle limit of one second
                await it.next(patience_s=0.4)
            await it.send({"type": "keepalive"})
        await it.send({"type": "stop"})
        assert await it.rest() == 1000 and it.rows[-1]["type"] == "done"


async def test_silence_ends_a_session(hasty: Server) -> None:
    async with started(hasty.ws()) as it:
        assert await it.rest(5) == 4408
        fatal_error(it, "idle_timeout")


async def test_finalize_looks_without_touching(server: Server) -> None:
    """Twice in a row, with and without an id: an interim segment as of then, and the outcome of a session that never asked."""
    asked: list[bytes | str | Row] = [
        PCM[: 2 * SECOND + 9600],
        {"type": "finalize", "id": "a"},
        {"type": "finalize", "id": 7},
        PCM[2 * SECOND + 9600 :],
    ]
    rows = await stream(server.ws(), [*asked, {"type": "finalize"}])
    finalized = [row for row in rows if row["type"] == "finalized"]
    assert [(row.get("id"), row["as_of_ms"]) for row in finalized] == [("a", 2300), (7, 2300), (None, 7000)]
    interim = [row for row in rows if row.get("interim")]
    assert [row["end_ms"] for row in interim] == [2300]  # the second finds nothing new, and at 7000 everything has been scored
    assert rows.index(interim[0]) < rows.index(finalized[0]) < rows.index(finalized[1])
    assert_same(outcome_of_rows(rows), outcome_of_rows(await stream(server.ws(), [PCM])))


async def test_update_acts_from_there_on(server: Server) -> None:
    change = {"type": "update", "config": {"detail": "full", "threshold": 0.999, "interim": False}}
    rows = await stream(server.ws(), [PCM[: 4 * SECOND], change, PCM[4 * SECOND :]])
    (updated,) = [row for row in rows if row["type"] == "updated"]
    assert updated["config"]["threshold"] == 0.999 and updated["config"]["detail"] == "full" and updated["config"]["hop_seconds"] == 0.5
    for segment in (row for row in rows if row["type"] == "segment"):
        assert ("quality" in segment) == (segment["end_ms"] > 4000)
    assert rows[-1]["verdict"] != "spoof"  # nothing reaches 0.999 here; without the update it is spoof
    assert (await stream(server.ws(), [PCM]))[-1]["verdict"] == "spoof"


@pytest.mark.parametrize(
    ("config", "code", "field"),
    [
        ({"hop_seconds": 1}, "not_updatable", "config.hop_seconds"),
        ({"channel_mode": "mix", "detail": "full"}, "not_updatable", "config.channel_mode"),
        ({"shoe": 1}, "not_updatable", "config.shoe"),
        ({"threshold": 2}, "bad_config", "config.threshold"),
        ({"profile": "mild"}, "bad_config", "config.profile"),
    ],
)
async def test_an_update_that_cannot_be_is_refused_whole(server: Server, config: Row, code: str, field: str) -> None:
    rows = await stream(server.ws(), [PCM[:SECOND], {"type": "update", "config": config}, PCM[SECOND:]])
    (error,) = [row for row in rows if row["type"] == "error"]
    assert (error["code"], error["field"], error["fatal"]) == (code, field, False)
    assert not [row for row in rows if row["type"] == "updated" or "quality" in row]
    assert_same(outcome_of_rows(rows), outcome_of_rows(await stream(server.ws(), [PCM])))


SHORT = encoded(voice(1.7, "spoof", 8000), "mulaw")


@pytest.mark.parametrize(
    "frames",
    [3, 50],
    ids=["a moment", "a second"],
)
async def test_audio_after_stop_is_said_and_costs_nothing(server: Server, frames: int) -> None:
    """As from a recorder that goes on a little: all in one packet, so that nothing depends on how fast the verdict is."""
    audio = {"encoding": "mulaw", "sample_rate": 8000}
    wanted = outcome_of_rows(await stream(server.ws(), [SHORT], audio))
    late = [frame(SHORT[:160])] * frames + [frame(b'{"type":"update","config":{}}', 1)]
    async with raw(server.port, "/v1/stream?encoding=mulaw&sample_rate=8000") as it:
        await it.write(b"".join([frame(SHORT), frame(b'{"type":"stop"}', 1), *late]))
        rows, code = await it.rest()
    errors = [row for row in rows if row["type"] == "error"]
    assert errors and all(row["code"] == "out_of_order" and not row["fatal"] for row in errors)
    assert code == 1000 and rows[-1]["type"] == "done"
    assert_same(outcome_of_rows(rows), wanted)


async def test_two_channels_are_two_verdicts_and_mixed_one(server: Server) -> None:
    two = encoded(changing(16000, 2), "pcm_s16le")
    audio = {**S16, "channels": 2, "channel_labels": ["caller", "agent"]}
    done = (await stream(server.ws(), [two], audio))[-1]
    assert [(each["channel"], each["label"]) for each in done["channels"]] == [(0, "caller"), (1, "agent")]
    assert done["llr"] == max(each["llr"] for each in done["channels"])
    assert {each["channel"] for each in done["spoof_ranges"]} == {0, 1}
    mixed = (await stream(server.ws(), [two], audio, config={"channel_mode": "mix"}))[-1]
    assert [each["label"] for each in mixed["channels"]] == [None]


def fatal_error(it: Talk, code: str) -> Row:
    """The last message is the fatal error of this code, in the shape and with the numbers the table says."""
    error = it.rows[-1]
    assert {name: error[name] for name in ("type", "code", "fatal", "close_code", "retryable")} == {
        "type": "error", "code": code, "fatal": True, "close_code": STATUS[code].close, "retryable": STATUS[code].retryable,
    }  # fmt: skip
    assert error["message"] and error["error"] == error["message"]
    return error


FATAL: list[tuple[str, list[bytes | str | Row]]] = [
    ("bad_config", [{"type": "start", "audio": {"encoding": "opus", "sample_rate": 16000}}]),
    ("format_unknown", [b"\0\0"]),
    ("format_unknown", [{"type": "start"}]),
    ("unknown_session", [{"type": "start", "resume": {"session_id": "x", "resume_token": "y"}}]),
    ("frame_too_big", [{"type": "start", "audio": S16}, bytes((1 << 20) + 1)]),
    ("frame_too_big", [" " * ((1 << 20) + 1)]),
    ("too_many_errors", [{"type": "start", "audio": S16}, *["nonsense"] * 20]),
    ("too_many_errors", ["nonsense"] * 20),
]


@pytest.mark.parametrize(("code", "messages"), FATAL, ids=[f"{code}-{number}" for number, (code, _) in enumerate(FATAL)])
async def test_a_fatal_error_is_said_before_the_close_with_the_same_code(server: Server, code: str, messages: list[bytes | str | Row]) -> None:
    async with talk(server.ws()) as it:
        await it.send(*messages)
        async with asyncio.timeout(3):  # promptly
            assert await it.rest() == STATUS[code].close
        fatal_error(it, code)


async def test_a_session_id_can_be_open_once(server: Server) -> None:
    async with started(server.ws(), session_id="only-one") as first, talk(server.ws()) as second:
        assert first.rows[0]["session_id"] == "only-one"
        await second.send({"type": "start", "audio": S16, "session_id": "only-one"})
        assert await second.rest() == 4400
        assert fatal_error(second, "bad_config")["field"] == "session_id"
        await first.send(encoded(voice(1.5), "pcm_s16le"), {"type": "stop"})
        assert await first.rest() == 1000
    again = await stream(server.ws(), [], session_id="only-one")  # over: the id is free
    assert again[0]["session_id"] == "only-one"
