"""The micro-batcher: every caller gets its own scores or an error, in order and soon; the queue has a bound; closing leaves nobody waiting.

Windows are plain numbers here; the scorer answers each with itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import ScoringFailed, ShuttingDown
from app.core.windows import Scored
from app.scoring import batch
from app.scoring.batch import Batcher

PATIENCE_S = 10.0  # a test that waits this long has found a bug
POISON = -1


class Scorer:
    """Records its batches; while `hold` is set, the worker stays inside. A batch with POISON in it fails."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.inside, self.go = threading.Semaphore(0), threading.Event()
        self.go.set()
        self.most_inside = self._inside = 0
        self._lock = threading.Lock()

    def score(self, windows: Sequence[Any]) -> list[Scored]:
        with self._lock:
            self.batches.append(list(windows))
            self._inside += 1
            self.most_inside = max(self.most_inside, self._inside)
        self.inside.release()
        assert self.go.wait(PATIENCE_S)
        with self._lock:
            self._inside -= 1
        if POISON in windows:
            raise RuntimeError("the detector failed")
        return [Scored(float(w), 0, 0) for w in windows]

    async def entered(self) -> None:
        assert await asyncio.to_thread(self.inside.acquire, timeout=PATIENCE_S)


def batcher(scorer: Any, *, workers: int = 1, max_batch: int = 8, max_queue: int = 100) -> Batcher:
    return Batcher(scorer, workers=workers, max_batch=max_batch, max_queue=max_queue)


def ask(batcher: Batcher, *windows: int, bulk: bool = False) -> asyncio.Task[list[Scored]]:
    return asyncio.create_task(batcher.score(list(windows), bulk=bulk))  # type: ignore[arg-type]


async def answers(*tasks: asyncio.Task[list[Scored]]) -> list[Any]:
    """The scores of each caller, or the class of its error."""
    async with asyncio.timeout(PATIENCE_S):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    return [type(r) if isinstance(r, BaseException) else [s.llr for s in r] for r in results]


