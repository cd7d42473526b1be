"""Admission: places are counted exactly, a refusal says when to come again, and a late event loop or a busy detector shows."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ServerFull, ShuttingDown
from app.service import limits
from app.service.limits import Gate, Pulse, strained


@given(st.integers(0, 5), st.lists(st.booleans(), max_size=40))
def test_places_are_counted_exactly(most: int, steps: list[bool]) -> None:
    gate, inside = Gate("streams", most, 4000), []
    for enter in steps:
        if enter and len(inside) < most:
            place = ExitStack()
            place.enter_context(gate.enter())
            inside.append(place)
        elif enter:
            with pytest.raises(ServerFull) as caught, gate.enter():
                raise AssertionError("one too many came in")
            assert caught.value.retry_after_ms == 4000 and f"{most} streams" in caught.value.message
        elif inside:
            inside.pop(len(inside) // 2).close()
        assert gate.open == len(inside)


@pytest.mark.parametrize("problem", [ValueError, asyncio.CancelledError, ServerFull])
def test_a_place_is_given_back_whatever_happens_inside(problem: type[BaseException]) -> None:
    gate = Gate("uploads", 1, 100)
    for _ in range(3):
        with pytest.raises(problem), gate.enter():
            raise problem
    assert gate.open == 0


def test_another_reason_keeps_newcomers_out_and_nobody_else() -> None:
    reason: list[str | None] = [None]
    gate = Gate("streams", 9, 700, lambda: reason[0])
    with gate.enter():
        reason[0] = "its detector is busy"
        with pytest.raises(ServerFull, match="its detector is busy") as caught, gate.enter():
            pass
        assert caught.value.retry_after_ms == 700 and gate.open == 1
        reason[0] = None
        with gate.enter():
            assert gate.open == 2
    assert gate.open == 0


@pytest.mark.parametrize(
    ("busy", "waiting", "late", "reason"),
    [(0.0, 0, 0, None), (0.9, 250, 250, None), (0.91, 0, 0, "busy"), (0.0, 251, 0, "busy"), (0.0, 0, 251, "late"), (1.0, 999, 999, "busy")],
)
def test_what_strain_is(busy: float, waiting: float, late: float, reason: str | None) -> None:
    load = SimpleNamespace(busy=lambda: busy, waiting_ms=lambda: waiting)
    pulse = Pulse()
    pulse.late_ms = late
    said = strained(load, pulse, max_busy=0.9, max_lag_ms=250)
    assert said is None if reason is None else said is not None and reason in said


async def test_a_blocked_loop_shows_and_is_forgotten_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr(limits, "PULSE_S", 0)
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def beats(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async with Pulse() as pulse:
        await beats(3)
        assert pulse.late_ms == 0
        now[0] += 0.4  # the loop stood still for that long
        await beats(1)
        assert pulse.late_ms == pytest.approx(400)
        await beats(3)
        assert pulse.late_ms == pytest.approx(400 * limits.PULSE_FADE**3)
        await beats(40)
        assert pulse.late_ms < 1
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "pulse"]


async def test_the_pulse_ends_with_its_block_even_when_that_fails() -> None:
    with pytest.raises(KeyError):
        async with Pulse():
            raise KeyError
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "pulse"]


async def test_the_pulse_tells_each_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PULSE_S", 0)
    told: list[float] = []
    async with Pulse(told.append):
        for _ in range(5):
            await asyncio.sleep(0)
    assert len(told) >= 3 and all(late_ms >= 0 for late_ms in told)


async def test_a_shut_gate_lets_nobody_in_and_tells_when_it_is_empty() -> None:
    gate = Gate("uploads", 9, 1500)
    with gate.enter():
        gate.shut()
        with pytest.raises(ShuttingDown) as refusal, gate.enter():
            raise AssertionError
        with pytest.raises(ShuttingDown), gate.enter(instead=True):
            raise AssertionError
        assert refusal.value.retry_after_ms == 1500 and gate.open == 1
        waiting = asyncio.create_task(gate.emptied())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting
    await gate.emptied()
