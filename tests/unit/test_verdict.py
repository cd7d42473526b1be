"""The verdict: thresholds, pooling, hysteresis, how soon it is right, and the verdict over a whole session."""

from __future__ import annotations

import math
from itertools import groupby

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.verdict import STABLE_SPEECH_MS, WARMING_SPEECH_MS, Heard, OperatingPoint, Running, Standing, Tally, conclude, score_of

POINT = OperatingPoint(-0.75, 0.75)
LLRS = st.one_of(st.none(), st.floats(-50, 50))
HEARD = st.lists(st.tuples(LLRS, st.integers(0, 500)), max_size=60)


def heard(llr: float | None, *, new_ms: int = 500, end_ms: int = 1000, point: OperatingPoint = POINT) -> Heard:
    return Heard(max(0, end_ms - 4000), end_ms, llr, 0, new_ms, point.verdict(llr))


def play(llrs: list[float | None], new_ms: int = 500, running: Running | None = None) -> list[Standing]:
    running = running or Running(3, 2)
    return [running.hear(heard(llr, new_ms=new_ms), POINT) for llr in llrs]


# --- thresholds and scores ----------------------------------------------------------------------------------


@given(st.floats(-10, 10), st.floats(0, 10), st.floats(-1e4, 1e4))
def test_thresholds_are_inclusive_and_leave_a_band(low: float, width: float, llr: float) -> None:
    point = OperatingPoint(low, low + width)
    assert point.verdict(point.spoof_llr) == "spoof" and point.verdict(None) == "no_speech"
    expected = "spoof" if llr >= low + width else "bonafide" if llr <= low else "uncertain"
    assert point.verdict(llr) == expected


@given(st.floats(0, 1, exclude_min=True, exclude_max=True), st.floats(-10, 0), st.floats(0, 10))
def test_a_callers_threshold_is_a_score(score: float, low: float, high: float) -> None:
    point = OperatingPoint(low, high).at_threshold(score)
    assert math.isfinite(point.spoof_llr) and point.bonafide_llr <= point.spoof_llr
    if 1e-9 < score < 1 - 1e-9:
        assert score_of(point.spoof_llr) == pytest.approx(score, rel=1e-6)
    assert point.bonafide_llr == min(low, point.spoof_llr)


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_scores_stay_in_range_and_in_order(a: float, b: float) -> None:
    first, second = score_of(min(a, b)), score_of(max(a, b))
    assert first is not None and second is not None and 0 <= first <= second <= 1
    assert score_of(-a) == pytest.approx(1 - (score_of(a) or 0), abs=1e-12)
    assert (score_of(0.0), score_of(None)) == (0.5, None)


def test_tally_counts_each_once() -> None:
    tally = Tally()
    for name in ("spoof", "spoof", "bonafide", "uncertain", "no_speech"):
        tally.add(name)
    assert (tally.total, tally.spoof, tally.bonafide, tally.uncertain, tally.no_speech) == (5, 2, 1, 1, 1)


# --- running ------------------------------------------------------------------------------------------------


@given(HEARD, st.integers(1, 5), st.integers(1, 4))
def test_running_rules_hold_for_any_stream(rows: list[tuple[float | None, int]], pool: int, hops: int) -> None:
    running, speech, with_speech, before, indicated = Running(pool, hops), 0, [], "no_speech", []
    for llr, new in rows:
        standing = running.hear(heard(llr, new_ms=new), POINT)
        speech += new
        assert running.speech_ms == speech
        if llr is None:
            assert standing.verdict == before  # silence changes nothing
        else:
            with_speech.append(llr)
            mean = float(np.mean(with_speech[-pool:]))
            assert standing.llr == pytest.approx(mean)
            assume(all(abs(mean - bound) > 1e-9 for bound in (POINT.spoof_llr, POINT.bonafide_llr)))
            if speech < WARMING_SPEECH_MS:
                assert standing.verdict == "uncertain"
            else:
                indicated.append(POINT.verdict(mean))
                if standing.verdict != before:
                    assert standing.verdict == indicated[-1]
                    assert len(indicated) == 1 or indicated[-hops:] == [standing.verdict] * hops
                else:
                    assert len(set(indicated[-hops:])) > 1 or len(indicated) < hops or indicated[-1] == before
        assert standing.changed == (standing.verdict != before)
        assert (standing.state == "warming") == (speech < WARMING_SPEECH_MS or not indicated)
        assert standing.state != "stable" or (speech >= STABLE_SPEECH_MS and indicated[-1] == standing.verdict)
        raised = {True: "raised", False: "cleared"}[standing.verdict == "spoof"]
        assert standing.alarm == (raised if standing.changed and "spoof" in (before, standing.verdict) else None)
        before = standing.verdict


