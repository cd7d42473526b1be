"""Figures against values worked out by hand."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from app.lab import metrics
from app.lab.calibrate import fit, operating_points


def test_separated_scores_have_no_errors():
    bonafide, spoof = np.array([-2.0, -1.0]), np.array([1.0, 2.0])
    assert metrics.eer(bonafide, spoof) == 0
    assert metrics.auc(bonafide, spoof) == 1
    assert metrics.min_dcf(bonafide, spoof) == 0


def test_one_of_four_on_each_wrong_side():
    bonafide, spoof = np.array([0.0, 1.0, 2.0, 5.0]), np.array([3.0, 4.0, 6.0, 1.5])
    assert metrics.eer(bonafide, spoof) == pytest.approx(0.25)
    assert metrics.auc(bonafide, spoof) == pytest.approx(12 / 16)  # 3+3+4+2 of 16 pairs in order


def test_reversed_scores_are_as_wrong_as_can_be():
    bonafide, spoof = np.array([1.0, 2.0]), np.array([-1.0, -2.0])
    assert metrics.eer(bonafide, spoof) == pytest.approx(1)
    assert metrics.auc(bonafide, spoof) == 0


def test_constant_scores_are_chance():
    same = np.zeros(10)
    assert metrics.auc(same, same) == 0.5
    assert metrics.eer(same, same) == pytest.approx(0.5)
    assert metrics.cllr(same, same) == pytest.approx(1)
    assert metrics.min_dcf(same, same) == pytest.approx(1)


def test_gaussians_have_the_textbook_eer():
    rng = np.random.default_rng(0)
    bonafide, spoof = rng.normal(-1, 1, 20000), rng.normal(1, 1, 20000)
    assert metrics.eer(bonafide, spoof) == pytest.approx(0.1587, abs=0.01)  # Phi(-1)
    assert metrics.auc(bonafide, spoof) == pytest.approx(0.9214, abs=0.01)  # Phi(sqrt 2)


def test_interval_holds_the_figure_and_is_seeded():
    rng = np.random.default_rng(1)
    bonafide, spoof = rng.normal(-1, 1, 200), rng.normal(1, 1, 200)
    low, high = metrics.interval(metrics.eer, bonafide, spoof, 200)
    assert low < metrics.eer(bonafide, spoof) < high
    assert (low, high) == metrics.interval(metrics.eer, bonafide, spoof, 200)


def test_calibration_finds_the_true_llr():
    """Two unit Gaussians at -1 and 1 have llr = 2 x."""
    rng = np.random.default_rng(2)
    scale, bias = fit(rng.normal(-1, 1, 20000), rng.normal(1, 1, 20000))
    assert scale == pytest.approx(2, abs=0.1)
    assert bias == pytest.approx(0, abs=0.1)


def test_operating_points_are_ordered_and_hold_what_they_say():
    rng = np.random.default_rng(3)
    bonafide, spoof = rng.normal(-2, 2, 1000), rng.normal(2, 2, 1000)
    points = operating_points(bonafide, spoof)
    for point in points.values():
        assert point["bonafide_llr"] <= point["spoof_llr"]
        assert (bonafide >= point["spoof_llr"]).mean() == pytest.approx(point["false_alarm"], abs=2e-3)
    assert points["strict"]["spoof_llr"] > points["fast"]["spoof_llr"]
