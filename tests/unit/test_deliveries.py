"""Deliveries from the outbox: retries on an injected clock, two servers at one outbox, what a failing receiver comes to."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from app.core import hooks
from app.service.deliveries import PARALLEL_EACH
from tests.hooked import URL, Clock, Setting

DAY_S = 86_400.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def test_a_failed_delivery_is_tried_again_under_its_own_id(folder: Path) -> None:
    here = Setting(folder, 500, 503)
    await here.webhooks.register("me", URL, ["session.finished"])
    await here.happen()
    began, waits = here.clock.now, []
    for _ in range(3):
        await here.deliver()
        due = await here.rows.next_at()
        if due is not None:
            assert await here.deliver() > 0 and len(here.receiver.got) == len(waits) + 1  # not before its time
            waits.append(due - here.clock.now)
            here.clock.now = due
    assert waits == [5.0, 20.0] and here.clock.now == began + 25
    assert here.receiver.ids() == ["msg_0"] * 3
    assert [int(headers["webhook-timestamp"]) - int(began) for _, headers, _ in here.receiver.got] == [0, 5, 25]
    await here.database.close()


async def test_attempts_come_to_an_end(folder: Path) -> None:
    here = Setting(folder, *[500] * 99, webhook_max_attempts=4)
    await here.webhooks.register("me", URL, ["session.finished"])
    await here.happen()
    while (due := await here.rows.next_at()) is not None:
        here.clock.now = max(due, here.clock.now)
        await here.deliver()
    assert len(here.receiver.got) == 4 and here.deliverer.counts["given_up"] == 1
    (row,) = await here.webhooks.of_owner("me")
    assert row.enabled and row.last_status == 500 and row.failing_since is not None
    await here.database.close()


async def test_what_the_receiver_asks_for_is_heeded(folder: Path) -> None:
    here = Setting(folder, 429)
    here.receiver.retry_after_s = 900
    await here.webhooks.register("me", URL, ["session.finished"])
    await here.happen()
    await here.deliver()
    assert await here.rows.next_at() == here.clock.now + 900
    await here.database.close()


async def test_a_receiver_that_is_dead_for_days_is_switched_off_and_a_test_switches_it_on(folder: Path) -> None:
    here = Setting(folder, *[500] * 9, webhook_disable_days=1)
    made = await here.webhooks.register("me", URL, ["session.finished"])
    await here.happen()
    await here.deliver()
    here.clock.now += DAY_S + 1
    await here.happen(count=3)
    await here.deliver()
    (row,) = await here.webhooks.of_owner("me")
    assert not row.enabled and here.deliverer.counts["switched_off"]
    assert await here.rows.next_at() is None
    await here.happen()
    assert await here.rows.next_at() is None  # it is not written down for it either
    assert not (await here.webhooks.test("me", made.id)).taken
    assert not (await here.webhooks.of_owner("me"))[0].enabled
    here.receiver.statuses.clear()
    assert (await here.webhooks.test("me", made.id)).taken
    (row,) = await here.webhooks.of_owner("me")
    assert row.enabled and row.failing_since is None
    assert json.loads(here.receiver.got[-1][2])["type"] == hooks.TEST_EVENT
    await here.database.close()


async def test_gone_means_gone(folder: Path) -> None:
    here = Setting(folder, 410)
    await here.webhooks.register("me", URL, ["session.finished"])
    await here.happen(count=1)
    await here.deliver()
    assert not (await here.webhooks.of_owner("me"))[0].enabled and await here.rows.next_at() is None
    await here.database.close()


async def test_two_servers_make_each_delivery_once(folder: Path) -> None:
    clock = Clock()
    one, two = Setting(folder, clock=clock), Setting(folder, clock=clock)
    await one.webhooks.register("me", URL, ["session.finished"])
    await one.happen(count=12)
    while await one.rows.next_at() is not None:
        await asyncio.gather(one.deliver(), two.deliver())
    ids = one.receiver.ids() + two.receiver.ids()
    assert sorted(ids) == sorted({f"msg_{number}" for number in range(12)})
    await one.database.close()
    await two.database.close()


async def test_what_a_dead_server_had_begun_is_made_by_another_after_its_lease(folder: Path) -> None:
    clock = Clock()
    dead, alive = Setting(folder, clock=clock), Setting(folder, clock=clock)
    await dead.webhooks.register("me", URL, ["session.finished"])
    await dead.happen()
    (delivery,) = await dead.rows.due(clock.now, 9, ())
    assert await dead.rows.claim(delivery, clock.now + 40)  # and then the power fails
    await alive.deliver()
    assert not alive.receiver.got
    clock.now += 41
    await alive.deliver()
    assert alive.receiver.ids() == ["msg_0"]
    assert not await dead.rows.claim(delivery, clock.now + 40)
    await dead.database.close()
    await alive.database.close()


async def test_a_slow_receiver_does_not_hold_up_the_others(folder: Path) -> None:
    here = Setting(folder)
    here.receiver.hold = asyncio.Event()
    await here.webhooks.register("slow", URL, ["session.finished"])
    await here.webhooks.register("quick", URL, ["session.finished"])
    await here.happen("slow", count=50)
    await here.happen("quick")
    await here.deliverer.begin_due()
    await here.deliverer.begin_due()
    async with asyncio.timeout(10):
        await here.receiver.asked.wait()
    await here.deliverer.begin_due()
    assert len(here.receiver.got) == PARALLEL_EACH + 1
    here.receiver.hold.set()
    await here.deliverer.settled()
    await here.database.close()


async def test_one_that_ends_every_server_that_makes_it_is_given_up(folder: Path) -> None:
    here = Setting(folder, webhook_max_attempts=3)
    await here.webhooks.register("me", URL, ["session.finished"])
    await here.happen()
    for _ in range(3):
        (delivery,) = await here.rows.due(here.clock.now, 9, ())
        assert await here.rows.claim(delivery, here.clock.now + 40)
        here.clock.now += 41
    await here.deliver()
    assert not here.receiver.got and here.deliverer.counts["given_up"] == 1 and await here.rows.next_at() is None
    await here.database.close()
