"""Readiness: each check bounded, asked once a second at most, never twice at a time, and silent about what it must not tell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from app.core.errors import StoreUnavailable
from app.scoring.batch import Batcher
from app.service.checks import checks_for
from app.service.decoder_pool import DecoderPool
from app.service.health import Check, Health, Unwell
from app.settings import Settings
from app.store.cache import MemoryCache
from app.store.db import Database
from tests import fake


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def says(text: str) -> Check:
    async def check() -> str:
        return text

    return check


def fails(exc: Exception) -> Check:
    async def check() -> str:
        raise exc

    return check


async def test_all_is_well() -> None:
    async with Health({"a": says("fine"), "b": says("good")}, 1) as health:
        report = await health.report()
    assert report.ready and [each.text for each in report.findings.values()] == ["fine", "good"]


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (Unwell("tired"), "tired"),
        (StoreUnavailable("Redis cannot be reached."), "Redis cannot be reached."),
        (ConnectionRefusedError("postgresql://user:secret@host"), "ConnectionRefusedError"),
    ],
)
async def test_one_problem_is_enough(exc: Exception, text: str) -> None:
    async with Health({"a": says("fine"), "b": fails(exc)}, 1) as health:
        report = await health.report()
    assert not report.ready and report.problems == ["b"] and report.findings["b"].text == text


async def test_a_check_that_hangs_costs_its_time_and_is_not_started_twice() -> None:
    started, clock, go = 0, Clock(), asyncio.Event()

    async def hangs() -> str:
        nonlocal started
        started += 1
        await go.wait()
        return "at last"

    async with Health({"slow": hangs, "quick": says("fine")}, 0.01, clock) as health:
        for _ in range(3):
            report = await health.report()
            assert report.problems == ["slow"] and "0.01 s" in report.findings["slow"].text
            clock.now += 2
        assert started == 1
        go.set()
        await asyncio.sleep(0)
        assert (await health.report()).ready


async def test_a_check_that_cannot_be_stopped_still_costs_no_more() -> None:
    async def stubborn() -> str:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if done:
                    raise

    done: list[bool] = []
    async with Health({"stubborn": stubborn}, 0.01) as health:
        async with asyncio.timeout(5):
            assert not (await health.report()).ready
        done.append(True)


async def test_answers_are_kept_for_a_second() -> None:
    asked, clock = 0, Clock()

    async def counted() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return "fine"

    async with Health({"a": counted}, 1, clock) as health:
        await asyncio.gather(*(health.report() for _ in range(50)))
        assert asked == 1
        clock.now = 0.99
        await health.report()
        assert asked == 1
        health.forget()
        await health.report()
        assert asked == 2
        clock.now = 2
        await health.report()
        assert asked == 3


async def test_changes_are_logged_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    clock, problem = Clock(), [""]

    async def check() -> str:
        if problem[0]:
            raise Unwell(problem[0])
        return "fine"

    async with Health({"a": check}, 1, clock) as health:
        with caplog.at_level(logging.INFO, "app.service.health"):
            for now, text in enumerate(["", "", "broken", "broken", "", ""]):
                clock.now, problem[0] = now * 2.0, text
                await health.report()
    assert [record.getMessage() for record in caplog.records] == ["not ready: a: broken", "ready again"]


# --- what is checked


class Stuck(Batcher):
    stuck = 0.0

    def stuck_s(self) -> float:
        return self.stuck


class Decoders(DecoderPool):
    def __init__(self, problem: Exception | None = None) -> None:
        super().__init__(1, 1 << 30)
        self.problem = problem

    async def check(self) -> None:
        if self.problem:
            raise self.problem


def checks(
    tmp_path: object, batcher: Batcher, decoders: DecoderPool, draining: Callable[[], bool] = lambda: False, redis: str | None = None
) -> Health:
    settings = Settings(data_dir=tmp_path, redis_url=redis, _env_file=None)  # type: ignore[call-arg, arg-type]
    database = Database(None, settings.data_dir)
    return Health(checks_for(settings, fake.INFO, batcher, decoders, database, MemoryCache(), draining), 1)


async def test_a_fresh_server_is_ready_and_makes_no_file(tmp_path: object) -> None:
    async with Stuck(fake.FakeScorer(), workers=1, max_batch=1, max_queue=1) as batcher, checks(tmp_path, batcher, Decoders()) as health:
        report = await health.report()
    assert report.ready and set(report.findings) == {"accepting", "model", "scoring", "decoders", "database"}
    assert not list(tmp_path.iterdir())  # type: ignore[attr-defined]


@pytest.mark.parametrize(("stuck", "text"), [(21.0, "nothing was scored for 21 s"), (float("inf"), "a scoring thread has died")])
async def test_stuck_scoring(tmp_path: object, stuck: float, text: str) -> None:
    async with Stuck(fake.FakeScorer(), workers=1, max_batch=1, max_queue=1) as batcher, checks(tmp_path, batcher, Decoders()) as health:
        batcher.stuck = stuck
        report = await health.report()
    assert report.problems == ["scoring"] and report.findings["scoring"].text == text


async def test_dead_decoders_and_a_drain(tmp_path: object) -> None:
    batcher, draining = Stuck(fake.FakeScorer(), workers=1, max_batch=1, max_queue=1), lambda: True
    async with batcher, checks(tmp_path, batcher, Decoders(OSError("no memory")), draining) as health:
        report = await health.report()
    assert report.problems == ["accepting", "decoders"]


async def test_redis_is_asked_only_where_there_is_one(tmp_path: object) -> None:
    batcher = Stuck(fake.FakeScorer(), workers=1, max_batch=1, max_queue=1)
    async with batcher, checks(tmp_path, batcher, Decoders(), redis="redis://127.0.0.1:1") as health:
        assert "redis" in (await health.report()).findings