def test_states_go_from_warming_to_stable() -> None:
    states = [s.state for s in play([3.0] * 8)]
    assert [name for name, _ in groupby(states)] == ["warming", "provisional", "stable"]
    assert states.index("stable") == STABLE_SPEECH_MS // 500 - 1


def test_one_outlier_neither_changes_nor_unsettles_for_long() -> None:
    standings = play([-3.0] * 8 + [3.0] + [-3.0] * 6)
    assert {s.verdict for s in standings[1:]} == {"bonafide"}
    assert standings[-1].state == "stable"


def test_alerts_are_raised_and_cleared_in_turn() -> None:
    alarms = [s.alarm for s in play([-3.0] * 6 + [4.0] * 8 + [None] * 3 + [-4.0] * 8 + [4.0] * 8) if s.alarm]
    assert alarms == ["raised", "cleared", "raised"]


def test_a_session_of_silence_stays_without_a_verdict() -> None:
    assert {(s.verdict, s.llr, s.state) for s in play([None] * 9, new_ms=20)} == {("no_speech", None, "warming")}


def mixed(seconds_a: float, seconds_b: float, llr_a: float, llr_b: float, hop: float) -> list[tuple[float, float]]:
    """(end, llr) of windows as the default geometry makes them, each llr the mean of both voices weighted by their share."""
    out, end = [], 1.0
    while end <= seconds_a + seconds_b + 1e-9:
        start = max(0.0, end - 4)
        a = max(0.0, min(end, seconds_a) - start) / (end - start)
        out.append((end, llr_a * a + llr_b * (1 - a)))
        end += hop
    return out


@pytest.mark.parametrize("hop", [0.25, 0.5, 1.0])
@given(llr=st.floats(0.8, 20), sign=st.sampled_from([-1, 1]))
def test_a_fresh_session_is_right_within_two_seconds_of_speech(hop: float, llr: float, sign: int) -> None:
    running, wanted = Running(3, 2), POINT.verdict(sign * llr)
    for end, value in mixed(6, 0, sign * llr, 0, hop):
        new_ms = 1000 if end == 1.0 else round(hop * 1000)
        standing = running.hear(heard(value, new_ms=new_ms), POINT)
        assert end < 2 or standing.verdict == wanted


@pytest.mark.parametrize("hop", [0.25, 0.5])
@given(before=st.floats(4, 30), llr=st.floats(2, 10), ratio=st.floats(0.7, 1.4), sign=st.sampled_from([-1, 1]))
def test_a_switch_is_heard_within_four_seconds(hop: float, before: float, llr: float, ratio: float, sign: int) -> None:
    before = round(before / hop) * hop
    running = Running(3, 2)
    for end, value in mixed(before, 8, -sign * llr * ratio, sign * llr, hop):
        standing = running.hear(heard(value, new_ms=round(hop * 1000)), POINT)
        if end >= before + 4:
            assert standing.verdict == POINT.verdict(sign * llr)


# --- the whole session --------------------------------------------------------------------------------------


@given(HEARD)
def test_the_final_llr_weighs_each_window_by_its_new_speech(rows: list[tuple[float | None, int]]) -> None:
    windows = [heard(llr, new_ms=new, end_ms=1000 + 500 * i) for i, (llr, new) in enumerate(rows)]
    final = conclude(windows, POINT, 1000 + 500 * len(rows))
    scored = [(llr, new) for llr, new in rows if llr is not None]
    assert final.speech_ms == sum(new for _, new in rows)
    if not scored:
        assert (final.llr, final.verdict) == (None, "no_speech")
        return
    weights = [new for _, new in scored] if any(new for _, new in scored) else [1] * len(scored)
    expected = float(np.average([llr for llr, _ in scored], weights=weights))
    assert final.llr == pytest.approx(expected, abs=1e-9)
    long_range = any(r.end_ms - r.start_ms >= 2000 and r.new_ms >= 1000 for r in final.ranges)
    assume(all(abs(expected - bound) > 1e-6 for bound in (POINT.spoof_llr, POINT.bonafide_llr)))
    assert final.verdict == ("spoof" if long_range else POINT.verdict(expected))
