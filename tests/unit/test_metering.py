"""What a live stream costs its caller, and what only a transport knows: places, the day's audio, audio lost on the way, a peer who stays away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.core.messages import Warning
from app.service.access import Principal
from app.service.resume import Shelf
from app.store.cache import MemoryCache
from tests.fake import facts, open_session, play, s16, speechlike
from tests.peer import START, Peer, World, resume, world

KEYED = Principal(owner="acme", key_id="k", address="192.0.2.1")
AUDIO = s16(speechlike(12.0))
SECOND = 32_000
STOP = {"type": "stop"}


def serve(here: World, peer: Peer, principal: Principal = KEYED) -> asyncio.Task[int]:
    return asyncio.create_task(here.streams.serve(peer, None, None, principal))


def pieces(seconds: int) -> list[bytes]:
    return [AUDIO[at * SECOND : (at + 1) * SECOND] for at in range(seconds)]


async def test_the_days_audio_ends_a_stream_and_it_is_not_resumed_that_day() -> None:
    async with world(key_audio_seconds_per_day=7) as here:
        peer = Peer(START, *pieces(12))
        assert await here.code(serve(here, peer)) == 4429
        error = peer.heard[-1]
        assert (error["code"], error["fatal"], error["seq"]) == ("quota_exceeded", True, 0) and error["retry_after_ms"] > 0
        assert max(s["end_ms"] for s in peer.of("segment")) <= 10_000  # two steps of five seconds
        again = Peer(resume(peer))
        assert await here.code(serve(here, again)) == 4429 and again.heard[-1]["code"] == "quota_exceeded"
        assert here.streams.parked == 1  # it waits still
        other = Peer(START, *pieces(2), STOP)
        assert await here.code(serve(here, other, Principal(owner="other", key_id="o", address="192.0.2.2"))) == 1000


@pytest.mark.parametrize("as_text", [True, False])
async def test_bytes_are_counted_however_they_come(as_text: bool) -> None:
    async with world(key_bytes_per_day=1000) as here:
        said: list[Any] = [{"type": "audio", "data": "A" * 1200}] if as_text else [AUDIO[:1200]]
        assert await here.code(serve(here, Peer(START, *said, STOP))) == 1000  # counted at its end
        assert await here.code(serve(here, Peer(START))) == 4429


async def test_a_place_is_kept_through_a_resume_and_given_back() -> None:
    async with world(key_streams=1, retry_after_ms=700) as here:
        first = Peer(START, *pieces(1))
        serving = serve(here, first)
        await first.hears("segment")
        late = Peer(START)
        assert await here.code(serve(here, late)) == 4429
        assert (late.heard[-1]["code"], late.heard[-1]["retry_after_ms"]) == ("rate_limited", 700)
        second = Peer(resume(first), *pieces(1))  # takes its own session over
        going_on = serve(here, second)
        assert await here.code(serving) == 4409
        await second.hears("segment")
        assert await here.code(serve(here, Peer(START))) == 4429
        second.say(STOP)
        assert await here.code(going_on) == 1000
        assert await here.code(serve(here, Peer(START, STOP))) == 1000
        assert here.empty


async def test_audio_lost_on_the_way_is_told_and_each_moment_counted_once() -> None:
    async with world() as here:
        spans = [(0, 500), (250, 700), (900, 1000)]
        lost = [Warning(code="dropped_audio", message="lost", channel=n % 2, range_ms=span) for n, span in enumerate(spans)]
        peer = Peer(START, *lost, *pieces(2), STOP)
        assert await here.code(serve(here, peer)) == 1000
        assert [w["range_ms"] for w in peer.of("warning")] == [[0, 500], [250, 700], [900, 1000]]
        assert peer.heard[-1]["dropped_ms"] == 800


@pytest.mark.parametrize("snapshots", [False, True])
async def test_a_peer_who_never_comes_back_is_judged_when_the_server_drains(snapshots: bool) -> None:
    """Not sent elsewhere: it goes on for as long as there is, then has its verdict."""
    shelf = Shelf(MemoryCache(), ttl_s=60, every_ms=1000, timeout_s=1) if snapshots else None
    async with world(shelf=shelf) as here:
        peer = Peer(START, *pieces(2))
        peer.abandoned = True
        serving = serve(here, peer)
        await peer.hears("segment")
        draining = asyncio.create_task(here.streams.drain(asyncio.get_running_loop().time() + 0.4))
        assert (await peer.hears("warning"))["code"] == "expiring"
        peer.say(pieces(3)[2])
        assert await here.code(serving) == 1000
        await draining
        assert peer.facts() == facts(play(open_session(), pieces(3)))
        assert here.empty
