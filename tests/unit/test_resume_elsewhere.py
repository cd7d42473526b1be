"""Sessions that move between servers with one store: told to end, killed, without the store; what is acknowledged and what is kept."""

from __future__ import annotations

import asyncio

import pytest

from app.service.resume import REPLAY_BYTES, Shelf, newest
from tests.neighbours import AUDIO, STOP, WANTED, Line, Redis, drain, goes_on, kill, once, server, speak, speaking, until
from tests.peer import PATIENCE_S, START, Peer, plain, resume, world


async def test_told_to_end_a_server_hands_its_sessions_over() -> None:
    redis = Redis()
    async with server(redis) as one, server(redis) as two:
        peer, serving = await speaking(one, 130_001, 5)
        await drain(one)
        assert await one.code(serving) == 1012 and one.empty
        (warning,), error = peer.of("warning"), peer.heard[-1]
        assert (warning["code"], error["code"], error["close_code"], error["retryable"]) == ("expiring", "shutting_down", 1012, True)
        assert plain(await goes_on(two, [peer], Peer(resume(peer)))) == WANTED
        assert two.empty and not redis._entries  # nothing is left of a session that is over


async def test_what_waits_is_scored_before_the_connection_closes() -> None:
    redis = Redis()
    async with server(redis) as one, server(redis) as two:
        one.scorer.go.clear()
        peer = Peer(START, AUDIO[:120_000])
        serving = one.serve(peer)
        await one.scoring()
        draining = asyncio.create_task(drain(one))
        await peer.until(lambda: peer.taken >= 2)
        one.scorer.go.set()
        await draining
        assert await one.code(serving) == 1012 and len(peer.of("segment")) == 6
        again = Peer(resume(peer))
        serving = two.serve(again)
        assert (await again.hears("ready"))["resume"]["continue_from_ms"] == 3750
        again.say(AUDIO[120_000:], STOP)
        await two.code(serving)
        assert plain([*peer.heard, *again.heard]) == WANTED


async def test_a_draining_server_takes_nobody_and_does_not_wait_for_ever() -> None:
    async with server(Redis()) as one:
        one.scorer.go.clear()
        peer = Peer(START, AUDIO[:120_000])
        serving = one.serve(peer)
        await one.scoring()
        draining = asyncio.create_task(drain(one, 0.05))
        await peer.until(lambda: peer.taken >= 2)
        late = Peer(START)
        assert await one.code(one.serve(late)) == 1012 and late.heard[0]["code"] == "shutting_down"
        one.scorer.go.set()
        await draining
        assert await one.code(serving) == 1012


async def test_without_a_store_sessions_may_end_by_themselves_while_there_is_time() -> None:
    async with world() as one:
        peer = Peer(START, AUDIO[:64_000])
        other = Peer(START, AUDIO[:64_000])
        serving, others = one.serve(peer), one.serve(other)
        await peer.hears("segment")
        draining = asyncio.create_task(drain(one, 0.4))
        assert (await peer.hears("warning"))["code"] == "expiring"
        peer.say(AUDIO[64_000:], STOP)
        assert await one.code(serving) == 1000 and peer.facts() == WANTED
        await draining
        assert await one.code(others) == 1012 and [m["code"] for m in other.of("warning")] == ["expiring"]


@pytest.mark.parametrize(("sent", "segments"), [(0, 0), (20_000, 0), (64_000, 2), (130_001, 7), (250_000, 12)])
async def test_a_killed_server_loses_nothing(sent: int, segments: int) -> None:
    redis = Redis()
    async with server(redis) as one, server(redis) as two:
        peer, serving = await speaking(one, sent, segments)
        await until(lambda: redis.holds > 0)
        kill(one, peer)
        heard = await goes_on(two, [peer], Peer(resume(peer)))
        assert once(heard) == WANTED
        assert len(plain(heard)) - len(WANTED) <= 10  # at most what was said since the last snapshot comes again
        await one.code(serving)


