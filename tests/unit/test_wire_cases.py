"""The wire cases that the page is tested with too (tests/wire): our server says exactly these today, and takes what the page says."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from app.core import messages, wire
from app.core.messages import Message, WarningCode
from app.core.session import Session
from tests.fake import LIMITS, model, s16, speechlike
from tests.peer import Peer, resume, world
from tests.wire import HERE, client_cases, server_cases

SERVER: dict[str, Any] = json.loads((HERE / "server.json").read_text("utf-8"))
ROWS: list[dict[str, Any]] = [row for case in (*SERVER["sessions"], *SERVER["breaks"]) for row in case["messages"]] + SERVER["warnings"]
KINDS: dict[str, type[Message]] = {kind.type: kind for kind in vars(messages).values() if isinstance(kind, type) and getattr(kind, "type", None)}


def test_the_cases_are_what_the_server_says_today() -> None:
    assert alike(server_cases(), SERVER), "the server's messages changed: `python -m tests.wire`, and see that the page still takes them"


def alike(one: Any, other: Any) -> bool:
    """Equal, but for the last digits of a score: those depend on the machine."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, int | float):
        return abs(one - other) < 0.002
    return type(one) is type(other) and bool(one == other)


def test_the_cases_show_every_message_the_server_has() -> None:
    assert {row["type"] for row in ROWS} == set(KINDS)
    assert {row["code"] for row in ROWS if row["type"] == "warning"} == set(get_args(WarningCode))
    assert {row["fatal"] for row in ROWS if row["type"] == "error"} == {True, False}
    assert {row["verdict"] for row in ROWS if row["type"] == "verdict"} == {"bonafide", "spoof", "uncertain", "no_speech"}
    assert {row["cleared"] for row in ROWS if row["type"] == "alert"} == {True, False}
    assert any(row.get("interim") for row in ROWS) and {row.get("channel") for row in ROWS} >= {0, 1}


def test_every_case_goes_through_its_model_and_back() -> None:
    for row in ROWS:
        content = {name: value for name, value in row.items() if name != "type"}
        assert json.loads(wire.encode(KINDS[row["type"]].model_validate(content))) == row


async def test_a_live_stream_says_the_same_fields() -> None:
    """With clock, connection and batcher: each message has the fields it has in the cases, neither fewer nor more."""
    shapes: dict[str, set[frozenset[str]]] = {}
    for row in ROWS:
        shapes.setdefault(row["type"], set()).add(frozenset(row))
    said = {case["name"]: json.dumps(case["message"]) for case in client_cases()}
    sound = s16(speechlike(2.2, 48000, level=0.25))
    async with world() as here:
        peer = Peer(said["start"], sound[:100_000])
        serving = here.serve(peer)
        await peer.hears("segment")
        peer.say(said["update"], "{", '{"type":"finalize","id":1}')
        await peer.hears("finalized")
        peer.leave()
        await here.code(serving)
        again = Peer({**json.loads(said["resume"]), **resume(peer)}, sound[100_000:], said["keepalive"], said["stop"])
        assert await here.code(here.serve(again)) == 1000
    heard = [*peer.heard, *again.heard]
    assert {row["type"] for row in heard} >= {"ready", "segment", "verdict", "ack", "updated", "finalized", "error", "done"}
    for row in heard:
        assert frozenset(row) in shapes[row["type"]], row


@pytest.mark.parametrize("case", client_cases(), ids=lambda case: case["name"])
def test_what_the_page_says_is_understood_whole(case: dict[str, Any]) -> None:
    message = wire.parse(json.dumps(case["message"]))
    assert type(message) is wire.CLIENT_TYPES[case["message"]["type"]]
    assert message.unknown() == []
    assert json.loads(wire.encode(message)) == case["message"], "nothing of it is lost"
    if isinstance(message, wire.Start) and message.resume is None:
        ready = json.loads(wire.encode(Session("s", "t", model(), LIMITS, message).messages()[0]))
        assert ready["unknown_fields"] == [] and ready["config"]["profile"] == case["message"]["config"]["profile"]
    if isinstance(message, wire.Update):
        assert set(message.config) <= wire.Config.UPDATABLE
