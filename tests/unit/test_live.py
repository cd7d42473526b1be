"""One live stream in busy times: read no faster than it is scored, never held up by another, honest about its lag."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from app.service import live
from tests.fake import facts, open_session, play, s16, speechlike
from tests.peer import START, Peer, resume, world

AUDIO = s16(speechlike(4.3))
WANTED = facts(play(open_session(), [AUDIO]))
STOP = {"type": "stop"}


# --- slow and fast ------------------------------------------------------------------------------------------


async def test_who_does_not_read_is_cut_off_and_the_others_do_not_feel_it() -> None:
    async with world(send_timeout_seconds=0.05) as here:
        slow = Peer(START, AUDIO[:60_000])
        serving = here.serve(slow)
        await slow.hears("segment")
        slow.reads.clear()
        slow.say(AUDIO[60_000:])
        assert (await here.session(AUDIO)).facts() == WANTED
        assert await here.code(serving) == 4408 and here.streams.parked == 1
        assert slow.offered == len(slow.heard) + 1  # it cannot even be told
        again = Peer(resume(slow))
        serving = here.serve(again)
        again.say(AUDIO[(await again.hears("ready"))["resume"]["continue_from_ms"] * 32 :], STOP)
        assert await here.code(serving) == 1000
        assert {m["seq"] for m in (*slow.heard, *again.heard)} == set(range(again.heard[-1]["seq"] + 1)) - {0}
        assert again.of("done")[0]["duration_ms"] == 4300


async def test_audio_is_not_read_faster_than_it_is_scored() -> None:
    long = s16(speechlike(20))
    pieces = [long[at : at + 3200] for at in range(0, len(long), 3200)]  # 100 ms each
    async with world(max_buffer_seconds=2) as here:
        here.scorer.go.clear()
        peer = Peer(START, *pieces, STOP)
        serving = here.serve(peer)
        await here.scoring()
        for _ in range(20):
            await asyncio.sleep(0)
        # The buffer, and what went into the windows that are being scored.
        assert peer.taken <= 1 + 20 + 10 * (live.LIVE_BATCH // 2 + 2) and not peer.of("segment")
        here.scorer.go.set()
        assert await here.code(serving) == 1000
        assert peer.facts() == facts(play(open_session(), [long]))


async def test_commands_are_not_read_faster_than_they_are_answered() -> None:
    async with world() as here:
        here.scorer.go.clear()
        peer = Peer(START, AUDIO[:40_000], *[{"type": "finalize"}] * 500, AUDIO[40_000:], STOP)
        serving = here.serve(peer)
        await here.scoring()
        for _ in range(20):
            await asyncio.sleep(0)
        assert peer.taken < 100
        here.scorer.go.set()
        assert await here.code(serving) == 1000
        assert len(peer.of("finalized")) == 500
        assert [m for m in peer.facts() if m["type"] != "finalized" and not m.get("interim")] == WANTED


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: self.now))


async def test_lag_is_the_time_since_the_last_sample_of_a_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    async with world(lagging_ms=2000) as here:
        peer = Peer(START)
        serving = here.serve(peer)
        await peer.hears("ready")
        here.scorer.go.clear()
        peer.say(AUDIO[:32_000])  # one second
        await here.scoring()
        clock.now += 0.7
        peer.say(AUDIO[32_000:48_000])
        await peer.until(lambda: peer.taken == 3)
        clock.now += 2.0
        here.scorer.go.set()
        assert (await peer.hears("segment", 2))["latency_ms"] == 2000 and peer.of("segment")[0]["latency_ms"] == 2700
        warning = await peer.hears("warning")
        assert warning["code"] == "lagging" and "2700 ms" in warning["message"]
        peer.say(AUDIO[48_000:66_000])
        assert (await peer.hears("ack", 2))["lag_ms"] == 2000  # of the last segment
        assert (await peer.hears("segment", 3))["latency_ms"] == 0
        for at, pause, warnings in ((66_000, 3, 1), (82_000, 9, 2)):  # one warning in ten seconds
            here.scorer.go.clear()
            while here.scorer.inside.acquire(blocking=False):
                pass  # forget the batches before
            peer.say(AUDIO[at : at + 16_000])
            await here.scoring()
            clock.now += pause
            here.scorer.go.set()
            assert (await peer.hears("segment", at // 16_000))["latency_ms"] == pause * 1000
            await asyncio.sleep(0)
            assert len(peer.of("warning")) == warnings
        peer.say(AUDIO[98_000:], STOP)
        assert await here.code(serving) == 1000 and peer.facts() == WANTED
        assert [m["seq"] for m in peer.heard] == list(range(1, len(peer.heard) + 1))


@pytest.mark.parametrize("ask", [STOP, {"type": "finalize"}])
@pytest.mark.parametrize(("encoding", "rate"), [("pcm_s16le", 16000), ("mulaw", 8000)])
async def test_a_pause_of_the_client_is_not_our_lag(encoding: str, rate: int, ask: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    async with world(lagging_ms=2000) as here:
        peer = Peer({"type": "start", "audio": {"encoding": encoding, "sample_rate": rate}}, AUDIO[: 40_000 if rate == 16000 else 11_000])
        serving = here.serve(peer)
        await peer.hears("segment")
        clock.now += 60  # it says nothing for a minute, then asks for what is left
        peer.say(ask)
        assert (await peer.hears("segment", 2))["latency_ms"] == 0
        clock.now += 60
        peer.say(STOP)
        assert await here.code(serving) == 1000
        assert [m["latency_ms"] for m in peer.of("segment")][-1] == 0
        assert "lagging" not in [m["code"] for m in peer.of("warning")]


async def test_the_time_without_a_line_is_not_our_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    async with world(lagging_ms=2000) as here:
        first = Peer({**START, "audio": {"encoding": "mulaw", "sample_rate": 8000}}, bytes(8010))
        serving = here.serve(first)
        await first.hears("ack")
        first.leave()
        await here.code(serving)
        assert not first.of("segment")  # the window's last samples are still inside the resampler
        clock.now += 50
        again = Peer(resume(first), bytes(8000), STOP)
        assert await here.code(here.serve(again)) == 1000
        assert again.of("segment")[0]["end_ms"] == 1000
        assert all(m["latency_ms"] == 0 for m in again.of("segment")) and "lagging" not in [m["code"] for m in again.of("warning")]