async def test_a_session_moves_again_and_again() -> None:
    redis = Redis()
    async with server(redis) as one, server(redis) as two, server(redis) as three, server(redis) as four:
        peer, _ = await speaking(one, 70_000, 3)
        kill(one, peer)
        peers = [peer]
        for here, ending in ((two, drain), (three, kill)):
            last = max(m["seq"] for each in peers for m in each.heard)
            follower = Peer(resume(peer, last_seq=last))
            here.serve(follower)
            from_ms = (await follower.hears("ready"))["resume"]["continue_from_ms"]
            follower.say(AUDIO[from_ms * 32 : from_ms * 32 + 60_000])
            await follower.hears("segment", 3)
            if ending is drain:
                await drain(here)
            else:
                kill(here, follower)
            peers.append(follower)
        heard = await goes_on(four, peers, Peer(resume(peer, last_seq=max(m["seq"] for each in peers for m in each.heard))))
        assert once(heard) == WANTED


async def test_acks_name_what_is_stored_and_no_verdict_waits_for_the_store() -> None:
    redis = Redis()
    async with server(redis) as one:
        peer, serving = await speaking(one, 96_000, 5)
        redis.door.clear()  # the store stands still
        held_ms = peer.of("ack")[-1]["processed_ms"]
        assert held_ms >= 1000
        await speak(peer, 96_000, 288_000, 17)
        assert {m["processed_ms"] for m in peer.of("ack")[-5:]} <= {held_ms, held_ms + 500, held_ms + 1000}
        assert all(m["processed_ms"] <= m["received_ms"] - 500 for m in peer.of("ack"))
        redis.door.set()
        peer.say(AUDIO[288_000:], STOP)
        assert await one.code(serving) == 1000 and peer.facts() == WANTED


async def test_where_the_store_fails_sessions_live_and_are_resumed_where_they_were() -> None:
    redis = Redis()
    async with server(redis) as one, server(redis) as two:
        redis.away = True
        peer, serving = await speaking(one, 130_000, 6)
        assert peer.of("ack")[-1]["processed_ms"] >= 2000  # or clients would keep everything
        peer.leave()
        await one.code(serving)
        elsewhere = Peer(resume(peer))
        assert await two.code(two.serve(elsewhere)) == 4404
        assert plain(await goes_on(one, [peer], Peer(resume(peer)))) == WANTED


async def test_a_store_that_forgot_everything_does_not_stop_a_session() -> None:
    redis = Redis()
    async with server(redis) as one, server(redis) as two:
        peer, serving = await speaking(one, 130_000, 6)
        await redis.close()  # restarted, and nothing was kept
        await speak(peer, 130_000, 200_000, 11)
        kill(one, peer)
        assert once(await goes_on(two, [peer], Peer(resume(peer)))) == WANTED
        await one.code(serving)


async def test_an_update_is_kept_at_once() -> None:
    redis = Redis()
    async with server(redis) as one, server(redis) as two:
        peer, serving = await speaking(one, 96_000, 5)
        before = redis.holds
        peer.say({"type": "update", "config": {"threshold": 0.9}})
        await until(lambda: redis.holds > before)
        kill(one, peer)
        again = Peer(resume(peer), STOP)
        assert await two.code(two.serve(again)) == 1000 and again.of("ready")[0]["config"]["threshold"] == 0.9
        await one.code(serving)


async def test_with_snapshots_at_breaks_only() -> None:
    redis = Redis()
    async with server(redis, every_ms=0) as one, server(redis) as two:
        peer, serving = await speaking(one, 130_000, 6)
        assert redis.holds == 0 and peer.of("ack")[-1]["processed_ms"] >= 2000
        peer.leave()
        await one.code(serving)
        assert plain(await goes_on(two, [peer], Peer(resume(peer)))) == WANTED and redis.holds > 0


async def test_a_silent_session_stays_on_the_shelf() -> None:
    redis = Redis()
    line = Line(redis)
    async with world(shelf=Shelf(line, ttl_s=0.3, every_ms=1000, timeout_s=PATIENCE_S)) as one, server(redis) as two:
        peer, serving = await speaking(one, 96_000, 5)
        before = redis.holds
        await until(lambda: redis.holds >= before + 5)  # half a second, longer than a snapshot lives
        line.away = True
        peer.leave()
        assert once(await goes_on(two, [peer], Peer(resume(peer)))) == WANTED
        await one.code(serving)


def test_a_snapshot_holds_the_last_messages_only() -> None:
    said = [(seq, "x" * 1000) for seq in range(100)]
    kept = newest(said)
    assert kept == said[-len(kept) :] and REPLAY_BYTES - 1000 < 1000 * len(kept) <= REPLAY_BYTES