async def settle() -> None:
    """Lets every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_scores_come_in_the_order_of_the_windows() -> None:
    async with batcher(Scorer()) as one:
        assert await answers(ask(one, 3, 1, 2), ask(one), ask(one, 5)) == [[3, 1, 2], [], [5]]


async def test_what_waits_is_scored_together_live_first() -> None:
    scorer = Scorer()
    scorer.go.clear()
    async with batcher(scorer, max_batch=4) as one:
        tasks = [ask(one, 0)]
        await scorer.entered()
        tasks += [ask(one, 10, bulk=True), ask(one, 11, 12, bulk=True), ask(one, 1, 2), ask(one, 3), ask(one, *range(20, 29))]
        await settle()
        scorer.go.set()
        assert await answers(*tasks) == [[0], [10], [11, 12], [1, 2], [3], list(range(20, 29))]
    # Live calls that fit, then bulk ones into the room that is left; a call larger than a batch goes whole and by itself.
    assert scorer.batches == [[0], [1, 2, 3, 10], list(range(20, 29)), [11, 12]]
    assert (one.batches, one.windows) == (4, 16)


async def test_an_error_reaches_every_waiter_and_the_worker_lives() -> None:
    class Broken:
        def score(self, windows: Sequence[Any]) -> list[Scored]:
            raise MemoryError("no room")

    async with batcher(Broken()) as one:
        assert await answers(*(ask(one, n) for n in range(5))) == [ScoringFailed] * 5
        with pytest.raises(ScoringFailed) as caught:
            await ask(one, 9)
        assert isinstance(caught.value.__cause__, MemoryError)


async def test_a_spoilt_batch_is_tried_again_one_caller_at_a_time() -> None:
    scorer = Scorer()
    scorer.go.clear()
    async with batcher(scorer) as one:
        tasks = [ask(one, 0)]
        await scorer.entered()
        tasks += [ask(one, 1, 2), ask(one, POISON), ask(one, 3), ask(one, 4, bulk=True)]
        await settle()
        scorer.go.set()
        assert await answers(*tasks) == [[0], [1, 2], ScoringFailed, [3], [4]]
        assert scorer.batches == [[0], [1, 2, POISON, 3, 4], [1, 2], [POISON], [3], [4]]
        assert await answers(ask(one, 7)) == [[7]]


@pytest.mark.parametrize("answer", [[], [Scored(1.0, 0, 0)] * 9, None])
async def test_a_wrong_number_of_scores_is_an_error(answer: Any) -> None:
    async with batcher(SimpleNamespace(score=lambda windows: answer)) as one:
        assert await answers(ask(one, 1, 2), ask(one, 3)) == [ScoringFailed, ScoringFailed]


async def test_a_full_queue_makes_callers_wait_and_lets_them_in_later() -> None:
    scorer = Scorer()
    scorer.go.clear()
    async with batcher(scorer, max_batch=2, max_queue=4) as one:
        tasks = [ask(one, n) for n in range(20)]
        await scorer.entered()
        await settle()
        assert one._waiting == 4  # the bound counts windows, those being scored too
        scorer.go.set()
        assert await answers(*tasks) == [[n] for n in range(20)]
        assert one._waiting == 0 and one._waiters == []


async def test_a_caller_that_leaves_makes_room_at_once() -> None:
    scorer = Scorer()
    scorer.go.clear()
    async with batcher(scorer, max_queue=3) as one:
        first = ask(one, 0)
        await scorer.entered()
        leaver, outside = ask(one, 1, 2), ask(one, 3)
        await settle()
        assert len(one._waiters) == 1
        leaver.cancel()
        await settle()
        assert one._waiters == [] and one._waiting == 2  # nobody has to deliver anything for that
        scorer.go.set()
        assert await answers(first, leaver, outside) == [[0], asyncio.CancelledError, [3]]
    assert scorer.batches == [[0], [3]]


async def test_a_caller_that_leaves_while_it_is_scored_or_waits_outside() -> None:
    scorer = Scorer()
    scorer.go.clear()
    async with batcher(scorer, max_queue=1) as one:
        inside = ask(one, 0)
        await scorer.entered()
        outside, patient = ask(one, 1), ask(one, 2)
        await settle()
        for task in (inside, outside):
            task.cancel()
        await settle()
        scorer.go.set()
        assert await answers(inside, outside, patient) == [asyncio.CancelledError, asyncio.CancelledError, [2]]
        assert one._waiting == 0
    assert scorer.batches == [[0], [2]]


async def test_closing_settles_everybody_and_ends_the_threads() -> None:
    scorer = Scorer()
    scorer.go.clear()
    before = threading.active_count()
    one = batcher(scorer, max_queue=2)
    async with one:
        tasks = [ask(one, 0)]
        await scorer.entered()
        tasks += [ask(one, 1, bulk=True), ask(one, 2), ask(one, 3)]
        await settle()
        asyncio.get_running_loop().call_later(0.01, scorer.go.set)
    assert await answers(*tasks) == [[0], ShuttingDown, ShuttingDown, ShuttingDown]  # what is being scored is still delivered
    assert not any(thread.is_alive() for thread in one._threads) and threading.active_count() <= before + 2  # the loop's own pool stays
    with pytest.raises(ShuttingDown):
        await one.score([4])  # type: ignore[list-item]


async def test_an_idle_batcher_closes_and_workers_run_side_by_side() -> None:
    async with batcher(Scorer(), workers=3):
        pass
    scorer = Scorer()
    scorer.go.clear()
    async with batcher(scorer, workers=3, max_batch=1) as one:
        tasks = [ask(one, n) for n in range(6)]
        for _ in range(3):
            await scorer.entered()
        assert scorer.most_inside == 3
        scorer.go.set()
        assert await answers(*tasks) == [[n] for n in range(6)]


async def test_the_event_loop_runs_while_windows_are_scored() -> None:
    scorer = Scorer()
    scorer.go.clear()
    async with batcher(scorer) as one:
        task = ask(one, 1)
        await scorer.entered()
        assert not task.done()  # and yet this line runs
        assert one.waiting_ms() == 0.0
        waiting = ask(one, 2)
        await settle()
        assert one.waiting_ms() >= 0.0 and not waiting.done()
        scorer.go.set()
        await answers(task, waiting)
        assert one.waiting_ms() == 0.0


# --- load ---------------------------------------------------------------------------------------------------


async def test_busy_is_a_share_that_rises_and_fades(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(batch, "time", SimpleNamespace(monotonic=lambda: now[0]))

    class Slow(Scorer):
        def score(self, windows: Sequence[Any]) -> list[Scored]:
            now[0] += windows[0]
            return super().score(windows)

    async with batcher(Slow()) as one:
        assert one.busy() == 0.0
        await answers(ask(one, 3))
        assert one.busy() == pytest.approx(0.5)
        now[0] += 3
        assert one.busy() == pytest.approx(0.25)
        for _ in range(20):
            await answers(ask(one, 3))
        assert 0.99 < one.busy() <= 1
        now[0] += 60
        assert one.busy() < 1e-5
        for _ in range(20):  # half of the time
            await answers(ask(one, 1))
            now[0] += 1
        assert 0.35 < one.busy() < 0.65
    async with batcher(Slow(), workers=2) as two:  # one of two workers: half
        await answers(ask(two, 300))
        assert two.busy() == pytest.approx(0.5, abs=0.01)


CALLS = st.lists(
    st.tuples(st.integers(1, 6), st.booleans(), st.sampled_from(["stay", "stay", "stay", "leave", "poison"]), st.integers(0, 4)), max_size=25
)


@settings(max_examples=40)
@given(CALLS, st.integers(1, 3), st.integers(1, 8), st.integers(1, 12))
def test_any_interleaving_answers_everybody(calls: list[tuple[int, bool, str, int]], workers: int, max_batch: int, max_queue: int) -> None:
    async def scene() -> None:
        scorer = Scorer()
        async with batcher(scorer, workers=workers, max_batch=max_batch, max_queue=max_queue) as one:
            tasks, wanted = [], []
            for number, (size, bulk, fate, pause) in enumerate(calls):
                windows = [100 * number + i for i in range(size)] + [POISON] * (fate == "poison")
                tasks.append(ask(one, *windows, bulk=bulk))
                wanted.append({"stay": [windows], "leave": [windows, asyncio.CancelledError], "poison": [ScoringFailed]}[fate])
                for _ in range(pause):
                    await asyncio.sleep(0)
                if fate == "leave":
                    tasks[number // 2].cancel()
                    wanted[number // 2].append(asyncio.CancelledError)
            got = await answers(*tasks)
            assert all(answer in possible for answer, possible in zip(got, wanted, strict=True))
        assert one._waiting == 0 and one._waiters == [] and not any(one._lanes)
        assert all(len(each) <= max(max_batch, 7) for each in scorer.batches)

    asyncio.run(scene())


async def test_an_observer_hears_of_each_batch() -> None:
    scorer, heard, marks = Scorer(), list[batch.Batched](), iter("abc")
    scorer.go.clear()
    async with Batcher(scorer, workers=1, max_batch=8, max_queue=100, observe=heard.append, mark=lambda: next(marks)) as one:
        first = ask(one, 0)
        await scorer.entered()
        others = [ask(one, 1, 2), ask(one, 3, bulk=True)]
        await asyncio.sleep(0)
        assert one.waiting() == 4 and 0 < one.stuck_s() < PATIENCE_S
        scorer.go.set()
        await asyncio.gather(first, *others)
        assert one.waiting() == 0 and one.stuck_s() == 0
    callers = [(done.windows, [(bulk, mark) for bulk, _, mark in done.calls]) for done in heard]
    assert callers == [(1, [(False, "a")]), (3, [(False, "b"), (True, "c")])]
    assert all(since <= done.began <= done.ended for done in heard for _, since, _ in done.calls)
    assert one.stuck_s() == float("inf")  # its threads are gone
