"""Webhooks and their events: who has which, who hears of what, what a session's messages become. `test_deliveries` has what happens then."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Checker

from app.core.errors import ForbiddenAddress, NotFound, StoreUnavailable, TooManyWebhooks
from app.core.messages import Done, Error, Message, Verdict
from app.service.access import Principal
from app.service.webhooks import Webhooks
from tests.fake import open_session, play, s16, speechlike
from tests.hooked import URL, Setting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def test_an_owner_has_its_own(folder: Path) -> None:
    here = Setting(folder)
    assert await here.webhooks.of_owner("me") == [] and not here.database.exists()  # asking makes no database
    made = await here.webhooks.register("me", URL, ["session.finished", "session.finished"])
    assert made.events == ("session.finished",) and made.secret.startswith("whsec_")
    assert await here.webhooks.of_owner("me") == [made] and await here.webhooks.of_owner("you") == []
    for owner, name in (("you", made.id), ("me", "wh_none")):
        with pytest.raises(NotFound):
            await here.webhooks.remove(owner, name)
        with pytest.raises(NotFound):
            await here.webhooks.test(owner, name)
    await here.webhooks.remove("me", made.id)
    assert await here.webhooks.of_owner("me") == []
    await here.database.close()


async def test_there_is_an_end_to_them_and_private_addresses_are_refused(folder: Path) -> None:
    here = Setting(folder, max_webhooks=2)
    with pytest.raises(ForbiddenAddress):
        await here.webhooks.register("me", "https://private.example/", ["session.finished"])
    made = await asyncio.gather(*(here.webhooks.register("me", URL, ["session.finished"]) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(each, TooManyWebhooks) for each in made) == 3
    await here.webhooks.register("you", URL, ["session.finished"])
    await here.database.close()


async def test_only_who_asked_hears_and_each_delivery_is_signed(folder: Path) -> None:
    here = Setting(folder)
    mine = await here.webhooks.register("me", URL + "/1", ["session.finished"])
    await here.webhooks.register("me", URL + "/2", ["session.verdict_changed"])
    await here.webhooks.register("you", URL + "/3", ["session.finished"])
    here.clock.now = time.time()  # the checker looks at its own clock
    await here.happen("me", "session.finished")
    await here.deliver()
    ((url, headers, body),) = here.receiver.got
    assert url == URL + "/1" and Checker(mine.secret).verify(body, dict(headers)) == {"number": 0}
    (row,) = [each for each in await here.webhooks.of_owner("me") if each.id == mine.id]
    assert (row.last_status, row.failing_since) == (200, None)
    assert await here.deliver() == here.settings.webhook_poll_seconds and len(here.receiver.got) == 1
    await here.database.close()


def messages_of_a_session() -> list[Message]:
    return play(open_session(), [s16(speechlike(3, level=0.3)), s16(speechlike(8, level=0.02))])


async def test_what_a_session_says_becomes_events(folder: Path) -> None:
    here, messages = Setting(folder), messages_of_a_session()
    async with here.webhooks:
        await here.webhooks.register("me", URL, ["session.finished", "session.verdict_changed"])
        events = here.webhooks.observe(Principal(owner="me"), open_session())
        others = here.webhooks.observe(Principal(owner="you"), open_session())
        for message in messages:
            events.said(message)
            others.said(message)
        events.ended()
        await here.webhooks._queue.join()
        await here.webhooks.deliverer.begin_due()
        while await here.rows.next_at() is not None:
            await here.webhooks.deliverer.settled()
            await here.webhooks.deliverer.begin_due()
    bodies = [json.loads(body) for _, _, body in here.receiver.got]
    changed = sorted((b["data"] for b in bodies if b["type"] == "session.verdict_changed"), key=lambda data: data["as_of_ms"])
    wanted = [message for message in messages if isinstance(message, Verdict) and message.changed]
    assert len(wanted) >= 2 and [data["verdict"] for data in changed] == [message.verdict for message in wanted]
    (finished,) = [b["data"] for b in bodies if b["type"] == "session.finished"]
    (done,) = [message for message in messages if isinstance(message, Done)]
    assert finished["state"] == "done" and finished["verdict"] == done.verdict and finished["spoof_ranges"] == done.content()["spoof_ranges"]
    assert {b["data"]["session_id"] for b in bodies} == {"s"} and "resume_token" not in json.dumps(bodies)
    await here.database.close()


async def test_a_session_that_failed_has_finished_but_a_connection_that_ended_has_not(folder: Path) -> None:
    here = Setting(folder)
    async with here.webhooks:
        await here.webhooks.register("me", URL, ["session.finished"])
        session = open_session()
        events = here.webhooks.observe(Principal(owner="me"), session)
        events.said(session.messages()[0])
        events.said(Error.of(StoreUnavailable(), fatal=True).numbered(0))
        events.said(Error.of(StoreUnavailable(), fatal=False).numbered(3))
        await here.webhooks._queue.join()
        assert await here.rows.next_at() is None
        events.said(Error.of(StoreUnavailable(), fatal=True).numbered(4))
        events.ended()
        await here.webhooks._queue.join()
        await here.webhooks.deliverer.begin_due()
        await here.webhooks.deliverer.settled()
    assert json.loads(here.receiver.got[0][2])["data"]["state"] == "failed"
    await here.database.close()


async def test_without_webhooks_nothing_is_opened(folder: Path) -> None:
    here = Setting(folder)
    async with here.webhooks:
        events = here.webhooks.observe(Principal(owner="me"), open_session())
        for message in messages_of_a_session():
            events.said(message)
        assert here.webhooks._queue.empty()
    assert not here.database.exists()


async def test_a_full_queue_drops_and_says_so_and_never_waits(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    here = Setting(folder, webhook_max_queue=2)
    await here.webhooks.register("me", URL, ["session.finished"])
    for _ in range(5):  # nothing runs, so nothing is taken out
        here.webhooks.publish("me", "session.finished", {})
    assert here.webhooks.dropped == 3
    assert [record.message for record in caplog.records].count("webhook events come faster than they are written down; 1 were dropped so far") == 1
    await here.database.close()


@pytest.mark.parametrize(("state", "told"), [("broken", True), ("running", False), ("finished", False), (None, False)])
async def test_a_session_nobody_came_back_to_has_finished_unless_another_server_has_it(folder: Path, state: str | None, told: bool) -> None:
    here = Setting(folder)

    async def record(owner: str, session_id: str) -> dict[str, Any] | None:
        return state and {"state": state, "verdict": "spoof", "config": {}}  # type: ignore[return-value]

    webhooks = Webhooks(here.rows, here.receiver, here.settings, record, clock=here.clock, settle_s=0)  # type: ignore[arg-type]
    async with webhooks:
        await webhooks.register("me", URL, ["session.finished"])
        session = open_session()
        events = webhooks.observe(Principal(owner="me"), session)
        webhooks.observe(Principal(owner="me"), session).ended()  # one that never began
        events.said(session.messages()[0])
        events.ended()
        await asyncio.gather(*webhooks._settling)
        await webhooks._queue.join()
        while await here.rows.next_at() is not None:
            await webhooks.deliverer.begin_due()
            await webhooks.deliverer.settled()
    assert [json.loads(body)["data"] for *_, body in here.receiver.got] == [{"session_id": "s", "state": "broken", "verdict": "spoof"}] * told
    await here.database.close()


async def test_what_is_said_again_after_a_restart_is_the_same_event(folder: Path) -> None:
    here, messages = Setting(folder), messages_of_a_session()
    ids: list[list[str]] = []
    for token in ("t", "t", "another"):
        session = open_session()
        session.resume_token = token
        said: list[str] = []
        here.webhooks.publish = lambda owner, event, data, event_id=None, said=said: said.append(event_id)  # type: ignore[method-assign,misc,assignment]
        events = here.webhooks.observe(Principal(owner="me"), session)
        for message in messages:
            events.said(message)
        ids.append(said)
    assert ids[0] == ids[1] and len(set(ids[0])) == len(ids[0]) >= 3 and not set(ids[0]) & set(ids[2])
