"""Bytes that are no session, or a wrong one: refused, or a session stands that does not fall; never an error that is not BadSnapshot."""

from __future__ import annotations

import json
import struct
from typing import Any
from zlib import crc32

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.core import wire
from app.core.snapshot import HEAD, BadSnapshot, restored, snapshot
from app.core.terms import Model
from tests.fake import FRAMES, INFO, LIMITS, model, s16, speechlike
from tests.unit.test_snapshot import opened, score_all


def some() -> bytes:
    session = opened("pcm_s16le", 16000, 2)
    session.receive_bytes(s16(speechlike(6.2, channels=2)))
    score_all(session)
    return snapshot(session, [(9, "{}")])


GOOD = some()


def refused(data: bytes) -> None:
    """Either it is refused, or a session stands that does not fall."""
    try:
        there, _ = restored(data, model(), LIMITS, "t")
    except BadSnapshot:
        return
    there.rejoin()
    there.receive_bytes(bytes(200_000))
    there.stop()
    for message in score_all(there):
        wire.encode(message)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD)), st.binary(max_size=8))
@example(0, b"")
@example(len(GOOD) - 1, b"")
def test_truncated_and_flipped_bytes_are_refused(at: int, put: bytes) -> None:
    for data in (GOOD[:at], GOOD[:at] + put + GOOD[at + len(put) :], GOOD + put):
        if data != GOOD:
            with pytest.raises(BadSnapshot):
                restored(data, model(), LIMITS, "t")


def resealed(header: bytes, rest: bytes) -> bytes:
    return HEAD.pack(b"VXS1", crc32(header + rest), len(header)) + header + rest


def parts() -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack_from("<I", GOOD, 8)
    return json.loads(GOOD[12 : 12 + length]), GOOD[12 + length :]


NUMBERS = st.one_of(st.integers(-3, 50), st.sampled_from([2**31, 2**53, 2**63, 2**200, -(2**63)]), st.floats(), st.none(), st.text(max_size=3))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    return [path] * bool(path) + [found for key, each in items for found in places(each, (*path, key))]


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 10_000), NUMBERS)
def test_an_honest_seal_on_wrong_numbers_breaks_nothing(which: int, put: Any) -> None:
    header, rest = parts()
    *path, last = places(header)[which % len(places(header))]
    inner: Any = header
    for key in path:
        inner = inner[key]
    inner[last] = put
    refused(resealed(json.dumps(header).encode(), rest))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_behind_an_honest_seal(body: bytes) -> None:
    header, rest = parts()
    refused(resealed(body, b""))
    refused(resealed(json.dumps(header).encode(), body))
    refused(resealed(json.dumps(header).encode(), rest[: len(body)] + body + rest[2 * len(body) :]))


def test_of_another_model_or_version_it_is_refused() -> None:
    other = Model(INFO.model_copy(update={"sha256": "1" * 64}), FRAMES, model().points, "balanced", 3, 2)
    with pytest.raises(BadSnapshot, match="another model"):
        restored(GOOD, other, LIMITS, "t")
    with pytest.raises(BadSnapshot):
        restored(b"VXS2" + GOOD[4:], model(), LIMITS, "t")
