"""The wire: every message there and back, the query form, strict types, and the answer to anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import messages, wire
from app.core.errors import BadConfig, BadJson, BadMessage, PeerError, UnknownType
from app.core.messages import Ack, Error, Segment
from app.core.pcm import ENCODINGS
from tests.fake import open_session

TEXT = st.text(max_size=20)
NAME = st.text("abcXYZ._-019", min_size=1, max_size=64)
AUDIO = st.fixed_dictionaries(
    {"encoding": st.sampled_from(ENCODINGS), "sample_rate": st.integers(8000, 96000)},
    optional={"channels": st.integers(1, 2), "channel_labels": st.lists(TEXT, max_size=3)},
)
CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "language": TEXT, "threshold": st.floats(0.01, 0.99), "profile": st.sampled_from(["fast", "balanced", "strict"]),
        "hop_seconds": st.floats(0.1, 60), "interim": st.booleans(), "detail": st.sampled_from(["basic", "full"]), "enrollment_id": TEXT,
        "on_overflow": st.sampled_from(["block", "drop_oldest", "close"]), "channel_mode": st.sampled_from(["separate", "mix"]),
    },
)  # fmt: skip
RESUME = st.fixed_dictionaries({"session_id": NAME, "resume_token": NAME}, optional={"last_seq": st.integers(0, 10**12)})
START = st.fixed_dictionaries(
    {},
    optional={
        "protocol": st.just(wire.PROTOCOL), "session_id": NAME, "token": TEXT, "audio": AUDIO, "config": CONFIG, "resume": RESUME,
        "metadata": st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.none(), st.lists(st.booleans())), max_size=4),
    },
)  # fmt: skip
CLIENT = st.one_of(
    START.map(lambda c: {"type": "start", **c}),
    st.fixed_dictionaries({"type": st.just("audio"), "data": TEXT}, optional={"seq": st.integers()}),
    st.fixed_dictionaries({"type": st.just("finalize")}, optional={"id": st.one_of(TEXT, st.integers(-(2**53), 2**53), st.none())}),
    st.fixed_dictionaries({"type": st.just("update"), "config": CONFIG}),
    st.sampled_from([{"type": "keepalive"}, {"type": "stop"}]),
)


@given(CLIENT)
def test_every_client_message_there_and_back(content: dict[str, Any]) -> None:
    message = wire.parse(json.dumps(content))
    assert type(message) is wire.CLIENT_TYPES[content["type"]] and message.unknown() == []
    assert json.loads(wire.encode(message)) == content
    assert wire.parse(wire.encode(message)) == message


@given(CLIENT, st.text("abc", min_size=1, max_size=5).map(lambda name: "x_" + name), st.integers())
def test_unknown_fields_are_kept_aside_and_named(content: dict[str, Any], name: str, value: int) -> None:
    message = wire.parse(json.dumps({**content, name: value}))
    assert message.unknown() == [name]
    assert json.loads(wire.encode(message)) == {**content, name: value}


def test_unknown_fields_are_named_with_their_place_in_the_greeting() -> None:
    audio = {"encoding": "mulaw", "sample_rate": 8000, "bits": 8}
    start = wire.parse(json.dumps({"type": "start", "audio": audio, "config": {"mood": 1}, "later": {"a": 1}}))
    assert isinstance(start, wire.Start) and start.unknown() == ["later", "audio.bits", "config.mood"]


@given(AUDIO, CONFIG, st.fixed_dictionaries({}, optional={"session_id": NAME, "protocol": st.just(wire.PROTOCOL)}))
def test_the_query_says_the_same_as_start(audio: dict[str, Any], config: dict[str, Any], rest: dict[str, Any]) -> None:
    if "channel_labels" in audio:
        audio["channel_labels"] = [label.replace(",", "") for label in audio["channel_labels"]] or ["only"]
    flat = {**{k: str(v) for k, v in {**audio, **config, **rest}.items()}, "interim": str(config.get("interim", True)).lower()}
    if "channel_labels" in audio:
        flat["channel_labels"] = ",".join(audio["channel_labels"])
    expected = wire.parse(json.dumps({"type": "start", "audio": audio, "config": {**config, "interim": config.get("interim", True)}, **rest}))
    assert wire.start_from_query(flat) == expected


def test_a_query_without_a_format_is_no_start() -> None:
    assert wire.start_from_query({}) is None
    assert wire.start_from_query({"token": "x", "profile": "fast"}) is None
    start = wire.start_from_query({"encoding": "alaw", "sample_rate": "8000", "utm": "x"})
    assert start is not None and start.unknown() == ["utm"]


QUERY_NAMES = st.sampled_from([*wire.Config.model_fields, *wire.Start.model_fields, *wire.Audio.model_fields, "type", "x"])


@given(st.dictionaries(QUERY_NAMES, st.one_of(TEXT, st.sampled_from(["nan", "inf", "-1", "1e400", "٣", "²", "0" * 9, "9" * 5000, "true"]))))
def test_any_query_gives_a_start_or_a_peer_error(query: dict[str, str]) -> None:
    for read in (wire.start_from_query, wire.config_from_query):
        try:
            read(query)
        except PeerError as exc:
            assert exc.code == "bad_config"


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"audio": {"sample_rate": True}}, "audio.sample_rate"), ({"audio": {"sample_rate": "16000"}}, "audio.sample_rate"),
        ({"audio": {"sample_rate": 16000.0}}, "audio.sample_rate"), ({"audio": {"sample_rate": 7999}}, "audio.sample_rate"),
        ({"audio": {"sample_rate": 96001}}, "audio.sample_rate"), ({"audio": {"channels": True}}, "audio.channels"),
        ({"audio": {"channels": 3}}, "audio.channels"), ({"audio": {"channels": 0}}, "audio.channels"),
        ({"audio": {"encoding": "pcm"}}, "audio.encoding"), ({"audio": {"encoding": None}}, "audio.encoding"),
        ({"audio": []}, "audio"), ({"audio": {"channel_labels": "ab"}}, "audio.channel_labels"), ({"config": None}, "config"),
        ({"config": {"interim": 1}}, "config.interim"), ({"config": {"interim": "true"}}, "config.interim"),
        ({"config": {"threshold": 0}}, "config.threshold"), ({"config": {"threshold": 1}}, "config.threshold"),
        ({"config": {"threshold": "0.5"}}, "config.threshold"), ({"config": {"threshold": True}}, "config.threshold"),
        ({"config": {"hop_seconds": 10**400}}, "config.hop_seconds"), ({"config": {"profile": "loud"}}, "config.profile"),
        ({"session_id": "a b"}, "session_id"), ({"session_id": "a\n"}, "session_id"), ({"session_id": ""}, "session_id"),
        ({"session_id": 5}, "session_id"), ({"protocol": "voxproof.v2"}, "protocol"), ({"metadata": []}, "metadata"),
        ({"resume": {"session_id": "a"}}, "resume.resume_token"),
        ({"resume": {"session_id": "a", "resume_token": "b", "last_seq": -1}}, "resume.last_seq"),
    ],
)  # fmt: skip
def test_types_and_bounds_are_strict_and_the_field_is_named(part: dict[str, Any], field: str) -> None:
    content = {"type": "start", **part}
    if isinstance(part.get("audio"), dict):
        content["audio"] = {"encoding": "pcm_s16le", "sample_rate": 16000, **part["audio"]}
    with pytest.raises(BadConfig) as caught:
        wire.parse(json.dumps(content))
    assert caught.value.field == field and field in caught.value.message


@pytest.mark.parametrize(
    "content", [{"type": "audio"}, {"type": "audio", "data": 5}, {"type": "audio", "data": "", "seq": True}, {"type": "finalize", "id": 1.5},
                {"type": "finalize", "id": True}, {"type": "finalize", "id": "x" * 129}, {"type": "finalize", "id": 10**20},
                {"type": "update"}, {"type": "update", "config": [1]}],
)  # fmt: skip
def test_other_messages_are_strict_too(content: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        wire.parse(json.dumps(content))


@pytest.mark.parametrize("text", ["x", "ü", "\U0001f600", "\\", "\ud800"])
def test_metadata_may_hold_four_kibibytes_as_compact_utf8(text: str) -> None:
    def start(count: int) -> str:
        return json.dumps({"type": "start", "metadata": {"k": text * count}})

    each = len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")) - 2
    most = (wire.METADATA_BYTES - len('{"k":""}')) // each
    wire.parse(start(most))
    with pytest.raises(BadConfig) as caught:
        wire.parse(start(most + 1))
    assert caught.value.field == "metadata"


# --- anything at all ----------------------------------------------------------------------------------------

WILD_TEXT = st.one_of(st.text(max_size=8), st.sampled_from(["\ud800", "type", "start", "audio", "config", "__class__", "model_config"]))
LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.just(10**1000), st.floats(), WILD_TEXT)
WILD = st.recursive(LEAF, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WILD_TEXT, inner, max_size=4)), max_leaves=8)
FIELDS = sorted({name for kind in (*wire.CLIENT_TYPES.values(), wire.Audio, wire.Config, wire.Resume) for name in kind.model_fields})
SHAPED = st.builds(
    lambda name, fields, parts: {"type": name, **fields, **parts},
    st.sampled_from([*wire.CLIENT_TYPES, "close", "Terminate", "nonsense", "\ud800"]),
    st.dictionaries(st.sampled_from(FIELDS), WILD, max_size=3),
    st.dictionaries(st.sampled_from(["audio", "config", "resume"]), st.dictionaries(st.sampled_from(FIELDS), WILD, max_size=4), max_size=2),
)


def parsed(text: str) -> wire.ClientMessage | PeerError:
    try:
        return wire.parse(text)
    except PeerError as exc:
        assert len(exc.message) < 500 and wire.encode(Error.of(exc, fatal=False))
        return exc


@given(st.one_of(WILD, SHAPED).map(json.dumps))
def test_any_json_is_a_message_or_a_mistake_of_the_peer(text: str) -> None:
    message = parsed(text)
    if isinstance(message, wire.Part):
        wire.encode(message)


@given(st.text(max_size=60))
def test_any_text_is_a_message_or_a_mistake_of_the_peer(text: str) -> None:
    if isinstance(parsed(text), wire.Stop):
        assert not text.strip() or "type" in text or "eof" in text


@given(SHAPED)
def test_a_session_answers_anything_and_lives_or_says_why(content: dict[str, Any]) -> None:
    session = open_session()
    session.receive_text(json.dumps(content))
    session.windows()
    for message in session.messages():
        json.loads(wire.encode(message))
    assert session.failure is None


@pytest.mark.parametrize("before", ['{"type":"start","metadata":{"a":', '{"type":"start","x":', '{"type":"update","config":{"x":', '{"a":', ""])
def test_nesting_of_any_depth(before: str) -> None:
    closing = "}" * before.count("{")
    for depth in [*range(850, 1010), 100_000]:
        parsed(before + "[" * depth + "]" * depth + closing)


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1" * 5000, "1e", "'a'", "{}}", "\ufeff{}"])
def test_what_is_not_json(literal: str) -> None:
    assert isinstance(parsed('{"type":"start","metadata":{"a":' + literal + "}}"), BadJson)


@pytest.mark.parametrize("text", ["null", "1", '"stop"', "[]", '[{"type":"stop"}]', "{}", '{"type":null}', '{"type":["stop"]}', '{"type":1,"eof":1}'])
def test_what_is_no_message(text: str) -> None:
    assert isinstance(parsed(text), BadMessage)


def test_an_unknown_type_is_quoted_in_short() -> None:
    problem = parsed(json.dumps({"type": "x" * 100_000}))
    assert isinstance(problem, UnknownType) and len(problem.message) < 200


@pytest.mark.parametrize(
    "text", ["", " \n", '{"eof":1}', '{"type":"close"}', '{"type":"CloseStream"}', '{"type":"Terminate"}', '{"type":"stop","x":1}']
)
def test_words_for_stop(text: str) -> None:
    assert isinstance(wire.parse(text), wire.Stop)


# --- the server's side --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_never_sent(value: float) -> None:
    segment = Segment(index=0, channel=0, start_ms=0, end_ms=1, verdict="spoof", score=0.5, llr=value, speech_ms=1)
    for content in (segment, {"llr": value}, wire.Update(config={"threshold": value})):
        with pytest.raises(ValueError, match="JSON"):
            wire.encode(content)


def test_only_fields_that_were_set_travel() -> None:
    ack = Ack(received_ms=1, processed_ms=0, buffered_ms=1, bytes=2, frames=1)
    assert "lag_ms" not in json.loads(wire.encode(ack.numbered(3))) and json.loads(wire.encode(ack))["seq"] == 3
    ack.lag_ms = 0
    assert json.loads(wire.encode(ack))["lag_ms"] == 0


def test_each_kind_of_message_has_a_type_of_its_own() -> None:
    kinds = [c for c in vars(messages).values() if isinstance(c, type) and issubclass(c, messages.Message) and c is not messages.Message]
    expected = ["ack", "alert", "done", "error", "finalized", "ready", "segment", "updated", "verdict", "warning"]
    assert sorted(c.type for c in kinds) == expected
