"""Twilio's messages -> audio: the same bytes as a native stream of the call, whatever happened on the way; what is lost is silence and is said."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import wire
from app.core.errors import BadBase64, BadConfig, BadMessage, NotReady, PeerError, UnsupportedAudio
from app.core.messages import Warning
from app.core.twilio import HOLD_MS, REORDER, SILENCE, Call, Item, Opening, parse
from app.web.routes import CHANNELS
from tests.phone import PIECE, STREAM, Row, both, media_of, mulaw, recorded, spoken, texts

ROOT, CHANNEL = Path(__file__).parents[2], "/v1/twilio"
TRACKS = spoken(1.0)
ROWS = recorded(TRACKS)
WHOLE = both(TRACKS)


def heard(rows: list[Row], tracks: list[str] | None = None) -> tuple[bytes, list[Item]]:
    """All audio, and everything else but the end and the signs of life."""
    start = next(row for row in recorded({name: b"" for name in tracks or TRACKS}) if row["event"] == "start")
    call = Call(Opening(parse(json.dumps(start))), 1)
    items: list[Item] = []
    for text in texts([row for row in rows if row["event"] not in ("connected", "start")]):
        items += call.receive(text)
    items += call.end()
    assert items.count('{"type":"stop"}') == 1 and items[-1] == '{"type":"stop"}'
    return b"".join(i for i in items if isinstance(i, bytes)), [i for i in items if not isinstance(i, bytes | str)]


def ranges(items: list[Item]) -> list[tuple[int | None, tuple[int, int] | None]]:
    assert all(isinstance(item, Warning) and item.code == "dropped_audio" for item in items), items
    return [(item.channel, item.range_ms) for item in items if isinstance(item, Warning)]


def patched(track: int, start_ms: int, end_ms: int, data: bytes = WHOLE) -> bytes:
    """The whole call with one track silent for a while."""
    out = bytearray(data)
    out[start_ms * 16 + track : end_ms * 16 : 2] = SILENCE * ((end_ms - start_ms) * 8)
    return bytes(out)


# --- audio --------------------------------------------------------------------------------------------------


def test_two_tracks_are_two_channels_and_keys_and_marks_change_nothing() -> None:
    assert heard(ROWS) == (WHOLE, [])
    calm = [row for row in ROWS if row["event"] not in ("dtmf", "mark")]
    for number, row in enumerate(calm[1:], 1):
        calm[number] = {**row, "sequenceNumber": str(number)}
    assert heard(calm) == (WHOLE, [])


def test_one_track_is_one_channel() -> None:
    voice = mulaw("voice-male", 1.0)
    assert heard(recorded({"outbound": voice}), ["outbound"]) == (voice, [])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, REORDER - 1), st.lists(st.integers(2, len(ROWS) - 2), max_size=6))
def test_wrong_order_within_the_window_and_duplicates_change_nothing(seed: int, reach: int, again: list[int]) -> None:
    chance = random.Random(seed)
    middle = ROWS[2:-1]
    order = sorted(range(len(middle)), key=lambda n: n + chance.random() * reach)
    rows = [middle[n] for n in order]
    for at in again:
        rows.insert(chance.randrange(min(at, len(rows)), len(rows) + 1), ROWS[at])
    assert heard([*rows, ROWS[-1]])[0] == WHOLE


@pytest.mark.parametrize("numbers", ["all", "no chunk", "no sequence", "integers"])
@pytest.mark.parametrize(("first", "last"), [(10, 11), (10, 25), (0, 5)])
def test_a_gap_is_silence_and_is_said(numbers: str, first: int, last: int) -> None:
    lost = [row["sequenceNumber"] for row in media_of(ROWS, "inbound")[first:last]]
    rows = json.loads(json.dumps([row for row in ROWS if row.get("sequenceNumber") not in lost]))
    for row in rows:
        if numbers == "no sequence":
            row.pop("sequenceNumber", None)
        elif numbers == "integers" and row["event"] == "media":
            row["sequenceNumber"] = int(row["sequenceNumber"])
            row["media"] |= {name: int(row["media"][name]) for name in ("chunk", "timestamp")}
        elif numbers == "no chunk" and row["event"] == "media":
            del row["media"]["chunk"]
    audio, items = heard(rows)
    if numbers == "no chunk" and last - first < 4:  # nothing tells that 20 ms are missing; the next long gap puts it right
        return
    assert audio == patched(0, first * 20, last * 20)
    assert ranges(items) == ([] if numbers == "no chunk" else [(0, (first * 20, last * 20))])


def test_both_tracks_lose_the_same_moment() -> None:
    rows = [row for row in ROWS if row["event"] != "media" or not 10 <= int(row["media"]["chunk"]) <= 19]
    audio, items = heard(rows)
    assert audio == patched(0, 180, 380, patched(1, 180, 380))
    assert sorted(ranges(items), key=str) == [(0, (180, 380)), (1, (180, 380))]


def test_a_track_that_pauses_is_filled_and_nothing_is_called_lost() -> None:
    """Twilio numbers what it sends: where no chunk is missing, nobody spoke."""
    rows = json.loads(json.dumps([row for row in ROWS if row["event"] != "media" or row["media"]["track"] == "inbound"]))
    late = media_of(ROWS, "outbound")[30:]
    for chunk, row in enumerate(late, 1):
        rows.append(json.loads(json.dumps(row)))
        rows[-1]["media"]["chunk"] = str(chunk)
    rows.sort(key=lambda row: int(row.get("sequenceNumber", 0)))
    for number, row in enumerate(rows[1:], 1):
        row["sequenceNumber"] = str(number)
    audio, items = heard(rows)
    assert (audio, items) == (patched(1, 0, 600), [])


def test_a_silent_track_does_not_hold_the_other_up() -> None:
    start = next(row for row in ROWS if row["event"] == "start")
    call = Call(Opening(parse(json.dumps(start))), 1)
    given_ms = 0
    for at, row in enumerate(media_of(ROWS, "inbound")):
        row = {name: value for name, value in row.items() if name != "sequenceNumber"}
        given_ms += sum(len(item) // 16 for item in call.receive(json.dumps(row)) if isinstance(item, bytes))
        assert given_ms == max(0, (at + 1) * 20 - HOLD_MS)


def test_a_track_that_comes_late_is_waited_for_longer_from_then_on() -> None:
    """Half a second behind: some is lost and said, then the tracks are in step again."""
    medias = [{k: v for k, v in row.items() if k != "sequenceNumber"} for row in ROWS if row["event"] == "media"]
    arrival = sorted(medias, key=lambda row: int(row["media"]["timestamp"]) + 500 * (row["media"]["track"] == "outbound"))
    audio, items = heard(arrival)
    assert audio[0::2] == WHOLE[0::2]
    told = ranges(items)
    assert told and all(channel == 1 for channel, _ in told)
    last = max(end for _, (_, end) in told)  # type: ignore[misc]
    assert last <= 400 and audio[last * 16 + 1 :: 2] == WHOLE[last * 16 + 1 :: 2]


def test_jitter_of_the_clock_is_no_gap() -> None:
    rows = json.loads(json.dumps(ROWS))
    for row in rows:
        if row["event"] == "media":
            row["media"]["timestamp"] = str(max(0, int(row["media"]["timestamp"]) + random.Random(row["sequenceNumber"]).randint(-25, 25)))
    assert heard(rows) == (WHOLE, [])


@pytest.mark.parametrize("jump", [10**12, 70_000])
def test_a_clock_that_jumps_does_not_make_an_hour_of_silence(jump: int) -> None:
    rows = json.loads(json.dumps(ROWS))
    for row in rows:
        if row["event"] == "media" and int(row["media"]["chunk"]) > 20:
            row["media"]["timestamp"] = str(int(row["media"]["timestamp"]) + jump)
    assert heard(rows) == (WHOLE, [])


def test_what_a_real_stream_begins_with() -> None:
    """The first audio is some tens of ms after the stream's start; both tracks keep their own time."""
    rows = json.loads(json.dumps(ROWS))
    for row in rows:
        if row["event"] == "media":
            row["media"]["timestamp"] = str(int(row["media"]["timestamp"]) + (62 if row["media"]["track"] == "inbound" else 122))
    audio, items = heard(rows)
    assert items == []
    assert audio[0::2] == SILENCE * (62 * 8) + TRACKS["inbound"] + SILENCE * (60 * 8)
    assert audio[1::2] == SILENCE * (122 * 8) + TRACKS["outbound"]


