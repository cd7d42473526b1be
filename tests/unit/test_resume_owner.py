"""A session that two servers know, or that somebody else asks for: one goes on, the newest; who may not have it learns nothing."""

from __future__ import annotations

import asyncio

import pytest

from app.service.access import Principal
from tests.neighbours import AUDIO, STOP, WANTED, Redis, goes_on, kill, server, speaking
from tests.peer import PATIENCE_S, START, Peer, plain, resume


async def test_the_former_server_lets_go() -> None:
    redis = Redis()
    async with server(redis) as one, server(redis) as two:
        old, serving = await speaking(one, 96_000, 5)
        new = Peer(resume(old))
        taking = two.serve(new)
        from_ms = (await new.hears("ready"))["resume"]["continue_from_ms"]
        old.say(AUDIO[96_000:200_000])  # as if nothing had been
        assert await one.code(serving) == 4409 and one.empty
        assert old.heard[-1]["code"] == "taken_over"
        new.say(AUDIO[from_ms * 32 :], STOP)
        assert await two.code(taking) == 1000
        assert new.of("done")[0]["duration_ms"] == 9300 and two.empty


async def test_who_comes_back_gets_what_the_other_server_made_of_it() -> None:
    """The session is parked here, but has gone on elsewhere in the meantime."""
    redis = Redis()
    async with server(redis) as one, server(redis) as two:
        first, serving = await speaking(one, 70_000, 3)
        first.leave()
        await one.code(serving)
        second = Peer(resume(first))
        serving = two.serve(second)
        from_ms = (await second.hears("ready"))["resume"]["continue_from_ms"]
        second.say(AUDIO[from_ms * 32 : 160_000])
        await second.hears("segment", 5)
        second.leave()
        await two.code(serving)
        assert one.streams.parked == two.streams.parked == 1
        last = max(m["seq"] for each in (first, second) for m in each.heard)
        assert plain(await goes_on(one, [first, second], Peer(resume(first, last_seq=last)))) == WANTED


async def test_of_many_that_resume_at_once_on_two_servers_one_goes_on() -> None:
    redis = Redis()
    async with server(redis) as one, server(redis) as two, server(redis) as three:
        old, _ = await speaking(one, 96_000, 5)
        kill(one, old)
        rivals = [Peer(resume(old)) for _ in range(6)]
        served = [(two, three)[n % 2].serve(peer) for n, peer in enumerate(rivals)]
        for peer in rivals:
            await peer.until(lambda peer=peer: bool(peer.heard))
        for peer in rivals:
            ready = peer.of("ready")
            peer.say(*([AUDIO[ready[0]["resume"]["continue_from_ms"] * 32 : 200_000]] if ready else []))
        done, pending = await asyncio.wait(served, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        while len(pending) > 1:
            more, pending = await asyncio.wait(pending, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
            assert more
            done |= more
        assert {task.result() for task in done} == {4409}
        (winner,) = pending
        peer = rivals[served.index(winner)]
        peer.say(AUDIO[200_000:], STOP)
        assert await winner == 1000 and peer.of("done")[0]["duration_ms"] == 9300


STRANGE = [{"resume_token": "x"}, {"resume_token": ""}, {"resume_token": "ü\0"}, {"session_id": "nobody"}, {"session_id": ""}]


@pytest.mark.parametrize("change", STRANGE)
async def test_nobody_else_can_resume(change: dict[str, str]) -> None:
    redis = Redis()
    async with server(redis) as one, server(redis) as two:
        peer, serving = await speaking(one, 96_000, 5)
        thief = Peer(resume(peer, **change))
        assert await two.code(two.serve(thief)) == 4404 and [m["code"] for m in thief.heard] == ["unknown_session"]
        peer.say(AUDIO[96_000:], STOP)
        assert await one.code(serving) == 1000 and peer.facts() == WANTED  # and it was not even disturbed


async def test_of_another_owner_it_is_unknown() -> None:
    redis = Redis()
    mine, theirs = Principal(owner="me"), Principal(owner="them")
    async with server(redis) as one, server(redis) as two:
        peer = Peer(START, AUDIO[:96_000])
        serving = asyncio.create_task(one.streams.serve(peer, None, None, mine))
        await peer.hears("segment", 5)
        for here in (one, two):
            assert await here.streams.serve(Peer(resume(peer)), None, None, theirs) == 4404
        kill(one, peer)
        again = Peer(resume(peer), STOP)
        assert await two.streams.serve(again, None, None, mine) == 1000 and again.of("ready")[0]["resume"]["accepted"]
        await one.code(serving)


async def test_a_snapshot_that_cannot_be_used_is_an_unknown_session() -> None:
    redis = Redis()
    async with server(redis) as one, server(redis) as two:
        peer, serving = await speaking(one, 96_000, 5)
        kill(one, peer)
        await one.code(serving)
        ((key, (ends, value)),) = redis._entries.items()
        redis._entries[key] = (ends, value[:-1])
        assert await two.code(two.serve(Peer(resume(peer)))) == 4404
        redis._entries[key] = (ends, b"x")
        assert await two.code(two.serve(Peer(resume(peer)))) == 4404


async def test_a_full_server_takes_back_who_was_inside() -> None:
    redis = Redis()
    async with server(redis, max_streams=1) as one, server(redis, max_streams=1) as two:
        peer, serving = await speaking(one, 96_000, 5)
        peer.leave()
        await one.code(serving)
        guest, other = Peer(START), Peer(START)
        inside = [one.serve(guest), two.serve(other)]
        await guest.hears("ready")
        await other.hears("ready")
        assert await two.code(two.serve(Peer(resume(peer)))) == 4503  # it never was in there
        assert plain(await goes_on(one, [peer], Peer(resume(peer)))) == WANTED
        guest.say(STOP)
        other.say(STOP)
        assert [await one.code(task) for task in inside] == [1000, 1000]


async def test_two_owners_may_use_the_same_id() -> None:
    """A clash would tell one of them which ids the other uses."""
    acme, rival = Principal("acme"), Principal("rival")
    async with server(Redis()) as here:
        peers = []
        for principal in (acme, rival):
            peer = Peer({**START, "session_id": "case-7"})
            peers.append((peer, asyncio.create_task(here.streams.serve(peer, None, None, principal))))
            assert (await peer.hears("ready"))["session_id"] == "case-7"
        for peer, serving in peers:
            peer.say(AUDIO[:64_000], STOP)
            assert await serving == 1000
            assert peer.of("done")[0]["duration_ms"] == 2000
