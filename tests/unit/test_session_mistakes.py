"""Mistakes and limits of a session: each is answered with a code, and no audio is lost for it."""

from __future__ import annotations

import numpy as np
import pytest

from app.core import wire
from app.core.errors import BadConfig, FormatUnknown
from app.core.messages import Limits
from app.core.session import Session
from tests.fake import LIMITS, facts, kinds, model, open_session, play, s16, score_all, speechlike


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "bad_json"), ("[1]", "bad_message"), ("3", "bad_message"), ('{"type":5}', "bad_message"), ('{"a":1}', "bad_message"),
        ('{"type":"sing"}', "unknown_type"), ('{"type":"audio","data":"@@@@"}', "bad_base64"), ('{"type":"audio"}', "bad_message"),
        ('{"type":"update","config":{"hop_seconds":1}}', "not_updatable"), ('{"type":"update","config":{"profile":"x"}}', "bad_config"),
        ('{"type":"start"}', "out_of_order"), ("[" * 100000, "bad_json"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_and_nothing_is_lost(text: str, code: str) -> None:
    data = s16(speechlike(2.2))
    session = open_session()
    session.receive_bytes(data[:30001])
    session.receive_text(text)
    out = score_all(session)
    errors = [m.content() for m in out if m.type == "error"]
    assert [(e["code"], e["fatal"]) for e in errors] == [(code, False)] and errors[0]["error"] == errors[0]["message"]
    session.receive_bytes(data[30001:])
    session.stop()
    assert facts(out + score_all(session)) == facts(play(open_session(), [data]))


def test_the_twentieth_mistake_ends_the_session() -> None:
    session = open_session()
    for _ in range(25):
        session.receive_text("nonsense")
    errors = [m.content() for m in session.messages() if m.type == "error"]
    assert len(errors) == 21 and errors[-1]["code"] == "too_many_errors" and errors[-1]["fatal"]
    assert session.closed and session.failure is not None


def test_non_finite_samples_become_silence_and_are_reported_once_a_message() -> None:
    samples = speechlike(2)
    broken = samples.copy()
    broken[5000:5010] = [[np.nan], [np.inf]] * 5
    samples[5000:5010] = 0
    session = open_session("pcm_f32le")
    session.receive_bytes(broken.tobytes())
    session.stop()
    out = score_all(session)
    assert [m.content()["code"] for m in out if m.type == "error"] == ["non_finite_audio"]
    assert facts(out) == facts(play(open_session("pcm_f32le"), [samples.tobytes()]))


@pytest.mark.parametrize("text", ["", "  ", '{"type":"stop"}', '{"type":"close"}', '{"type":"CloseStream"}', '{"type":"Terminate"}', '{"eof":1}'])
def test_every_way_to_stop(text: str) -> None:
    session = open_session()
    session.receive_bytes(s16(speechlike(1.2)))
    session.receive_text(text)
    session.receive_text(text)
    session.receive_bytes(b"late")
    out = score_all(session)
    assert kinds(out)[-1] == "done" and session.closed and session.failure is None
    assert [m.content()["code"] for m in out if m.type == "error"] == ["out_of_order"]


def test_session_limit_ends_with_error_then_done() -> None:
    limits = Limits(max_session_seconds=2, idle_timeout_seconds=30, max_frame_bytes=1, max_buffer_seconds=10)
    session = open_session(limits=limits)
    session.receive_bytes(s16(speechlike(3)))
    out = score_all(session)
    assert kinds(out)[-2:] == ["error", "done"]
    assert out[-2].content()["code"] == "session_too_long" and out[-1].content()["duration_ms"] == 2000
    assert session.closed and session.failure is not None and session.failure.code == "session_too_long"


def test_expiring_is_said_a_minute_ahead() -> None:
    limits = Limits(max_session_seconds=62, idle_timeout_seconds=30, max_frame_bytes=1, max_buffer_seconds=100)
    session = open_session(limits=limits)
    session.receive_bytes(bytes(32000 * 3))
    assert [m.content()["code"] for m in session.messages() if m.type == "warning"] == ["expiring"]


def test_dropping_the_oldest_keeps_time_and_is_counted() -> None:
    limits = Limits(max_session_seconds=99, idle_timeout_seconds=30, max_frame_bytes=1, max_buffer_seconds=2)
    session = open_session(limits=limits, on_overflow="drop_oldest")
    data = s16(speechlike(8))
    for at in range(0, len(data), 3200):
        session.receive_bytes(data[at : at + 3200])
    session.stop()
    out = score_all(session)
    ranges = [m.content()["range_ms"] for m in out if m.type == "warning" and m.content()["code"] == "dropped_audio"]
    done = out[-1].content()
    assert ranges and done["dropped_ms"] == sum(b - a for a, b in ranges) > 4000
    assert done["duration_ms"] == 8000 and done["segments_total"] == 15
    assert done["speech_ms"] <= 8000 - done["dropped_ms"] + 200 * len(ranges)


def test_overflow_close_and_block() -> None:
    limits = Limits(max_session_seconds=99, idle_timeout_seconds=30, max_frame_bytes=1, max_buffer_seconds=1)
    closing, blocking = open_session(limits=limits, on_overflow="close"), open_session(limits=limits)
    for session in (closing, blocking):
        session.receive_bytes(bytes(40000))
    assert closing.failure is not None and closing.failure.code == "overrun"
    assert blocking.full and not blocking.closed
    score_all(blocking)
    assert not blocking.full


def test_what_start_must_hold() -> None:
    with pytest.raises(FormatUnknown):
        Session("s", "t", model(), LIMITS, wire.Start())
    with pytest.raises(BadConfig):
        open_session(enrollment_id="me")
