"""Sessions that move to another process, as bytes: whatever the cut, what is said is what one process would have said."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import wire
from app.core.messages import Limits, Message
from app.core.resample import Resampler
from app.core.session import Session
from app.core.snapshot import restored, snapshot
from app.core.terms import Model
from app.core.windows import Layout, Scored, Window
from tests.fake import FRAMES, LIMITS, WHOLE, FakeScorer, facts, model, s16, speechlike

SHORT = Limits(max_session_seconds=7, idle_timeout_seconds=30, max_frame_bytes=1 << 20, max_buffer_seconds=10)
ENCODINGS = ("pcm_s16le", "pcm_f32le", "mulaw", "alaw")


def score(window: Window) -> Scored:
    """The arithmetic detector of `tests.fake`, or for a layout without frames the level of the whole window."""
    if window.memory is not None:
        return FakeScorer()._one(window)
    rms = float(np.sqrt(np.square(window.audio, dtype=np.float64).mean()))
    return Scored(40 * (rms - 0.1), len(window.audio) // 16, (window.span.end - window.span.since) // 16)


def score_all(session: Session) -> list[Message]:
    out = session.messages()
    while windows := session.windows(5):
        for window in windows:
            session.scored(window, score(window))
        out += session.messages()
    return out + session.messages()


def opened(encoding: str, rate: int, channels: int, *, layout: Layout = FRAMES, limits: Limits = LIMITS, **config: Any) -> Session:
    audio = {"encoding": encoding, "sample_rate": rate, "channels": channels}
    start = wire.Start.model_validate({"audio": audio, "config": config, "metadata": {"a": 1}, "token": "secret", "odd": 1})
    return Session("s", "t", model(layout), limits, start, portable=True)


def sound(encoding: str, rate: int, channels: int, seconds: float, seed: int) -> bytes:
    samples = speechlike(seconds, rate, seed=seed, channels=channels)
    if encoding == "pcm_s16le":
        return s16(samples)
    if encoding == "pcm_f32le":
        return samples.astype("<f4").tobytes()
    return np.random.default_rng(seed).integers(60, 200, samples.size).astype(np.uint8).tobytes()


def moved(session: Session, m: Model, limits: Limits = LIMITS) -> tuple[Session, int]:
    """The session in another process; and where its client goes on."""
    there, said = restored(snapshot(session, [(3, "{}")]), m, limits, "t")
    assert said == [(3, "{}")]
    there.rejoin()
    (ready,) = there.messages()
    assert ready.type == "ready" and ready.seq == 1
    return there, ready.resume.continue_from_ms  # type: ignore[attr-defined]


def with_moves(session: Session, data: bytes, moves: list[int], m: Model, limits: Limits = LIMITS) -> list[Message]:
    """Plays it, moving after each of these many bytes; the client sends again from where it is told to."""
    out: list[Message] = []
    at, rate, size = 0, session.intake.rate, session.intake.frame_bytes
    for move in sorted(min(move, len(data)) for move in moves):
        session.receive_bytes(data[at : max(at, move)])
        out += score_all(session)
        at = max(at, move)
        if session.closed:
            break
        session, from_ms = moved(session, m, limits)
        at = from_ms * rate // 1000 * size
    session.receive_bytes(data[at:])
    out += score_all(session)
    session.stop()
    return out + score_all(session)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ENCODINGS), st.integers(1, 2), st.sampled_from(["separate", "mix"]), st.sampled_from([FRAMES, WHOLE]),
    st.sampled_from([None, 0.25, 0.37, 1.0, 4.0]), st.lists(st.integers(0, 340_000), min_size=1, max_size=5), st.integers(0, 99),
)  # fmt: skip
def test_at_the_detectors_own_rate_nothing_changes(
    encoding: str, channels: int, mode: str, layout: Layout, hop: float | None, moves: list[int], seed: int
) -> None:
    config = {"channel_mode": mode, "detail": "full", **({"hop_seconds": hop} if hop else {})}
    data = sound(encoding, 16000, channels, 9.3, seed)
    wanted = with_moves(opened(encoding, 16000, channels, layout=layout, **config), data, [], model(layout))
    got = with_moves(opened(encoding, 16000, channels, layout=layout, **config), data, moves, model(layout))
    assert facts(got) == facts(wanted)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([8000, 11025, 22050, 44099, 44100, 48000, 95999]), st.integers(1, 2), st.lists(st.integers(0, 900), min_size=1, max_size=4))
def test_at_other_rates_neither(rate: int, channels: int, moves: list[int]) -> None:
    data = sound("pcm_s16le", rate, channels, 9.0, rate)
    moves = [move * rate // 100 * 2 * channels for move in moves]
    wanted = with_moves(opened("pcm_s16le", rate, channels), data, [], model())
    got = with_moves(opened("pcm_s16le", rate, channels), data, moves, model())
    assert facts(got) == facts(wanted)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([8000, 11025, 22050, 24000, 32000, 44099, 44100, 48000, 95999, 8379]), st.integers(0, 400), st.integers(1, 120))
def test_a_new_resampler_goes_on_where_the_old_one_was(rate: int, before_hundredths: int, after_hundredths: int) -> None:
    """From any position that has come out, to the bit; and it has given as much when it has been fed as much."""
    position = before_hundredths * rate // 100
    samples = np.random.default_rng(rate).uniform(-1, 1, (2, position + after_hundredths * rate // 100)).astype(np.float32)
    old = Resampler(rate, 16000, 2)
    fed = old.feed(samples)
    position = min(position, fed.shape[1] * rate // 16000)
    begin = old.beginning(position)
    assert position - old.lead <= begin <= position
    new = Resampler(rate, 16000, 2, begin)
    again = new.feed(samples[:, begin:])
    assert new.first_output <= -(-position * 16000 // rate) and new.first_output + again.shape[1] == fed.shape[1]
    whole, rest = np.concatenate([fed, old.flush()], axis=1), np.concatenate([again, new.flush()], axis=1)
    np.testing.assert_array_equal(rest, whole[:, new.first_output :])


def test_commands_move_too() -> None:
    data = s16(speechlike(9.0))

    def played(*moves: int) -> list[dict[str, Any]]:
        session, out = opened("pcm_s16le", 16000, 1), []
        for at in range(0, len(data), 32_000):
            session.receive_bytes(data[at : at + 32_000])
            if at == 96_000:
                session.receive_text('{"type":"update","config":{"threshold":0.9,"detail":"full"}}')
                session.receive_text('{"type":"finalize","id":7}')
            out += score_all(session)
            if at // 32_000 in moves:
                session, _ = moved(session, model())
        session.stop()
        return facts(out + score_all(session))

    assert played(2, 3, 4, 7) == played()


@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f32le", "mulaw"])  # A-law has no silence
def test_dropped_audio_moves_as_silence(encoding: str) -> None:
    limits = Limits(max_session_seconds=60, idle_timeout_seconds=30, max_frame_bytes=1 << 20, max_buffer_seconds=2)
    data = sound(encoding, 16000, 1, 9.0, 3)
    half = len(data) // 2

    def played(moves: bool) -> list[dict[str, Any]]:
        session = opened(encoding, 16000, 1, limits=limits, on_overflow="drop_oldest")
        session.receive_bytes(data[:half])
        out = score_all(session)
        if moves:
            session, from_ms = moved(session, model(), limits)
            assert from_ms == 4500
        session.receive_bytes(data[half : half + half // 2])
        out += score_all(session)
        session.receive_bytes(data[half + half // 2 :])
        session.stop()
        return facts(out + score_all(session))

    assert played(True) == played(False) and played(True)[-1]["dropped_ms"] > 3000


def test_limits_warnings_and_counters_are_kept() -> None:
    session = opened("pcm_s16le", 16000, 1, limits=SHORT)
    session.receive_text("{")
    out = score_all(session)
    session.receive_bytes(s16(speechlike(3.0)) + b"\0")
    out += score_all(session)
    seq = max(m.seq for m in out)
    there, from_ms = moved(session, model(), SHORT)
    assert from_ms == 3000 and there.counters == session.counters and there.processed_ms == 3000
    there.receive_bytes(s16(speechlike(5.0)))
    out = score_all(there)
    assert min(m.seq for m in out) == seq + 1 and there.closed and there.failure is not None
    assert [m.code for m in out if m.type == "error"] == ["session_too_long"]  # type: ignore[attr-defined]
    assert out[-1].duration_ms == 7000  # type: ignore[attr-defined]


def test_a_session_that_ended_moves_with_its_end() -> None:
    session = opened("pcm_s16le", 16000, 1, limits=SHORT)
    out = with_moves(session, s16(speechlike(9.0)), [], model(), SHORT)
    said = [(m.seq, wire.encode(m)) for m in out]
    there, told = restored(snapshot(session, said), model(), SHORT, "t")
    assert there.closed and there.failure is not None and there.failure.code == "session_too_long" and told == said
    there.rejoin()
    assert [m.type for m in there.messages()] == ["ready"] and not there.windows()


def test_audio_that_waits_is_sent_again() -> None:
    session = opened("pcm_s16le", 16000, 1)
    session.receive_bytes(s16(speechlike(2.1)))
    score_all(session)
    session.receive_bytes(bytes(32_000))
    session.receive_text('{"type":"finalize"}')
    there, from_ms = moved(session, model())
    assert from_ms == 2100 and there.counters.bytes == 67_200


def test_no_secret_goes_along() -> None:
    session = opened("pcm_s16le", 16000, 1)
    data = snapshot(session, [])
    assert b"secret" not in data and b'"t"' not in data
    there, _ = restored(data, model(), LIMITS, "another")
    there.rejoin()
    ready = json.loads(wire.encode(there.messages()[0]))
    assert ready["resume_token"] == "another" and ready["unknown_fields"] == ["odd"] and there.terms.start.metadata == {"a": 1}


def test_not_while_windows_are_out() -> None:
    session = opened("pcm_s16le", 16000, 1)
    session.receive_bytes(s16(speechlike(2.0)))
    windows = session.windows()
    with pytest.raises(ValueError, match="being scored"):
        snapshot(session, [])
    for window in windows:
        session.scored(window, score(window))
    assert session.settled and snapshot(session, [])


def test_the_size_is_that_of_the_audio_a_window_needs() -> None:
    """16 kHz, s16: about five seconds; and 25 bytes for each window ever heard."""
    session = opened("pcm_s16le", 16000, 1)
    out = []
    for _ in range(12):
        session.receive_bytes(s16(speechlike(5.0)))
        out += score_all(session)
    assert 130_000 < len(snapshot(session, [])) < 165_000 and len(session.tracks[0].packed) == 119 * 25
