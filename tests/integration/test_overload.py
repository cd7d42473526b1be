"""A detector slower than the sound, and clients faster than real time: what is full says so, waits or drops as agreed, and nobody is taken for dead.

`hurried` is such a server: a tenth of a second for each window, two seconds of buffer, a second of patience, pings every 0.3 s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.scoring.load import Detector
from app.status import STATUS
from tests.integration.material import assert_same, changing, encoded, outcome_here, outcome_of_rows, wav_of
from tests.integration.server import Server
from tests.integration.talk import raw, started, stream, talk

PCM = encoded(changing(16000, 1), "pcm_s16le")
PIECES = [PCM[at : at + 8000] for at in range(0, len(PCM), 8000)]

# Pings every 0.3 s with 0.3 s to answer instead of 20 and 20, and a detector that needs 0.1 s for a window.
HURRIED = """
import time, uvicorn, app.scoring.batch as batch
class Config(uvicorn.Config):
    def __init__(self, *args, **options):
        super().__init__(*args, **{**options, "ws_ping_interval": 0.3, "ws_ping_timeout": 0.3})
uvicorn.Config = Config
class Batcher(batch.Batcher):
    def __init__(self, scorer, **options):
        quick = scorer.score
        class Slow:
            def score(self, windows):
                time.sleep(0.1 * len(windows))
                return quick(windows)
        super().__init__(Slow(), **options)
batch.Batcher = Batcher
"""


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[Server]:
    settings = {"max_buffer_seconds": 2, "idle_timeout_seconds": 1, "lagging_ms": 300}
    with Server(tmp_path_factory.mktemp("server"), toy, first=HURRIED, **settings) as running:
        yield running
        assert not running.traces(), "\n".join(running.lines)


async def test_who_is_too_fast_waits_and_is_not_taken_for_dead(hurried: Server, detector: Detector) -> None:
    """Its pongs wait behind its own audio, for longer than a pong may take. Nothing is dropped; that it lags is said."""
    began = time.monotonic()
    rows = await stream(hurried.ws(), PIECES)
    assert time.monotonic() - began > 1.2  # thirteen windows: longer than several pings
    assert_same(outcome_of_rows(rows), await outcome_here(wav_of(PCM, "pcm_s16le", 16000, 1), detector))
    assert rows[-1]["dropped_ms"] == 0
    assert [row["code"] for row in rows if row["type"] == "warning"].count("lagging") == 1


async def test_who_waits_for_an_answer_is_not_idle(hurried: Server) -> None:
    """Everything was sent; the detector needs two seconds for what was asked, and the idle limit is one."""
    async with started(hurried.ws()) as it:
        await it.send(PCM[:73_600], *[{"type": "finalize", "id": number} for number in range(20)])  # 2.3 s: each look is a window of its own
        answers = [await it.next("finalized") for _ in range(20)]
        assert [answer["id"] for answer in answers] == list(range(20)) and it.codes() == []
        assert await it.rest() == 4408  # and now it is


async def test_dropping_the_oldest_keeps_time_and_says_what(hurried: Server) -> None:
    rows = await stream(hurried.ws(), PIECES * 3, config={"on_overflow": "drop_oldest"})
    done, dropped = rows[-1], [row for row in rows if row.get("code") == "dropped_audio"]
    assert done["duration_ms"] == 21_000
    assert dropped and all(0 <= start < end <= 21_000 for start, end in (row["range_ms"] for row in dropped))
    assert done["dropped_ms"] == sum(end - start for start, end in (row["range_ms"] for row in dropped)) > 0
    assert [row["end_ms"] for row in rows if row["type"] == "segment"] == [1000 + 500 * index for index in range(41)]


async def test_closing_on_overflow(hurried: Server) -> None:
    async with started(hurried.ws(), config={"on_overflow": "close"}) as it:
        await it.send(PCM)
        assert await it.rest() == 4503 == STATUS["overrun"].close
        assert it.codes() == ["overrun"]
        assert it.rows[-1]["type"] == "error" and it.rows[-1]["retryable"] is True and it.rows[-1]["fatal"] is True


async def test_a_peer_that_answers_no_ping_is_let_go(hurried: Server) -> None:
    async with raw(hurried.port) as it:
        began = time.monotonic()
        async with asyncio.timeout(5):
            opcode, payload = await it.frame()
            assert opcode == 9
            opcode, payload = await it.frame()
        assert opcode == 8 and int.from_bytes(payload[:2], "big") == 1011
        assert time.monotonic() - began < 3


async def test_a_peer_that_answers_stays(hurried: Server) -> None:
    async with talk(hurried.ws("/ws")) as it:
        with pytest.raises(TimeoutError):
            await it.rest(1.5)  # five pings
        await (await it.connection.ping())
