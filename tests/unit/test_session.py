"""The session's promises: chunking never matters, sessions never meet, order holds, and mistakes are answered without loss."""

from __future__ import annotations

import base64
import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import BadConfig
from app.core.messages import Message
from tests.fake import WHOLE, FakeScorer, facts, kinds, open_session, play, s16, score_all, speechlike

FORMATS = [("pcm_s16le", 16000, 1), ("pcm_s16le", 44100, 2), ("pcm_f32le", 48000, 1), ("mulaw", 8000, 1), ("alaw", 11025, 2), ("pcm_s16le", 44099, 1)]


def material(encoding: str, rate: int, channels: int, seconds: float = 5.3) -> bytes:
    samples = speechlike(seconds, rate, channels=channels, seed=rate + channels)
    if encoding == "pcm_s16le":
        return s16(samples)
    if encoding == "pcm_f32le":
        return samples.astype("<f4").tobytes()
    return bytes(np.random.default_rng(1).integers(0, 256, samples.size, dtype=np.uint8))


def cut(data: bytes, seed: int, sizes: list[int]) -> list[bytes]:
    chance, at, out = random.Random(seed), 0, []
    while at < len(data):
        size = chance.choice(sizes)
        out.append(data[at : at + size])
        at += size
    return out


@pytest.mark.parametrize(("encoding", "rate", "channels"), FORMATS)
def test_any_cut_gives_identical_messages(encoding: str, rate: int, channels: int) -> None:
    data = material(encoding, rate, channels)
    whole = facts(play(open_session(encoding, rate, channels), [data]))
    assert sum(row["type"] == "segment" for row in whole) >= 10
    for seed, sizes in enumerate([[1, 2, 3, 5, 997], [3200], [7, 40001], [len(data) // 3]]):
        assert facts(play(open_session(encoding, rate, channels), cut(data, seed, sizes), limit=1 + seed)) == whole


def test_single_bytes_and_base64_and_binary_agree() -> None:
    data = s16(speechlike(1.7))
    whole = facts(play(open_session(), [data]))
    assert facts(play(open_session(), [data[i : i + 1] for i in range(len(data))])) == whole
    session = open_session()
    for piece in cut(data, 3, [1, 3, 2000]):
        session.receive_text(json.dumps({"type": "audio", "data": base64.b64encode(piece).decode()}))
    session.stop()
    assert facts(score_all(session)) == whole


@settings(max_examples=25)
@given(st.lists(st.integers(1, 60000), min_size=1, max_size=12), st.sampled_from(FORMATS[:4]), st.integers(1, 9))
def test_cuts_are_invisible(sizes: list[int], form: tuple[str, int, int], limit: int) -> None:
    data = material(*form, seconds=2.6)
    assert facts(play(open_session(*form), cut(data, 0, sizes), limit=limit)) == facts(play(open_session(*form), [data]))


def test_interleaved_sessions_do_not_touch() -> None:
    a, b = material("pcm_s16le", 16000, 1), material("mulaw", 8000, 1)
    alone = facts(play(open_session(), [a])), facts(play(open_session("mulaw", 8000), [b]))
    first, second = open_session(), open_session("mulaw", 8000)
    out: tuple[list[Message], list[Message]] = ([], [])
    windows = []
    for i in range(0, max(len(a), len(b)), 1777):
        first.receive_bytes(a[i : i + 1777])
        second.receive_bytes(b[i : i + 1777])
        windows += [(first, w) for w in first.windows()] + [(second, w) for w in second.windows()]
        if i % 3 == 0:  # scored late and together, as a batcher does
            for (owner, window), scored in zip(windows, FakeScorer().score([w for _, w in windows]), strict=True):
                owner.scored(window, scored)
            windows = []
    for owner, window in windows:
        owner.scored(window, FakeScorer()._one(window))
    for session, messages in zip((first, second), out, strict=True):
        session.stop()
        messages += score_all(session)
    assert (facts(out[0]), facts(out[1])) == alone


def test_windows_grow_then_slide_and_end_with_a_tail() -> None:
    segments = [row for row in facts(play(open_session(), [s16(speechlike(5.7))])) if row["type"] == "segment"]
    spans = [(row["start_ms"], row["end_ms"]) for row in segments]
    assert spans[:3] == [(0, 1000), (0, 1500), (0, 2000)]
    assert spans[-3:] == [(1000, 5000), (1500, 5500), (1700, 5700)]
    assert [row["index"] for row in segments] == list(range(len(segments)))


@pytest.mark.parametrize(("seconds", "count"), [(0.3, 1), (1.0, 1), (1.01, 2), (1.5, 2)])
def test_tail_exists_only_for_unscored_samples(seconds: float, count: int) -> None:
    messages = play(open_session(), [s16(speechlike(seconds))])
    assert sum(m.type == "segment" for m in messages) == count
    assert messages[-1].content()["duration_ms"] == round(seconds * 1000)


def test_no_audio_at_all_still_ends_with_done() -> None:
    done = play(open_session(), [])[-1].content()
    assert (done["type"], done["verdict"], done["llr"], done["segments_total"]) == ("done", "no_speech", None, 0)


def test_whole_window_layout_reads_the_window() -> None:
    session = open_session(layout=WHOLE)
    session.receive_bytes(s16(speechlike(5.2)))
    lengths = [(w.span.end - w.span.start, len(w.audio)) for w in session.windows(99)]
    assert lengths[0] == (16000, 16000) and lengths[-1] == (64000, 64000)


def test_results_in_any_order_leave_in_media_order() -> None:
    session = open_session("pcm_s16le", 16000, 2)
    session.receive_bytes(s16(speechlike(3.1, channels=2)))
    windows = session.windows(99)
    scored = FakeScorer().score(windows)
    for window, score in reversed(list(zip(windows, scored, strict=True))):
        assert "segment" not in kinds(session.messages()) or window is windows[0]
        session.scored(window, score)
    segments = [m.content() for m in session.messages() if m.type == "segment"]
    assert [(s["end_ms"], s["channel"]) for s in segments] == sorted((s["end_ms"], s["channel"]) for s in segments)


def test_numbers_count_from_one_without_gaps() -> None:
    messages = play(open_session(), [s16(speechlike(4))])
    assert [m.seq for m in messages] == list(range(1, len(messages) + 1))
    assert kinds(messages)[0] == "ready" and kinds(messages)[-1] == "done"


def test_finalize_scores_what_waits_without_pooling() -> None:
    data = s16(speechlike(3.2))
    session, plain = open_session(), facts(play(open_session(), [data]))
    session.receive_bytes(data[: 2 * 20800])
    session.receive_text('{"type":"finalize","id":"x"}')
    session.receive_text('{"type":"finalize"}')
    out = score_all(session)
    interim = [m.content() for m in out if m.type == "segment" and m.content().get("interim")]
    assert [(s["start_ms"], s["end_ms"]) for s in interim] == [(0, 1300)]  # the second finds nothing new
    assert next(m.content() for m in out if m.type == "finalized")["id"] == "x"
    assert [m.content()["as_of_ms"] for m in out if m.type == "finalized"] == [1300, 1300]
    session.receive_bytes(data[2 * 20800 :])
    session.stop()
    rest = facts([m for m in out + score_all(session) if not m.content().get("interim") and m.type != "finalized"])
    assert rest == plain


def test_update_holds_from_the_next_window_on() -> None:
    session = open_session()
    loud = s16(speechlike(6, level=0.115))
    session.receive_bytes(loud[: len(loud) // 2])
    session.receive_text('{"type":"update","config":{"profile":"fast","detail":"full"}}')
    session.receive_bytes(loud[len(loud) // 2 :])
    session.stop()
    out = score_all(session)
    at = kinds(out).index("updated")
    assert out[at].content()["config"]["profile"] == "fast"
    assert all("quality" not in m.content() for m in out[:at] if m.type == "segment")
    assert all("quality" in m.content() for m in out[at:] if m.type == "segment")
    before = [m.content() for m in out[:at] if m.type == "segment"]
    assert all(s["verdict"] == "uncertain" for s in before if -0.5 < (s["llr"] or 9) < 0.5)


def test_a_resumed_session_continues_without_a_seam() -> None:
    rate = 44100
    data = material("pcm_s16le", rate, 1, 4.0)
    session = open_session("pcm_s16le", rate)
    session.receive_bytes(data[:100001])  # an odd byte is on its way when the line breaks
    seen = score_all(session)
    session.rejoin()
    (again,) = session.messages()
    ready = again.content()
    assert (ready["type"], ready["seq"], ready["resume"]["accepted"]) == ("ready", 1, True)
    from_byte = ready["resume"]["continue_from_ms"] * rate // 1000 * 2
    assert from_byte <= 100000
    session.receive_bytes(data[from_byte:])
    session.stop()
    assert facts(seen + score_all(session)) == facts(play(open_session("pcm_s16le", rate), [data]))


def test_two_channels_have_a_verdict_each_and_the_higher_llr_speaks() -> None:
    both = np.concatenate((speechlike(4, level=0.05, seed=1), speechlike(4, level=0.3, seed=2)), axis=1)
    done = play(open_session("pcm_s16le", 16000, 2), [s16(both)])[-1].content()
    assert [c["verdict"] for c in done["channels"]] == ["bonafide", "spoof"]
    assert done["llr"] == done["channels"][1]["llr"] and done["verdict"] == "spoof"
    mixed = play(open_session("pcm_s16le", 16000, 2, channel_mode="mix"), [s16(both)])[-1].content()
    assert len(mixed["channels"]) == 1


def test_each_channel_equals_the_same_channel_alone() -> None:
    both = np.concatenate((speechlike(3.3, seed=1), speechlike(3.3, seed=2)), axis=1)
    stereo = [r for r in facts(play(open_session("pcm_s16le", 16000, 2), [s16(both)])) if r["type"] == "segment" and r["channel"] == 1]
    alone = [r for r in facts(play(open_session(), [s16(both[:, 1:])])) if r["type"] == "segment"]
    assert [{**r, "channel": 0} for r in stereo] == alone


def test_acks_come_each_second() -> None:
    data = s16(speechlike(3.05))
    acks = [m.content() for m in play(open_session(), [data[i : i + 3200] for i in range(0, len(data), 3200)]) if m.type == "ack"]
    assert [a["received_ms"] for a in acks] == [1000, 2000, 3000]
    assert acks[-1]["bytes"] == 96000 and acks[-1]["frames"] == 30 and acks[-1]["processed_ms"] >= 2500


def test_hop_of_the_client() -> None:
    messages = play(open_session(hop_seconds=0.25), [s16(speechlike(2))])
    assert [m.content()["end_ms"] for m in messages if m.type == "segment"] == [1000, 1250, 1500, 1750, 2000]
    assert messages[0].content()["config"]["hop_seconds"] == messages[0].content()["model"]["hop_seconds"] == 0.25
    for bad in (0.05, 0.2, 5.0):
        with pytest.raises(BadConfig):
            open_session(hop_seconds=bad)


def test_warnings_about_the_sound() -> None:
    quiet = play(open_session(), [s16(speechlike(4, level=0.0005))])
    clipped = play(open_session(), [s16(speechlike(4, level=0.9))])
    assert "low_level" in [m.content()["code"] for m in quiet if m.type == "warning"]
    assert "clipping" in [m.content()["code"] for m in clipped if m.type == "warning"]
    phone = play(open_session("pcm_s16le", 8000), [s16(speechlike(4, 8000))])
    assert [m.content()["code"] for m in phone if m.type == "warning"].count("narrowband") == 1
