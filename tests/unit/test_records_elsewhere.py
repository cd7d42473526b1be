"""A session's record over two processes with one cache: both tell it, the second goes on with it, and nothing is lost or told twice."""

from __future__ import annotations

import hashlib

import pytest

from app.core import wire
from app.core.session import Session
from app.core.snapshot import restored, snapshot
from app.store.cache import MemoryCache
from tests.fake import FRAMES, LIMITS, model, play, score_all
from tests.unit.test_records import AUDIO, START, Clock, hear, opened, records, told


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_another_server_with_the_same_cache_tells_the_same(clock: Clock) -> None:
    cache = MemoryCache()
    here, there = records(cache, clock), records(cache, clock)
    recorder, session = opened(here)
    hear(recorder, play(session, [AUDIO]))
    assert await there.get("bank", "s") is None
    recorder.ended()
    await here.flush()
    assert await told(there) == await told(here)


async def test_it_goes_on_in_another_process(clock: Clock) -> None:
    cache = MemoryCache()
    here, there = records(cache, clock), records(cache, clock)
    session = Session("s", "t", model(FRAMES), LIMITS, START, portable=True)
    recorder, _ = opened(here, session=session)
    session.receive_bytes(AUDIO[:96_000])
    hear(recorder, score_all(session))
    await here.flush()
    data = snapshot(session, [])
    clock.now += 10

    second, _ = restored(data, model(FRAMES), LIMITS, "t")
    taken, _ = opened(there, session=second)
    second.rejoin()
    second.receive_bytes(AUDIO[96_000:])
    hear(taken, score_all(second))
    assert [row["end_ms"] for row in (await told(there))["segments"]] == list(range(1000, 6001, 500)), "what was before is told as well"
    clock.now += 5
    recorder.ended()  # the first process lets go, late
    await here.flush()
    second.stop()
    hear(taken, score_all(second))
    taken.ended()
    await there.flush()
    await here.flush()
    found = await told(here)
    assert found == await told(there)
    assert found["state"] == "finished" and found["started_at"] == "2027-01-15T08:00:00.000Z"
    assert [row["end_ms"] for row in found["segments"]] == list(range(1000, 6001, 500)) and found["segments_left_out"] == 0
    parts = found["audio"]["parts"]
    assert found["audio"]["sha256"] is None and [(part["start_ms"], part["end_ms"]) for part in parts] == [(0, 3000), (3000, 6000)]
    assert [part["sha256"] for part in parts] == [hashlib.sha256(half).hexdigest() for half in (AUDIO[:96_000], AUDIO[96_000:])]


@pytest.mark.parametrize("recorded", [False, True])
async def test_what_the_other_process_had_not_recorded_yet_comes_with_the_session(clock: Clock, recorded: bool) -> None:
    cache = MemoryCache()
    here, there = records(cache, clock), records(cache, clock)
    session = Session("s", "t", model(FRAMES), LIMITS, START, portable=True)
    recorder, _ = opened(here, session=session)
    session.receive_bytes(AUDIO[:48_000])
    heard = score_all(session)
    hear(recorder, heard)
    if recorded:
        await here.flush()
    session.receive_bytes(AUDIO[48_000:96_000])
    heard += score_all(session)  # dies with the first process, but for the snapshot
    second, said = restored(snapshot(session, [(m.seq, wire.encode(m)) for m in heard if m.seq > 1]), model(FRAMES), LIMITS, "t")
    taken, _ = opened(there, session=second)
    taken.recalled(said)
    second.rejoin()
    second.receive_bytes(AUDIO[96_000:])
    hear(taken, score_all(second))
    await there.flush()
    found = await told(there)
    assert [row["end_ms"] for row in found["segments"]] == list(range(1000, 6001, 500)) and found["segments_total"] == 11
    seqs = [row["seq"] for row in found["segments"]]
    assert seqs == sorted(set(seqs))
