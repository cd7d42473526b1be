"""The live client wired back to back with the server's own streams, no network between: whatever breaks, the verdicts are those of a whole line."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.client.socket import Closed, Refused, Socket
from app.client.stream import LiveClient, Notice, StreamError
from app.core import wire
from app.main import services_for
from app.scoring.load import Detector, load
from app.service.services import Services
from app.settings import Settings
from tests.cable import Line, Script, ready, scripted
from tests.toy import make_model, voice

Rows = list[dict[str, Any]]
AUDIO = wire.Audio(encoding="pcm_s16le", sample_rate=16000)
SPEECH = voice(7.3, "spoof").tobytes()
WALL_CLOCK = {"latency_ms", "lag_ms"}


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    folder = make_model(tmp_path_factory.mktemp("models") / "toy")
    return load(str(folder), folder.parent)


@asynccontextmanager
async def server(detector: Detector, **settings: Any) -> AsyncIterator[Services]:
    calm = {"max_busy": 1, "max_lag_ms": 60_000, **settings}
    async with services_for(Settings(**calm, _env_file=None), detector) as services:
        yield services


async def talk(connect: Any, pcm: bytes = SPEECH, **options: Any) -> tuple[Rows, list[Notice]]:
    """The whole of `pcm` through a client: every message, and every notice."""
    notices: list[Notice] = []

    async def no_sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    options = {"sleep": no_sleep, **options}
    async with LiveClient("ws://test", AUDIO, connect=connect, on_notice=notices.append, **options) as live:
        for start in range(0, len(pcm), 9999):
            await live.send(pcm[start : start + 9999])
        live.stop()
        rows = [message async for message in live]
    return rows, notices


def heard(rows: Rows) -> Rows:
    """What must be the same however the line was: segments, verdicts, alerts and done, without ids, numbers and clocks."""
    kinds = {"segment", "verdict", "alert", "done"}
    return [{k: v for k, v in row.items() if k not in {"seq", "session_id", *WALL_CLOCK}} for row in rows if row["type"] in kinds]


async def test_a_session_from_start_to_done(detector: Detector) -> None:
    async with server(detector) as services:
        rows, notices = await talk(Line(services).connect)
    assert rows[0]["type"] == "ready" and rows[-1]["type"] == "done" and rows[-1]["verdict"] == "spoof"
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert not notices


@pytest.mark.parametrize("seed", range(8))
async def test_a_line_that_breaks_anywhere_changes_nothing(detector: Detector, seed: int) -> None:
    chance = random.Random(seed)
    cuts = [chance.randint(3, 60) for _ in range(chance.randint(1, 4))]
    async with server(detector) as services:
        whole, _ = await talk(Line(services).connect)
        line = Line(services, *cuts)
        rows, notices = await talk(line.connect)
        assert services.streams.parked == 0
    assert [{**row, "llr": 0, "score": 0} for row in heard(rows) if row["type"] != "done"] == [
        {**row, "llr": 0, "score": 0} for row in heard(whole) if row["type"] != "done"
    ]
    for ours, theirs in zip(heard(rows), heard(whole), strict=True):
        assert ours["llr" if "llr" in ours else "type"] == pytest.approx(theirs["llr" if "llr" in ours else "type"], abs=1e-3)
    assert rows[-1]["verdict"] == whole[-1]["verdict"] and rows[-1]["duration_ms"] == 7300
    numbered = [row["seq"] for row in rows if row["type"] != "ready"]
    assert numbered == sorted(set(numbered)), "a message came twice, or in the wrong order"
    assert line.opened == 1 + sum(notice.kind == "lost" for notice in notices) > 1


async def test_a_lost_session_starts_anew_and_says_so(detector: Detector) -> None:
    async with server(detector, max_parked=0) as services:
        rows, notices = await talk(Line(services, 75).connect)
    (gap,) = [notice for notice in notices if notice.kind == "restarted"]
    assert "no longer has the session" in gap.message
    assert rows[-1]["type"] == "done"
    assert gap.at_ms + rows[-1]["duration_ms"] == 7300, "the new session begins where the old one's verdicts end"


async def test_a_full_server_is_asked_again_when_it_says(detector: Detector) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with server(detector, max_streams=0, retry_after_ms=7000) as services:
        with pytest.raises(StreamError) as caught:
            await talk(Line(services).connect, retries=3, sleep=sleep)
    assert caught.value.code == "server_full" and caught.value.close_code == 4503 and caught.value.retry_after_ms == 7000
    assert len(slept) == 3 and min(slept) >= 7


async def test_a_mistake_of_ours_is_not_repeated(detector: Detector) -> None:
    async with server(detector) as services:
        line = Line(services)
        with pytest.raises(StreamError) as caught:
            await talk(line.connect, config=wire.Config(hop_seconds=33.0))
    assert caught.value.code == "bad_config" and line.opened == 1


async def test_no_progress_is_no_reason_to_go_on_for_ever() -> None:
    """A server that greets and then fails, again and again, is given up."""
    opened = 0

    @asynccontextmanager
    async def connect(url: str, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
        nonlocal opened
        opened += 1
        yield Script([ready(), {"type": "error", "seq": 2, "code": "internal", "message": "No.", "fatal": True, "retryable": True}], 1011)

    with pytest.raises(StreamError, match=r"No\."):
        await talk(connect, retries=4)
    assert opened == 5


@pytest.mark.parametrize("text", ["hello", "[1]", "{}", '{"type": 3}'])
async def test_somebody_else_is_told_from_a_server(text: str) -> None:
    with pytest.raises(StreamError, match="does not speak"):
        await talk(scripted([text]))


async def test_an_end_without_a_verdict_is_an_error() -> None:
    with pytest.raises(StreamError, match="close code 1000"):
        await talk(scripted([ready()]))


async def test_the_first_connection_is_tried_once_a_broken_one_again() -> None:
    asked = 0

    @asynccontextmanager
    async def connect(url: str, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
        nonlocal asked
        asked += 1
        raise Closed(1006, "no connection", opened=False)
        yield

    with pytest.raises(StreamError, match="No connection"):
        await talk(connect)
    assert asked == 1

    @asynccontextmanager
    async def refused(url: str, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
        raise Refused("not here")
        yield

    with pytest.raises(StreamError, match="not here"):
        await talk(refused)


async def test_sending_waits_while_nothing_is_scored(detector: Detector) -> None:
    async with LiveClient("ws://test", AUDIO, connect=scripted([ready()], None), keep_seconds=2) as live:
        await live.send(bytes(32000 * 2))
        waiting = asyncio.create_task(live.send(bytes(2)))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        live.stop()
        await asyncio.wait_for(waiting, 5)
    async with server(detector) as services, LiveClient("ws://test", AUDIO, connect=Line(services).connect, keep_seconds=2) as live:
        reading = asyncio.create_task(anext(row async for row in live if row["type"] == "done"))
        for start in range(0, len(SPEECH), 3200):
            await asyncio.wait_for(live.send(SPEECH[start : start + 3200]), 30)
        live.stop()
        assert (await reading)["duration_ms"] == 7300


async def test_silence_on_our_side_is_bridged_by_keepalives() -> None:
    said: list[str | bytes] = []
    async with asyncio.timeout(20), LiveClient("ws://test", AUDIO, connect=scripted([ready()], None, said)):
        for _ in range(1000):
            await asyncio.sleep(0.01)
            if len(said) > 4:
                break
    assert '"start"' in str(said[0]) and len(said) > 4 and all('"keepalive"' in str(each) for each in said[1:])


async def test_stop_may_give_up_what_is_not_sent(detector: Detector) -> None:
    async with server(detector) as services, LiveClient("ws://test", AUDIO, connect=Line(services).connect) as live:
        await live.send(SPEECH)
        live.stop(discard=True)
        rows = [row async for row in live]
        again = [row async for row in live]
    assert rows[-1]["type"] == "done" and rows[-1]["duration_ms"] == 0
    assert not again


async def test_leaving_early_leaves_nothing_behind(detector: Detector) -> None:
    async with server(detector) as services:
        async with LiveClient("ws://test", AUDIO, connect=Line(services).connect) as live:
            await live.send(SPEECH)
            assert (await anext(aiter(live)))["type"] == "ready"
        assert services.streams.open == 0
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "live"]