# --- mistakes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("no json", PeerError),
        ("[]", BadMessage),
        ('{"event": 1}', BadMessage),
        ('{"event": "media", "media": {}}', BadMessage),
        ('{"event": "media"}', BadMessage),
        ('{"event": "media", "media": {"payload": "*", "track": "inbound"}}', BadBase64),
        ('{"event": "media", "sequenceNumber": "-1", "media": {"payload": ""}}', BadMessage),
        ('{"event": "media", "media": {"payload": "", "timestamp": "1e400"}}', BadMessage),
        ('{"event": "start", "start": {}}', NotReady),
        ("[" * 100_000, PeerError),
        (b"\0", BadMessage),
    ],
)
def test_a_mistake_is_named_and_the_call_goes_on(text: str | bytes, error: type[PeerError]) -> None:
    call = Call(Opening(parse(texts(ROWS)[1])), 1)
    before = [item for text in texts(ROWS[2:40]) for item in call.receive(text)]
    (item,) = call.receive(text)
    assert isinstance(item, error)
    after = [item for text in texts(ROWS[40:]) for item in call.receive(text)]
    assert b"".join(item for item in before + after if isinstance(item, bytes)) == WHOLE


def test_bad_base64_leaves_a_hole_of_its_own_length() -> None:
    rows = json.loads(json.dumps(ROWS))
    media_of(rows, "outbound")[20]["media"]["payload"] = "!!!"
    audio, items = heard(rows)
    assert audio == patched(1, 400, 420)
    assert isinstance(items[0], BadBase64) and ranges(items[1:]) == [(1, (400, 420))]


