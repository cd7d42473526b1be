"""Spoofed ranges: where in a recording the machine spoke, against recordings whose truth is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.verdict import RANGE_MIN_MS, Heard, OperatingPoint, conclude, spoof_ranges

POINT = OperatingPoint(-0.5, 0.5)
Voice = str  # one letter for each half second: h human, s spoof, . silence


def windows_of(script: Voice, hop: int = 1, tail_ms: int = 0) -> tuple[list[Heard], int]:
    """What a perfect detector hears: the llr of a window is the mean over its half seconds with speech; None with less than one."""
    duration, out, ends = 500 * len(script) + tail_ms, [], list(range(1000, 500 * len(script) + 1, 500 * hop))
    if not ends or ends[-1] < duration:
        ends.append(duration)
    since = 0
    for end in ends:
        start = max(0, end - 4000)
        slots = [c for i, c in enumerate(script) if i * 500 < end and (i + 1) * 500 > start]
        speech = [4.0 if c == "s" else -4.0 for c in slots if c != "."]
        llr = sum(speech) / len(speech) if speech else None
        new = sum(500 for i, c in enumerate(script) if c != "." and since <= i * 500 < end)
        out.append(Heard(start, end, llr, 500 * len(speech), new, POINT.verdict(llr)))
        since = end
    return out, duration


def ranges(script: Voice, **more: int) -> list[tuple[int, int]]:
    heard, duration = windows_of(script, **more)
    return [(r.start_ms, r.end_ms) for r in spoof_ranges(heard, duration)]


@given(st.integers(1, 80), st.integers(1, 4), st.integers(0, 499))
def test_a_spoof_from_end_to_end_is_one_range(length: int, hop: int, tail_ms: int) -> None:
    assert ranges("s" * length, hop=hop, tail_ms=tail_ms) == [(0, 500 * length + tail_ms)]


@given(st.text("h.", max_size=80), st.integers(0, 499))
def test_no_spoof_no_range(script: Voice, tail_ms: int) -> None:
    assert ranges(script, tail_ms=tail_ms) == []


@given(st.integers(8, 30), st.integers(8, 30), st.integers(8, 30))
def test_a_spoof_in_the_middle_is_found_where_it_is(before: int, spoof: int, after: int) -> None:
    (found,) = ranges("h" * before + "s" * spoof + "h" * after)
    assert abs(found[0] - 500 * before) <= 1000 and abs(found[1] - 500 * (before + spoof)) <= 1000


@given(st.integers(8, 30), st.integers(8, 30))
def test_a_spoof_at_either_end_reaches_to_the_end(one: int, other: int) -> None:
    ((start, end),) = ranges("s" * one + "h" * other)
    assert start == 0 and abs(end - 500 * one) <= 1000
    ((start, end),) = ranges("h" * one + "s" * other)
    assert end == 500 * (one + other) and abs(start - 500 * one) <= 1000


@given(st.integers(10, 20), st.integers(1, 20), st.integers(10, 20))
def test_a_pause_between_two_spoofs(one: int, pause: int, other: int) -> None:
    found = ranges("s" * one + "." * pause + "s" * other)
    # A window is silent only when all four seconds of it are; only a longer pause can part the spoof in two.
    assert len(found) == (1 if pause < 12 else len(found)) and 1 <= len(found) <= 2
    assert found[0][0] == 0 and found[-1][1] == 500 * (one + pause + other)


def test_a_human_in_between_parts_two_spoofs() -> None:
    found = ranges("s" * 16 + "h" * 16 + "s" * 16)
    assert len(found) == 2 and found[0][0] == 0 and found[1][1] == 24_000
    assert abs(found[0][1] - 8000) <= 1000 and abs(found[1][0] - 16_000) <= 1000


@given(st.integers(20, 60), st.integers(1, 3), st.integers(20, 60))
def test_a_short_spoof_does_not_condemn_a_session(before: int, spoof: int, after: int) -> None:
    heard, duration = windows_of("h" * before + "s" * spoof + "h" * after)
    final = conclude(heard, POINT, duration)
    assert all(r.end_ms - r.start_ms < RANGE_MIN_MS for r in final.ranges)
    assert final.verdict == "bonafide"


@given(st.integers(20, 100), st.integers(8, 12), st.integers(20, 100))
def test_four_seconds_of_spoof_condemn_a_session_whatever_the_mean(before: int, spoof: int, after: int) -> None:
    heard, duration = windows_of("h" * before + "s" * spoof + "h" * after)
    final = conclude(heard, POINT, duration)
    assert final.llr is not None and final.llr < 0 and final.verdict == "spoof"


@given(st.text("hs.", max_size=60), st.integers(1, 4), st.integers(0, 499))
def test_ranges_are_in_order_apart_and_inside(script: Voice, hop: int, tail_ms: int) -> None:
    heard, duration = windows_of(script, hop, tail_ms)
    found = spoof_ranges(heard, duration)
    edges = [edge for r in found for edge in (r.start_ms, r.end_ms)]
    assert edges == sorted(edges) and all(0 <= edge <= duration for edge in edges)
    assert all(r.end_ms > r.start_ms and r.llr >= POINT.spoof_llr for r in found)
    for h in heard:  # what each window says of the time around its middle stands
        within = any(r.start_ms < (h.start_ms + h.end_ms) / 2 < r.end_ms for r in found)
        assert h.llr is None or within == (h.verdict == "spoof") or duration < 1500


@pytest.mark.parametrize("llr", [None, -3.0, 3.0])
def test_one_short_window_is_the_whole_session(llr: float | None) -> None:
    heard = [Heard(0, 700, llr, 600, 600, POINT.verdict(llr))]
    assert [(r.start_ms, r.end_ms) for r in spoof_ranges(heard, 700)] == ([(0, 700)] if llr == 3.0 else [])
    assert spoof_ranges([], 0) == ()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_single_last_window_does_not_condemn_a_session(count: int) -> None:
    """The last window's range reaches back to its middle, about 2 s; what is new in it is one hop."""
    heard, duration = windows_of("h" * 58)
    heard[-count:] = [Heard(h.start_ms, h.end_ms, 0.8, h.speech_ms, h.new_speech_ms, "spoof") for h in heard[-count:]]
    final = conclude(heard, POINT, duration)
    assert final.verdict == ("spoof" if count > 1 else "bonafide")
    assert [(r.new_ms, r.end_ms) for r in final.ranges] == ([(500 * count, duration)] if count > 1 else [])
    surer = conclude(heard, POINT, duration, range_llr=1.0)
    assert (surer.verdict, surer.ranges) == ("bonafide", ())
