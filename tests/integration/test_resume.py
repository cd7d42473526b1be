"""Broken connections: the session waits, the client comes back, nothing is missing, doubled or different in the end.

Connections are cut as networks cut them (TCP reset), or simply stay open while the client is somewhere else (take-over).
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed

from app.scoring.load import Detector
from app.status import STATUS
from tests.integration.material import assert_same, changing, cut, encoded, outcome_here, outcome_of_rows, wav_of
from tests.integration.server import Server
from tests.integration.talk import S16, Row, Talk, started, stream, talk

PCM = encoded(changing(16000, 1), "pcm_s16le")
SECOND = 32_000


def ticket(ready: Row, last_seq: int = 0) -> Row:
    return {"session_id": ready["session_id"], "resume_token": ready["resume_token"], "last_seq": last_seq}


async def resumed(it: Talk, ready: Row, last_seq: int) -> Row:
    """`ready` of the new connection."""
    await it.send({"type": "start", "resume": ticket(ready, last_seq)})
    return await it.next("ready")


async def refused(server: Server, resume: Row) -> None:
    async with talk(server.ws()) as it:
        await it.send({"type": "start", "audio": S16, "resume": resume})
        assert await it.rest() == 4404
        assert it.codes() == ["unknown_session"] and it.rows[0]["close_code"] == 4404


@pytest.mark.parametrize(("encoding", "rate", "channels"), [("pcm_s16le", 16000, 1), ("pcm_f32le", 44100, 2), ("mulaw", 8000, 1)])
async def test_three_cuts_change_nothing(server: Server, detector: Detector, encoding: str, rate: int, channels: int) -> None:
    """The client knows the first messages only; it is told the rest, then goes on from where the server says."""
    samples = changing(rate, channels, seed=4)
    data = encoded(samples, encoding)
    size = len(data) // len(samples)
    audio = {"encoding": encoding, "sample_rate": rate, "channels": channels}
    wanted = await outcome_here(wav_of(data, encoding, rate, channels), detector)
    seen: list[Row] = []
    at = 0
    for leg in range(4):
        async with talk(server.ws()) as it:
            if leg == 0:
                await it.send({"type": "start", "audio": audio})
                seen.append(await it.next("ready"))
            else:
                ready = await resumed(it, seen[0], seen[-1]["seq"])
                assert ready["seq"] == 1 and ready["resume"]["accepted"] is True
                assert {**ready, "resume": None} == {**seen[0], "resume": None}
                at = ready["resume"]["continue_from_ms"] * rate // 1000 * size
            if leg == 3:
                await it.send(*cut(data[at:], seed=5), {"type": "stop"})
                assert await it.rest() == 1000
                seen += it.rows[1:]
                break
            await it.send(data[at : at + 1_500 * rate // 1000 * size + 1])  # one byte too many: half a frame is lost with the connection
            seen += [await it.next() for _ in range(1 + leg)]  # the others are lost on the way, as far as this client knows
            it.abort()
        await server.until(streams=0)
    assert [row["seq"] for row in seen] == list(range(1, len(seen) + 1))
    assert_same(outcome_of_rows(seen), wanted)


async def test_continue_from_is_what_arrived(server: Server) -> None:
    async with started(server.ws()) as it:
        await it.send(PCM[: 2 * SECOND + 320])
        assert (await it.next("ack"))["received_ms"] == 2010
        it.abort()
        await server.until(streams=0)
        async with talk(server.ws()) as again:
            ready = await resumed(again, it.rows[0], it.rows[-1]["seq"])
            assert ready["resume"] == {"accepted": True, "continue_from_ms": 2010}


async def test_the_right_id_with_a_wrong_token_and_the_other_way_round(server: Server) -> None:
    async with started(server.ws()) as it:
        good = ticket(it.rows[0])
        await refused(server, {**good, "resume_token": "x" * len(good["resume_token"])})
        await refused(server, {**good, "resume_token": good["resume_token"][:-1]})
        await refused(server, {**good, "session_id": "nobody"})
        await it.send(PCM[:SECOND])  # nobody took it over
        assert (await it.next("segment"))["end_ms"] == 1000


async def test_a_finished_session_cannot_be_resumed(server: Server) -> None:
    rows = await stream(server.ws(), [PCM[:SECOND]])
    await refused(server, ticket(rows[0]))


async def test_a_session_closed_on_purpose_cannot_be_resumed(server: Server) -> None:
    async with started(server.ws()) as it:
        await it.send(PCM[:SECOND])
        await it.next("segment")
    await server.until(streams=0)  # left with 1000 and without stop
    await refused(server, ticket(it.rows[0]))


async def test_take_over_while_the_first_connection_lives(server: Server) -> None:
    wanted = outcome_of_rows(await stream(server.ws(), [PCM]))
    async with started(server.ws()) as first, talk(server.ws()) as second:
        await first.send(PCM[: 3 * SECOND])
        while (await first.next())["type"] != "segment":
            pass
        ready = await resumed(second, first.rows[0], first.rows[-1]["seq"])
        assert await first.rest() == 4409
        error = first.rows[-1]
        assert (error["type"], error["code"], error["fatal"], error["close_code"]) == ("error", "taken_over", True, 4409)
        assert error["retryable"] is STATUS["taken_over"].retryable is False
        at = ready["resume"]["continue_from_ms"] * 32
        await second.send(PCM[at:], {"type": "stop"})
        assert await second.rest() == 1000
    # What the first was sent before it lost the session, and what the second was sent, overlap without contradiction.
    both = {row["seq"]: row for row in first.rows if row["type"] != "error"}
    for row in second.rows[1:]:
        assert both.get(row["seq"], row) == row
        both[row["seq"]] = row
    assert sorted(both) == list(range(1, len(both) + 1))
    assert_same(outcome_of_rows(list(both.values())), wanted)


async def test_of_several_take_overs_one_wins(server: Server) -> None:
    async with started(server.ws()) as it, AsyncExitStack() as stack:
        rivals = [await stack.enter_async_context(talk(server.ws())) for _ in range(4)]
        for rival in rivals:
            await rival.send({"type": "start", "resume": ticket(it.rows[0])})
        ends = {asyncio.create_task(one.rest()): one for one in (it, *rivals)}
        waiting = set(ends)
        while len(waiting) > 1:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert [task.result() for task in done] == [4409] * len(done)
        (winner,) = [one for task, one in ends.items() if not task.done()]
        await winner.send(PCM[:SECOND], {"type": "stop"})
        assert [await task for task in ends].count(1000) == 1
        assert winner.rows[-1]["type"] == "done" and winner.rows[-1]["duration_ms"] == 1000


async def test_a_take_over_needs_no_second_place(narrow: Server) -> None:
    """The server is full, and one of those who fill it comes back on a new connection before the old one is known to be dead."""
    async with started(narrow.ws()) as it, started(narrow.ws()), talk(narrow.ws()) as again:
        ready = await resumed(again, it.rows[0], 1)
        assert ready["resume"]["accepted"] is True
        assert await it.rest() == 4409
        await again.send({"type": "stop"})
        assert await again.rest() == 1000


async def test_the_window_for_resuming_ends(hasty: Server) -> None:
    async with started(hasty.ws()) as it:
        it.abort()
        await hasty.until(streams=0, parked=1)
        await hasty.until(parked=0, patience_s=5)  # after 1.5 s
        await refused(hasty, ticket(it.rows[0]))


async def test_an_idle_session_can_be_resumed(hasty: Server) -> None:
    async with started(hasty.ws()) as it:
        await it.send(PCM[: 2 * SECOND])
        assert await it.rest(5) == 4408
        assert it.codes() == ["idle_timeout"] and it.rows[-1]["retryable"] is True
        said = it.rows[:-1]
        async with talk(hasty.ws()) as again:
            ready = await resumed(again, said[0], said[-1]["seq"])
            assert ready["resume"]["continue_from_ms"] == 2000
            await again.send(PCM[2 * SECOND : 4 * SECOND], {"type": "stop"})
            assert await again.rest() == 1000
    rows = said + again.rows[1:]
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert_same(outcome_of_rows(rows), outcome_of_rows(await stream(hasty.ws(), [PCM[: 4 * SECOND]])))


async def test_a_verdict_that_nobody_received_is_kept(server: Server) -> None:
    """Stop was sent and the line went dead before done: coming back brings it."""
    long = PCM * 5
    pieces = [long[at : at + 640_000] for at in range(0, len(long), 640_000)]
    wanted = outcome_of_rows(await stream(server.ws(), pieces))
    async with started(server.ws()) as it:
        await it.send(*pieces, {"type": "stop"})
        it.connection.transport.close()  # all that was sent arrives; nothing is read any more
        await server.until(streams=0)
        async with talk(server.ws()) as again:
            ready = await resumed(again, it.rows[0], 1)
            at = ready["resume"]["continue_from_ms"] * 32
            with suppress(ConnectionClosed):  # if it had it all, done comes at once
                await again.send(long[at:], {"type": "stop"})
            assert await again.rest() == 1000
    assert_same(outcome_of_rows(again.rows), wanted)
