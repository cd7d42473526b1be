"""Fitted llrs and thresholds: against Gaussians whose llr is known, against a system that floods a class, and in a window card."""

import json

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("torch")

from app.lab import calibrate
from app.lab.calibrate import Calibration, Windows, calibrated, fit, operating_points, system_weights
from tests import toy


def test_it_finds_the_true_llr():
    """Two unit Gaussians at -1 and 1 have llr = 2 x."""
    rng = np.random.default_rng(2)
    scale, bias = fit(rng.normal(-1, 1, 20000), rng.normal(1, 1, 20000))
    assert scale == pytest.approx(2, abs=0.1)
    assert bias == pytest.approx(0, abs=0.1)


def test_scores_the_wrong_way_round_are_refused():
    rng = np.random.default_rng(2)
    with pytest.raises(ValueError, match="wrong way"):
        fit(rng.normal(1, 1, 100), rng.normal(-1, 1, 100))


def test_a_big_system_does_not_rule():
    spoof = np.array([False] * 2 + [True] * 109)
    weight = system_weights(["", "", *["big"] * 100, *["small"] * 9], spoof)
    assert weight[:2].tolist() == [1, 1]
    assert weight[2:102].sum() == pytest.approx(10) and weight[102:].sum() == pytest.approx(3)


def heard(rng, mean, count):
    clips = rng.normal(mean, 1, count)
    return [Windows([clip] * 3, clip, {seconds: clip for seconds in calibrate.SPEECH_S}) for clip in clips]


def test_a_big_system_moves_the_mapping_less_than_its_size():
    """300 clips of one easy generator at +4, 30 of three hard ones at +1: the fit must not take spoofs to be as far off as the easy one."""
    rng = np.random.default_rng(5)
    clips = heard(rng, -1, 300) + heard(rng, 4, 300) + heard(rng, 1, 30)
    spoof = np.arange(630) >= 300
    systems = ["real"] * 300 + ["easy"] * 300 + [f"hard {i % 3}" for i in range(30)]
    weighted, plain = calibrated(clips, spoof, systems, 0.5), calibrated(clips, spoof, None, 0.5)
    at_one = weighted.scale + weighted.bias, plain.scale + plain.bias
    assert at_one[0] > at_one[1] + 0.3  # what a hard generator scores counts as more suspicious


def test_durations_share_one_mapping():
    rng = np.random.default_rng(6)
    found = calibrated(heard(rng, -1, 400) + heard(rng, 1, 400), np.arange(800) >= 400, None, 0.5)
    assert set(found.cllr) == {"1 s", "2 s", "4 s", "whole"}
    for values in found.cllr.values():
        assert values["min_cllr"] <= values["cllr"] < values["min_cllr"] + 0.05
    assert Calibration(**json.loads(json.dumps(found.plain()))) == found


def test_operating_points_are_ordered_and_hold_what_they_say():
    rng = np.random.default_rng(3)
    bonafide, spoof = rng.normal(-2, 2, 1000), rng.normal(2, 2, 1000)
    points = operating_points(bonafide, spoof)
    for point in points.values():
        assert point["bonafide_llr"] <= point["spoof_llr"]
        assert (bonafide >= point["spoof_llr"]).mean() == pytest.approx(point["false_alarm"], abs=1e-4)
        assert (spoof <= point["bonafide_llr"]).mean() == pytest.approx(point["miss"], abs=1e-4)
    assert points["strict"]["spoof_llr"] > points["balanced"]["spoof_llr"] > points["fast"]["spoof_llr"]
    assert points["strict"]["false_alarm"] <= 0.015
    assert points["fast"]["uncertain"] < points["balanced"]["uncertain"] < points["strict"]["uncertain"]


def test_one_odd_clip_hardly_moves_a_threshold():
    rng = np.random.default_rng(7)
    bonafide, spoof = rng.normal(-2, 2, 300), rng.normal(2, 2, 300)
    moved = operating_points(np.append(bonafide, 60.0), spoof), operating_points(bonafide, spoof)
    for name in moved[0]:
        assert abs(moved[0][name]["spoof_llr"] - moved[1][name]["spoof_llr"]) < 0.5


def test_separated_classes_leave_no_band():
    points = operating_points(np.linspace(-3, -2, 50), np.linspace(2, 3, 50))
    for point in points.values():
        assert point["bonafide_llr"] == point["spoof_llr"] and point["false_alarm"] == point["miss"] == point["uncertain"] == 0


def test_a_window_card_takes_a_new_calibration(tmp_path):
    folder = toy.make_model(tmp_path / "window", "window")
    points = operating_points(np.linspace(-3, 0, 50), np.linspace(-1, 3, 50))
    assert calibrate.into_window_card(folder, Calibration(2.0, -1.0, 0.5, points))
    card = json.loads((folder / "card.json").read_text())
    assert card["calibration"] == {"scale": 2.0, "bias": -1.0, "fitted_on": "dev"} and card["operating_points"] == points
    assert not calibrate.into_window_card(toy.make_model(tmp_path / "frames"), Calibration(2.0, -1.0, 0.5, points))