def test_a_track_nobody_announced_is_told_once_and_not_used() -> None:
    voice = TRACKS["inbound"]
    rows = [row for row in ROWS if row["event"] != "media" or row["media"]["track"] == "inbound" or int(row["media"]["chunk"]) < 9]
    audio, items = heard(rows, ["inbound"])
    assert audio == voice and [getattr(item, "code", None) for item in items] == ["other_tracks"]


def test_nothing_counts_after_stop() -> None:
    call = Call(Opening(parse(texts(ROWS)[1])), 1)
    assert [item for item in call.receive(texts(ROWS)[-1]) if item] == ['{"type":"stop"}']
    assert call.receive(texts(ROWS)[5]) == [] == call.end()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(ROWS[1:]) | st.dictionaries(st.sampled_from(["event", "media", "start", "sequenceNumber"]), st.none() | st.text())))
def test_anything_in_any_order_never_breaks_it_and_time_stays_bounded(rows: list[Any]) -> None:
    call = Call(Opening(parse(texts(ROWS)[1])))
    items = [item for text in texts(rows) for item in call.receive(text)] + call.end()
    audio = b"".join(item for item in items if isinstance(item, bytes))
    assert len(audio) % 2 == 0 and len(audio) <= len(WHOLE) + 2 * PIECE * len(rows)


# --- start --------------------------------------------------------------------------------------------------


def opening(**parameters: str) -> Opening:
    return Opening(parse(texts(recorded(TRACKS, **parameters))[1]))


def test_what_start_asks_for() -> None:
    asked = opening(token="secret", profile="strict", threshold="0.7", customer="c-9", replies="true")
    assert (asked.token, asked.replies) == ("secret", True)
    start = asked.start
    assert start.session_id == STREAM and start.audio == wire.Audio(
        encoding="mulaw", sample_rate=8000, channels=2, channel_labels=["inbound", "outbound"]
    )
    assert (start.config.profile, start.config.threshold, start.config.channel_mode) == ("strict", 0.7, "separate")
    assert start.metadata["customer"] == "c-9" and start.metadata["call_sid"].startswith("CA") and "secret" not in wire.encode(start)
    assert not opening().replies and opening(session_id="call-1").start.session_id == "call-1"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"customParameters": {"threshold": "high"}}, BadConfig),
        ({"customParameters": {"profile": "best"}}, BadConfig),
        ({"customParameters": {"session_id": "a b"}}, BadConfig),
        ({"customParameters": {"much": "x" * 5000}}, BadConfig),
        ({"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1}}, UnsupportedAudio),
        ({"tracks": ["inbound", "inbound"]}, BadMessage),
        ({"tracks": ["a", "b", "c"]}, BadConfig),
        ({"tracks": []}, BadConfig),
        (None, BadMessage),
    ],
)
def test_a_start_that_cannot_be_honoured(change: Row | None, error: type[PeerError]) -> None:
    row = json.loads(texts(ROWS)[1])
    row["start"] = None if change is None else {**row["start"], **change}
    with pytest.raises(error):
        Opening(parse(json.dumps(row)))


def test_the_readmes_twiml_is_understood() -> None:
    """Its stream's address is a route, its parameters ask for what they seem to."""
    text = (ROOT / "README.md").read_text("utf-8")
    (found,) = re.findall(r"```xml\n(.*?)```", text, re.S)
    (stream,) = ElementTree.fromstring(found).iter("Stream")
    given = {part.attrib["name"]: part.attrib["value"] for part in stream.iter("Parameter")}
    asked = opening(**given)
    assert stream.attrib["url"].endswith(CHANNEL) and any(row.path == CHANNEL for row in CHANNELS)
    assert stream.attrib["track"] == "both_tracks"
    assert asked.token and asked.start.session_id == given["session_id"] and asked.start.config.profile == given["profile"]
    assert not set(given) & asked.start.metadata.keys()
