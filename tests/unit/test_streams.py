"""Live streams from handshake to close code: the same result as the session alone, and a clear end for every way to go wrong."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import Any

import pytest

from app.core import wire
from app.core.errors import FrameTooBig
from tests.fake import facts, open_session, play, s16, speechlike
from tests.peer import START, Peer, world

AUDIO = s16(speechlike(3.3))
WANTED = facts(play(open_session(), [AUDIO]))
STOP = {"type": "stop"}


def cut(data: bytes, seed: int) -> list[bytes]:
    chance, out = random.Random(seed), []
    while data:
        size = chance.choice([1, 7, 999, 3200, 40_000])
        out.append(data[:size])
        data = data[size:]
    return out


# --- a session ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
async def test_a_stream_says_what_its_session_says(seed: int) -> None:
    pieces: list[Any] = cut(AUDIO, seed)
    if seed == 2:
        pieces = [{"type": "audio", "data": base64.b64encode(piece).decode()} for piece in pieces]
    async with world() as here:
        peer = Peer(START, *pieces, STOP)
        assert await here.code(here.serve(peer)) == 1000
        assert peer.facts() == WANTED
        assert [m["seq"] for m in peer.heard] == list(range(1, len(peer.heard) + 1))
        assert (peer.heard[0]["type"], peer.heard[-1]["type"]) == ("ready", "done")
        assert all(m["latency_ms"] >= 0 for m in peer.of("segment")) and len(peer.of("segment")) == 6
        assert all(m["lag_ms"] >= 0 for m in peer.of("ack")) and 1 <= len(peer.of("ack")) <= 3
        assert here.empty


async def test_the_format_may_come_in_the_query() -> None:
    start = wire.start_from_query({"encoding": "pcm_s16le", "sample_rate": "16000"})
    async with world() as here:
        peer = Peer(AUDIO, STOP)
        assert await here.code(here.serve(peer, start)) == 1000
        assert peer.facts() == WANTED


async def test_many_streams_at_once_do_not_touch() -> None:
    clips = [s16(speechlike(2.2 + 0.3 * n, seed=n)) for n in range(6)]
    async with world() as here:
        peers = await asyncio.gather(*(here.session(clip, piece=1601 * (n + 1)) for n, clip in enumerate(clips)))
        for clip, peer in zip(clips, peers, strict=True):
            assert peer.facts() == facts(play(open_session(), [clip]))
        assert here.empty and len({p.heard[0]["session_id"] for p in peers}) == len({p.heard[0]["resume_token"] for p in peers}) == 6


async def test_a_verdict_comes_while_audio_is_still_coming() -> None:
    async with world() as here:
        peer = Peer(START, AUDIO[:40_000])
        serving = here.serve(peer)
        assert (await peer.hears("segment"))["end_ms"] == 1000
        peer.say({"type": "finalize", "id": 7})
        assert (await peer.hears("finalized"))["id"] == 7
        peer.say(AUDIO[40_000:], STOP)
        assert await here.code(serving) == 1000
        assert [m for m in peer.facts() if m["type"] != "finalized" and not m.get("interim")] == WANTED


async def test_mistakes_are_answered_with_the_rows_numbers_and_the_session_goes_on() -> None:
    async with world() as here:
        peer = Peer(START, AUDIO[:30_001], "nonsense", '{"type":"sing"}', {"type": "audio", "data": "@"}, AUDIO[30_001:], STOP)
        assert await here.code(here.serve(peer)) == 1000
        errors = [(m["code"], m["fatal"], m["close_code"], m["retryable"]) for m in peer.of("error")]
        assert errors == [(code, False, 1007, False) for code in ("bad_json", "unknown_type", "bad_base64")]
        assert peer.facts() == WANTED


# --- handshake ----------------------------------------------------------------------------------------------


async def ended(*said: Any, **values: Any) -> tuple[int, list[tuple[str, bool]]]:
    """Close code and errors of a connection that says this."""
    async with world(**values) as here:
        peer = Peer(*said)
        code = await here.code(here.serve(peer))
        assert here.empty
        for error in peer.of("error"):
            assert error["error"] == error["message"] and isinstance(error["close_code"], int) and (not error["fatal"] or error["close_code"] == code)
        return code, [(m["code"], m["fatal"]) for m in peer.of("error")]


@pytest.mark.parametrize(
    ("said", "code", "errors"),
    [
        ([None], 1000, []), ([STOP], 1000, []), ([""], 1000, []), ([{"eof": 1}], 1000, []), ([{"type": "keepalive"}, STOP], 1000, []),
        ([b"\0\0"], 1003, [("format_unknown", True)]), ([{"type": "start"}], 1003, [("format_unknown", True)]),
        ([{"type": "start", "audio": {"encoding": "mp3", "sample_rate": 8000}}], 4400, [("bad_config", True)]),
        ([{**START, "config": {"hop_seconds": 0.01}}], 4400, [("bad_config", True)]), ([{**START, "protocol": "v9"}], 4400, [("bad_config", True)]),
        ([FrameTooBig()], 1009, [("frame_too_big", True)]), (["{", None], 1000, [("bad_json", False)]),
        ([{"type": "finalize"}, STOP], 1000, [("out_of_order", False)]), ([{"type": "update", "config": 1}, STOP], 1000, [("bad_message", False)]),
        (["x"] * 3, 1007, [("bad_json", False)] * 2 + [("too_many_errors", True)]),
        ([{"type": "start", "\ud800": 1}], 4400, [("bad_config", True)]),
    ],
)  # fmt: skip
async def test_how_a_handshake_may_end(said: list[Any], code: int, errors: list[tuple[str, bool]]) -> None:
    assert await ended(*said, max_bad_messages=3) == (code, errors)


async def test_who_says_nothing_is_cut_off() -> None:
    assert await ended(handshake_timeout_seconds=0.01) == (4408, [("handshake_timeout", True)])
    assert await ended({"type": "keepalive"}, handshake_timeout_seconds=0.01) == (4408, [("handshake_timeout", True)])


async def test_a_handshake_may_take_some_tries() -> None:
    async with world() as here:
        peer = Peer("{", {"type": "keepalive"}, {"type": "finalize"}, START, AUDIO, STOP)
        assert await here.code(here.serve(peer)) == 1000
        assert peer.facts() == WANTED


# --- admission ----------------------------------------------------------------------------------------------


async def test_a_full_server_refuses_politely_and_the_others_go_on() -> None:
    async with world(max_streams=1) as here:
        inside = Peer(START, AUDIO[:50_000])
        serving = here.serve(inside)
        await inside.hears("segment")
        outside = Peer(START, AUDIO)
        assert await here.code(here.serve(outside)) == 4503
        (error,) = outside.heard
        assert (error["code"], error["retry_after_ms"], error["retryable"], error["fatal"], error["seq"]) == ("server_full", 1234, True, True, 1)
        inside.say(AUDIO[50_000:], STOP)
        assert await here.code(serving) == 1000 and inside.facts() == WANTED
        assert (await here.session(AUDIO)).facts() == WANTED and here.empty


async def test_a_session_id_can_be_open_once() -> None:
    async with world() as here:
        first = Peer({**START, "session_id": "mine"}, AUDIO)
        serving = here.serve(first)
        await first.hears("segment")
        second = Peer({**START, "session_id": "mine"})
        assert await here.code(here.serve(second)) == 4400 and second.heard[0]["field"] == "session_id"
        first.say(STOP)
        assert await here.code(serving) == 1000 and first.facts() == WANTED and first.heard[0]["session_id"] == "mine"
        assert (await here.session(AUDIO, session_id="mine")).facts() == WANTED


# --- what goes wrong later ----------------------------------------------------------------------------------


async def test_a_frame_too_big_ends_the_connection_with_its_code() -> None:
    async with world() as here:
        peer = Peer(START, AUDIO[:40_000], FrameTooBig("The message has 9 bytes; the limit is 8."))
        assert await here.code(here.serve(peer)) == 1009
        assert peer.heard[-1]["code"] == "frame_too_big" and peer.heard[-1]["fatal"]
        assert here.streams.parked == 1  # the session is not to blame: it can be resumed


async def test_the_twentieth_mistake_and_the_end_of_the_limit() -> None:
    async with world(max_bad_messages=3) as here:
        peer = Peer(START, "x", "y", "z", AUDIO)
        assert await here.code(here.serve(peer)) == 1007
        assert [m["code"] for m in peer.of("error")] == ["bad_json"] * 3 + ["too_many_errors"] and here.empty
    async with world(max_session_seconds=2) as here:
        peer = Peer(START, AUDIO)
        assert await here.code(here.serve(peer)) == 4413
        assert [m["type"] for m in peer.heard[-2:]] == ["error", "done"] and peer.heard[-1]["duration_ms"] == 2000 and here.empty


@pytest.mark.parametrize("failures", [1, 2])
async def test_the_detector_may_fail_once(failures: int) -> None:
    async with world() as here:
        peer = Peer(START, AUDIO[:40_000])
        here.scorer.failures = failures
        serving = here.serve(peer)
        if failures == 1:
            await peer.hears("segment")
            peer.say(AUDIO[40_000:], STOP)
            assert await here.code(serving) == 1000 and peer.facts() == WANTED
        else:
            assert await here.code(serving) == 1011
            assert (peer.heard[-1]["code"], peer.heard[-1]["fatal"], peer.heard[-1]["retryable"]) == ("scoring_failed", True, True)
        assert here.empty


@pytest.mark.parametrize("failure", ["bug", "cancel"])
async def test_a_bug_or_a_cancelled_task_leaves_nothing_behind(failure: str) -> None:
    async with world() as here:
        peer = Peer(START, AUDIO[:40_000])
        serving = here.serve(peer)
        await peer.hears("segment")
        if failure == "bug":
            peer.say(ZeroDivisionError("a bug"))
            assert await here.code(serving) == 1011
            assert peer.heard[-1]["code"] == "internal" and "bug" not in peer.heard[-1]["message"]
        else:
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
        assert here.empty


async def test_shutting_down_is_said() -> None:
    async with world() as here:
        peer = Peer(START)
        serving = here.serve(peer)
        await peer.hears("ready")
        await here.batcher.__aexit__(None, None, None)
        peer.say(AUDIO)
        assert await here.code(serving) == 1012
        assert peer.heard[-1]["code"] == "shutting_down" and peer.heard[-1]["retryable"] and here.empty
