"""Broken lines: a session is resumed without a seam, by its owner only and for a while only; the newest connection has it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fake import facts, open_session, play, s16, speechlike
from tests.peer import START, Peer, World, plain, resume, world

AUDIO = s16(speechlike(4.3))
WANTED = facts(play(open_session(), [AUDIO]))
STOP = {"type": "stop"}


async def goes_on(here: World, before: list[Peer], peer: Peer) -> None:
    """`peer` is served; it sends the rest and hears the end. All that was heard, by whomever, is the whole session."""
    serving = asyncio.ensure_future(here.serve(peer))
    ready = await peer.hears("ready")
    assert ready["resume"]["accepted"] and ready["seq"] == 1
    peer.say(AUDIO[ready["resume"]["continue_from_ms"] * 32 :], STOP)
    assert await here.code(serving) == 1000
    said: dict[int, dict[str, Any]] = {}
    for message in (m for each in (*before, peer) for m in each.heard if m["type"] not in ("ready", "error")):
        assert said.setdefault(message["seq"], message) == message  # a number is one message, whoever hears it
    assert sorted(said) == list(range(2, len(said) + 2))
    assert plain([said[seq] for seq in sorted(said)]) == WANTED and here.empty
    numbers = [m["seq"] for m in peer.heard]
    assert numbers == sorted(set(numbers))  # and nobody hears one twice


async def broken_off(here: World, sent: int = 60_001) -> Peer:
    peer = Peer(START, AUDIO[:sent])
    serving = here.serve(peer)
    await peer.hears("segment", 2)
    peer.leave()
    await here.code(serving)
    assert here.streams.parked == 1 and here.gate.open == 0
    return peer


# --- resume -------------------------------------------------------------------------------------------------


async def test_a_broken_line_is_resumed_without_a_seam() -> None:
    async with world() as here:
        first = await broken_off(here)
        await goes_on(here, [first], Peer(resume(first)))


async def test_what_was_lost_on_the_line_is_said_again() -> None:
    async with world() as here:
        first = await broken_off(here)
        del first.heard[3:]  # the client never got these
        await goes_on(here, [first], Peer(resume(first)))


async def test_a_line_may_break_many_times() -> None:
    async with world() as here:
        peers = [await broken_off(here)]
        for _ in range(3):
            peer = Peer(resume_of_all(peers))
            serving = here.serve(peer)
            start_ms = (await peer.hears("ready"))["resume"]["continue_from_ms"]
            assert here.streams.parked == 0  # no timer runs against a session that is in use
            peer.say(AUDIO[start_ms * 32 : start_ms * 32 + 9_001])
            await peer.until(lambda peer=peer: peer.taken == 2)
            peer.leave()
            await here.code(serving)
            assert here.streams.parked == 1
            peers.append(peer)
        await goes_on(here, peers, Peer(resume_of_all(peers)))


def resume_of_all(peers: list[Peer]) -> dict[str, Any]:
    return resume(peers[0], last_seq=max(m["seq"] for peer in peers for m in peer.heard))


async def test_silence_on_the_line_parks_the_session() -> None:
    async with world(idle_timeout_seconds=0.05) as here:
        peer = Peer(START, AUDIO[:50_000])
        assert await here.code(here.serve(peer)) == 4408
        error = peer.heard.pop()
        assert (error["code"], error["seq"], error["fatal"], error["retryable"]) == ("idle_timeout", 0, True, True)
        assert here.streams.parked == 1
        await goes_on(here, [peer], Peer(resume(peer)))


async def test_an_end_that_could_not_be_told_waits_to_be_fetched() -> None:
    async with world() as here:
        peer = Peer(START, AUDIO)
        serving = here.serve(peer)
        await peer.hears("segment", 7)
        peer.broken = True  # the line is dead, though nobody has noticed
        peer.say(STOP)
        await here.code(serving)
        again = Peer(resume(peer))
        assert await here.code(here.serve(again)) == 1000
        assert again.heard[-1]["type"] == "done" and plain([*peer.heard, *again.heard]) == WANTED and here.empty


async def test_who_leaves_for_good_is_forgotten() -> None:
    async with world() as here:
        peer = Peer(START, AUDIO[:50_000])
        serving = here.serve(peer)
        await peer.hears("segment")
        peer.leave(for_good=True)
        assert await here.code(serving) == 1000 and here.empty
        again = Peer(resume(peer))
        assert await here.code(here.serve(again)) == 4404


@pytest.mark.parametrize("change", [{"resume_token": "x"}, {"resume_token": ""}, {"resume_token": "ü"}, {"session_id": "nobody"}, {"session_id": ""}])
async def test_nobody_else_can_resume(change: dict[str, str]) -> None:
    async with world() as here:
        first = await broken_off(here)
        thief = Peer(resume(first, **change))
        assert await here.code(here.serve(thief)) == 4404
        assert [m["code"] for m in thief.heard] == ["unknown_session"] and here.streams.parked == 1
        await goes_on(here, [first], Peer(resume(first)))


async def test_a_parked_session_is_forgotten_in_time() -> None:
    async with world(resume_window_seconds=0) as here:
        first = await broken_off(here)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert here.empty
        assert await here.code(here.serve(Peer(resume(first)))) == 4404


@pytest.mark.parametrize("most", [0, 1, 2])
async def test_the_oldest_parked_session_gives_way(most: int) -> None:
    async with world(max_parked=most) as here:
        peers = []
        for _ in range(3):
            peer = Peer(START, AUDIO[:40_000])
            serving = here.serve(peer)
            await peer.hears("segment")
            peer.leave()
            await here.code(serving)
            peers.append(peer)
        assert here.streams.parked == most and len(here.streams._streams) == most
        codes = [await here.code(here.serve(Peer(resume(peer), STOP))) for peer in peers]
        assert codes == [4404] * (3 - most) + [1000] * most and here.empty


# --- taking over --------------------------------------------------------------------------------------------


async def test_the_newest_connection_takes_the_session_over() -> None:
    async with world() as here:
        old = Peer(START, AUDIO[:60_001])
        serving = here.serve(old)
        await old.hears("segment", 2)
        await goes_on(here, [old], Peer(resume(old)))
        assert await here.code(serving) == 4409
        assert (old.heard[-1]["code"], old.heard[-1]["retryable"]) == ("taken_over", False)


async def test_of_several_that_come_at_once_the_last_one_stays() -> None:
    async with world() as here:
        old = Peer(START, AUDIO[:60_001])
        serving = [here.serve(old)]
        await old.hears("segment", 2)
        losers = [Peer(resume(old)) for _ in range(3)]
        serving += [here.serve(peer) for peer in losers]
        await goes_on(here, [old], Peer(resume(old)))
        assert [await here.code(task) for task in serving] == [4409] * 4
        assert all(peer.heard[-1]["code"] == "taken_over" for peer in (old, *losers))


async def test_of_two_that_resume_a_parked_session_one_stays() -> None:
    async with world() as here:
        first = await broken_off(here)
        loser = Peer(resume(first))
        serving = here.serve(loser)
        await goes_on(here, [first], Peer(resume(first)))
        assert await here.code(serving) == 4409


async def test_taking_over_waits_for_the_detector_and_loses_nothing() -> None:
    async with world() as here:
        here.scorer.go.clear()
        old, new = Peer(START, AUDIO[:100_000]), Peer()
        serving = here.serve(old)
        await here.scoring()
        new.say(resume(old))
        follower = asyncio.ensure_future(goes_on(here, [old], new))
        await new.until(lambda: new.taken == 1)
        here.scorer.go.set()
        await follower
        assert await here.code(serving) == 4409


async def test_an_old_connection_that_closes_while_taken_over_takes_nothing_with_it() -> None:
    async with world() as here:
        old, new = Peer(START, AUDIO[:60_001]), Peer()
        serving = here.serve(old)
        await old.hears("segment", 2)
        new.say(resume(old))
        taking = here.serve(new)
        old.leave(for_good=True)
        await new.hears("ready")
        await here.code(serving)
        new.leave()
        await here.code(taking)
        assert here.streams.parked == 1
        await goes_on(here, [old, new], Peer(resume_of_all([old, new])))
