"""What the outbox of webhooks promises, over SQLite and a real PostgreSQL, with two servers at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core.errors import NotFound, TooManyWebhooks
from tests.hooked import URL, Clock, Setting
from tests.integration.servers_of_others import PostgresServer

Pair = tuple[Setting, Setting]


@pytest.fixture(params=["sqlite", "postgresql"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    """Two servers on one new database, with one clock."""
    url = f"sqlite:///{tmp_path}/x.db"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url()
    clock = Clock()
    one, two = (Setting(tmp_path, *[500] * 3, clock=clock, url=url, max_webhooks=3) for _ in range(2))
    yield one, two
    await one.database.close()
    await two.database.close()


async def test_the_limit_holds_under_concurrency(pair: Pair) -> None:
    tried = [each.webhooks.register("me", URL, ["session.finished"]) for each in pair for _ in range(4)]
    made = await asyncio.gather(*tried, return_exceptions=True)
    assert sum(isinstance(each, TooManyWebhooks) for each in made) == 5 and len(await pair[0].webhooks.of_owner("me")) == 3


async def test_each_delivery_is_made_once_and_failures_again(pair: Pair) -> None:
    one, two = pair
    await one.webhooks.register("me", URL, ["session.finished"])
    await one.happen(count=9)
    while (due := await two.rows.next_at()) is not None:
        one.clock.now = max(one.clock.now, due)
        await asyncio.gather(one.deliver(), two.deliver())
    ids = one.receiver.ids() + two.receiver.ids()
    assert set(ids) == {f"msg_{number}" for number in range(9)} and len(ids) == 9 + 6  # three failures each, and each again
    assert (await one.webhooks.of_owner("me"))[0].failing_since is None


async def test_what_is_deleted_is_gone_with_its_deliveries(pair: Pair) -> None:
    one, two = pair
    made = await one.webhooks.register("me", URL, ["session.finished"])
    await one.happen(count=3)
    with pytest.raises(NotFound):
        await two.webhooks.remove("you", made.id)
    await two.webhooks.remove("me", made.id)
    assert await one.rows.next_at() is None and await one.rows.due(one.clock.now, 9, ()) == []


async def test_one_that_fails_for_days_is_switched_off(pair: Pair) -> None:
    one, two = pair
    await one.webhooks.register("me", URL, ["session.finished"])
    await one.happen()
    await one.deliver()
    one.clock.now += 6 * 86_400
    await one.happen(count=2)
    await two.deliver()
    assert not (await one.webhooks.of_owner("me"))[0].enabled and await one.rows.next_at() is None
