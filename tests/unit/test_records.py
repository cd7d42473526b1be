"""Records of sessions: what a running and an ended session tell, for how long, to whom; over two processes; with a cache that fails.

The cache is a real one; the clock is injected and no background task runs: `flush` is called.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from app.core import wire
from app.core.errors import StoreUnavailable
from app.core.messages import Message, Ready
from app.core.session import Session
from app.service.access import Principal
from app.service.recorder import CHUNK, Recorder
from app.service.records import ALIVE_S, LOST_S, Records
from app.settings import Settings
from app.store.cache import MemoryCache
from tests.fake import INFO, LIMITS, model, open_session, play, s16, score_all, speechlike

AUDIO = s16(speechlike(6.0))
START = wire.Start.model_validate({"audio": {"encoding": "pcm_s16le", "sample_rate": 16000}})
WAV_RESULT: dict[str, Any] = {
    "session_id": "f", "duration_ms": 1000, "speech_ms": 900, "verdict": "spoof", "score": 0.9, "llr": 2.2, "channels": [
        {"channel": 0, "label": None, "verdict": "spoof", "score": 0.9, "llr": 2.2, "speech_ms": 900,
         "segments": {"total": 1, "spoof": 1, "bonafide": 0, "uncertain": 0, "no_speech": 0}}],
    "spoof_ranges": [], "segments_total": 1, "dropped_ms": 0, "model": INFO.model_dump(), "sha256": "ab" * 32, "warnings": [],
    "segments": [{"index": 0, "channel": 0, "start_ms": 0, "end_ms": 1000, "verdict": "spoof", "score": 0.9, "llr": 2.2, "speech_ms": 900}],
}  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Failing(MemoryCache):
    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.writes: list[str] = []

    async def get(self, key: str) -> bytes | None:
        if self.down:
            raise StoreUnavailable("down")
        return await super().get(key)

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        if self.down:
            raise StoreUnavailable("down")
        self.writes.append(key)
        await super().set(key, value, ttl_s)


def records(cache: MemoryCache, clock: Clock, **settings: Any) -> Records:
    return Records(cache, Settings(_env_file=None, **settings), clock)  # type: ignore[call-arg]


def hear(recorder: Recorder, messages: list[Message]) -> None:
    for message in messages:
        recorder.said(message)


def opened(here: Records, owner: str = "bank", session: Session | None = None) -> tuple[Recorder, Session]:
    session = session or open_session()
    return here.observe(Principal(owner=owner), session), session


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def told(here: Records, owner: str = "bank", session_id: str = "s") -> dict[str, Any]:
    found = await here.get(owner, session_id)
    assert found is not None
    return found


async def test_what_the_client_said_of_its_session_stands_in_its_record(clock: Clock) -> None:
    here = records(MemoryCache(), clock)
    start = wire.Start.model_validate({**START.model_dump(exclude_none=True), "metadata": {"call_sid": "CA1"}})
    recorder, session = opened(here, session=Session("s", "t", model(), LIMITS, start))
    session.receive_bytes(AUDIO)
    hear(recorder, score_all(session))
    assert (await told(here))["metadata"] == {"call_sid": "CA1"}
    await here.flush()
    session.stop()
    hear(recorder, score_all(session))
    recorder.ended()
    await here.flush()
    assert (await told(here))["metadata"] == {"call_sid": "CA1"}


async def test_a_running_session_tells_what_it_has_and_an_ended_one_all(clock: Clock) -> None:
    here = records(MemoryCache(), clock)
    recorder, session = opened(here)
    session.receive_bytes(AUDIO[:100_000])
    hear(recorder, score_all(session))
    running = await told(here)
    assert running["state"] == "running" and running["ended_at"] is None
    assert running["duration_ms"] == 3125 and len(running["segments"]) == running["segments_total"] == 5
    assert running["channels"][0]["verdict"] == running["verdict"] and running["channels"][0]["state"] in ("provisional", "stable", "warming")
    session.receive_bytes(AUDIO[100_000:])
    session.stop()
    clock.now += 3
    hear(recorder, score_all(session))
    recorder.ended()
    await here.flush()
    final = await told(here)
    done = play(open_session(), [AUDIO])[-1].content()
    assert {name: final[name] for name in ("verdict", "score", "llr", "speech_ms", "duration_ms", "spoof_ranges", "segments_total")} == {
        name: done[name] for name in ("verdict", "score", "llr", "speech_ms", "duration_ms", "spoof_ranges", "segments_total")
    }
    assert final["state"] == "finished" and final["ended_at"] == "2027-01-15T08:00:03.000Z" and final["started_at"] == "2027-01-15T08:00:00.000Z"
    assert final["audio"]["sha256"] == hashlib.sha256(AUDIO).hexdigest() and final["audio"]["encoding"] == "pcm_s16le"
    assert final["model"]["sha256"] == INFO.sha256 and final["error"] is None
    assert AUDIO[1000:1040] not in json.dumps(final).encode()


@pytest.mark.parametrize(("owner", "session_id"), [("thief", "s"), ("bank", "t"), ("", "s"), ("bank\0s", ""), ('bank", "s', "")])
async def test_nobody_elses_record_is_found(clock: Clock, owner: str, session_id: str) -> None:
    here = records(MemoryCache(), clock)
    recorder, session = opened(here)
    hear(recorder, play(session, [AUDIO]))
    assert await here.get(owner, session_id) is None
    recorder.ended()
    await here.flush()
    assert await here.get(owner, session_id) is None


async def test_two_owners_may_choose_the_same_id(clock: Clock) -> None:
    here = records(MemoryCache(), clock)
    ours, session = opened(here)
    theirs, other = opened(here, "rival")
    hear(ours, play(session, [AUDIO]))
    hear(theirs, play(other, [AUDIO[:64_000]]))
    await here.flush()
    assert (await told(here))["duration_ms"] == 6000 and (await told(here, "rival"))["duration_ms"] == 2000


async def test_a_record_ends_when_its_time_is_over(clock: Clock) -> None:
    here = records(MemoryCache(), clock, session_record_seconds=600)
    recorder, session = opened(here)
    hear(recorder, play(session, [AUDIO]))
    recorder.ended()
    await here.flush()
    await here.finished("bank", "f", "file", WAV_RESULT)
    clock.now += 599
    assert (await told(here))["expires_at"] == (await told(here, session_id="f"))["expires_at"] == "2027-01-15T08:10:00.000Z"
    clock.now += 1
    assert await here.get("bank", "s") is None and await here.get("bank", "f") is None


async def test_none_are_kept_if_that_is_wished(clock: Clock) -> None:
    cache = Failing()
    here = records(cache, clock, session_record_seconds=0)
    recorder, session = opened(here)
    hear(recorder, play(session, [AUDIO]))
    recorder.ended()
    await here.finished("bank", "f", "file", WAV_RESULT)
    await here.flush()
    assert await here.get("bank", "s") is None and await here.get("bank", "f") is None and not cache.writes


async def test_progress_is_written_in_batches_and_full_chunks_once(clock: Clock) -> None:
    cache = Failing()
    here = records(cache, clock)
    recorder, session = opened(here)
    rows = [message for message in play(session, [AUDIO]) if message.type == "segment"]
    hear(recorder, session.messages())
    recorder.said(Ready.model_construct(session_id="s", audio={}, config={}, model=INFO))
    for count in range(3 * CHUNK):
        recorder.said(rows[count % len(rows)])
        if count % 100 == 99:
            await here.flush()
    key = cache.writes[-1]
    chunks = [each for each in cache.writes if each.startswith(f"{key}:")]
    assert [chunks.count(f"{key}:{number}") for number in range(3)] == [3, 4, 2], "a full chunk is not written again"
    assert cache.writes.count(key) == 7
    recorder.said(rows[0])
    recorder.ended()
    await here.flush()
    assert len((await told(here))["segments"]) == 3 * CHUNK + 1
    cache.writes.clear()
    await here.flush()
    assert not cache.writes and not here._recorders and not here._stored


async def test_segments_beyond_the_limit_are_counted(clock: Clock) -> None:
    here = records(MemoryCache(), clock, session_record_segments=4)
    recorder, session = opened(here)
    hear(recorder, play(session, [AUDIO]))
    recorder.ended()
    await here.flush()
    found = await told(here)
    assert (len(found["segments"]), found["segments_total"], found["segments_left_out"]) == (4, 11, 7)
    assert [row["end_ms"] for row in found["segments"]] == [1000, 1500, 2000, 2500]


async def test_a_session_that_broke_or_failed_says_so(clock: Clock) -> None:
    here = records(MemoryCache(), clock)
    broken, session = opened(here)
    session.receive_bytes(AUDIO)
    hear(broken, score_all(session))
    broken.ended()
    failed, other = opened(here, "rival")
    other.fail(StoreUnavailable("why"))
    hear(failed, other.messages())
    failed.ended()
    await here.flush()
    assert (await told(here))["state"] == "broken"
    found = await told(here, "rival")
    assert found["state"] == "failed" and found["error"] == {"code": "store_unavailable", "message": "why"}


async def test_a_session_that_was_refused_before_it_began_leaves_nothing(clock: Clock) -> None:
    here = records(MemoryCache(), clock)
    opened(here)[0].ended()
    await here.flush()
    assert await here.get("bank", "s") is None


async def test_a_silent_session_runs_and_one_without_a_server_is_lost(clock: Clock) -> None:
    cache = MemoryCache()
    here, there = records(cache, clock), records(cache, clock)
    recorder, session = opened(here)
    hear(recorder, session.messages())
    for _ in range(6):
        await here.flush()
        clock.now += ALIVE_S + 1
    assert (await told(there))["state"] == "running"
    clock.now += LOST_S
    assert (await told(there))["state"] == "lost"


async def test_the_same_id_again_keeps_what_was_before_in_brief(clock: Clock) -> None:
    here = records(MemoryCache(), clock)
    for seconds in (1, 2, 3):
        await here.finished("bank", "f", "file", {**WAV_RESULT, "duration_ms": seconds * 1000})
    session = Session("f", "t", model(), LIMITS, START)
    recorder, _ = opened(here, session=session)
    hear(recorder, play(session, [AUDIO]))
    recorder.ended()
    await here.flush()
    found = await told(here, session_id="f")
    assert found["kind"] == "live" and found["duration_ms"] == 6000
    assert [row["duration_ms"] for row in found["earlier"]] == [1000, 2000, 3000]
    assert {row["sha256"] for row in found["earlier"]} == {"ab" * 32}


async def test_a_cache_that_fails_costs_no_session_and_no_file(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    cache = Failing()
    here = records(cache, clock)
    cache.down = True
    recorder, session = opened(here)
    hear(recorder, play(session, [AUDIO]))
    recorder.ended()
    await here.flush()
    await here.finished("bank", "f", "file", WAV_RESULT)
    assert (await told(here))["state"] == "finished", "this process still knows"
    with pytest.raises(StoreUnavailable):
        await here.get("bank", "f")
    assert len([each for each in caplog.records if "records" in each.getMessage()]) == 1, "said once"
    cache.down = False
    await here.flush()
    assert (await told(records(cache, clock)))["state"] == "finished"


async def test_what_waits_for_a_dead_cache_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.service.records.MAX_WAITING", 3)
    cache = Failing()
    cache.down = True
    here = records(cache, clock)
    for number in range(10):
        recorder, session = opened(here, owner=f"o{number}")
        hear(recorder, session.messages())
        recorder.ended()
        await here.flush()
    assert len(here._recorders) == len(here._changed) == 3
    assert await here.get("o9", "s") is not None


async def test_the_background_task_writes_the_first_and_the_last_word_at_once() -> None:
    cache = MemoryCache()
    here = Records(cache, Settings(_env_file=None, session_record_every_seconds=3600))  # type: ignore[call-arg]
    async with here:
        recorder, session = opened(here)
        hear(recorder, play(session, [AUDIO]))
        recorder.ended()
    there = Records(cache, Settings(_env_file=None))  # type: ignore[call-arg]
    assert (await told(there))["state"] == "finished"
