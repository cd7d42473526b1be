"""Figures against values worked out by hand, against a literal reading of ASVspoof 5's definitions, and against what must hold of any scores."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from hypothesis import given
from hypothesis import strategies as st

from app.lab import metrics

llrs = st.lists(st.integers(-40, 40).map(lambda tenths: tenths / 10), min_size=1, max_size=40).map(np.array)


def test_separated_scores_have_no_errors():
    bonafide, spoof = np.array([-2.0, -1.0]), np.array([1.0, 2.0])
    assert metrics.eer(bonafide, spoof) == 0
    assert metrics.auc(bonafide, spoof) == 1
    assert metrics.min_dcf(bonafide, spoof) == 0
    assert metrics.act_dcf(bonafide, spoof) == 0
    assert metrics.min_cllr(bonafide, spoof) == 0


def test_one_of_four_on_each_wrong_side():
    bonafide, spoof = np.array([0.0, 1.0, 2.0, 5.0]), np.array([3.0, 4.0, 6.0, 1.5])
    assert metrics.eer(bonafide, spoof) == pytest.approx(0.25)
    assert metrics.auc(bonafide, spoof) == pytest.approx(12 / 16)  # 3+3+4+2 of 16 pairs in order
    # Threshold 3: one alarm of four at 0.95, one miss of four at 0.5; threshold 6: no alarm, three misses; the rest is dearer.
    assert metrics.min_dcf(bonafide, spoof) == pytest.approx(min(0.95 / 4 + 0.5 / 4, 0.5 * 3 / 4) / 0.5)


def test_which_error_is_which_in_the_detection_cost():
    """Accusing bona fide speech (their miss, Cmiss 1 at prior 0.95) costs 1.9 times a spoof that passes (their Cfa 10 at prior 0.05)."""
    clean, wrong = np.full(10, -3.0), np.array([-3.0] * 9 + [3.0])
    assert metrics.act_dcf(wrong, -clean) == pytest.approx(0.19)
    assert metrics.act_dcf(clean, -wrong) == pytest.approx(0.1)


def test_the_bayes_threshold_is_the_log_of_1_9():
    assert metrics.act_dcf(np.array([0.64]), np.array([0.65])) == 0
    assert metrics.act_dcf(np.array([0.65]), np.array([0.66])) == pytest.approx(1.9)
    assert metrics.act_dcf(np.array([0.60]), np.array([0.63])) == pytest.approx(1)


def asvspoof(bonafide, spoof):
    """(minDCF, actDCF) of scores with high = bona fide, by the definitions: reject below a threshold, Cmiss 1, Cfa 10, Pspoof 0.05."""

    def cost(threshold):
        return (1 * 0.95 * np.mean(bonafide < threshold) + 10 * 0.05 * np.mean(spoof >= threshold)) / 0.5

    least = min(cost(threshold) for threshold in [-np.inf, *bonafide, *spoof, np.inf])
    return least, cost(-np.log(0.95 / (10 * 0.05)))


@given(llrs, llrs)
def test_detection_costs_are_those_of_asvspoof_5(bonafide, spoof):
    least, actual = asvspoof(-bonafide, -spoof)
    assert metrics.min_dcf(bonafide, spoof) == pytest.approx(least)
    assert metrics.act_dcf(bonafide, spoof) == pytest.approx(actual)


@given(llrs, llrs)
def test_only_order_matters_to_what_needs_no_calibration(bonafide, spoof):
    for figure in (metrics.eer, metrics.auc, metrics.min_dcf, metrics.min_cllr):
        assert figure(np.exp(bonafide), np.exp(spoof)) == pytest.approx(figure(bonafide, spoof))


@given(llrs, llrs)
def test_the_least_is_no_more_than_the_actual(bonafide, spoof):
    assert metrics.min_dcf(bonafide, spoof) <= metrics.act_dcf(bonafide, spoof) + 1e-9
    assert metrics.min_cllr(bonafide, spoof) <= metrics.cllr(bonafide, spoof) + 1e-9
    assert metrics.min_dcf(bonafide, spoof) <= 1 and metrics.min_cllr(bonafide, spoof) <= 1 + 1e-9


@given(llrs, llrs)
def test_the_classes_change_places(bonafide, spoof):
    assert metrics.auc(-spoof, -bonafide) == pytest.approx(metrics.auc(bonafide, spoof))
    assert metrics.cllr(-spoof, -bonafide) == pytest.approx(metrics.cllr(bonafide, spoof))
    assert metrics.min_cllr(-spoof, -bonafide) == pytest.approx(metrics.min_cllr(bonafide, spoof))


def test_pooled_neighbours_by_hand():
    """Scores 0 1 2 3 of real, fake, real, fake: the middle pair is pooled to one half, an llr of 0; the outer two cost nothing."""
    assert metrics.min_cllr(np.array([0.0, 2.0]), np.array([1.0, 3.0])) == pytest.approx(0.5)


def test_reversed_scores_are_as_wrong_as_can_be():
    bonafide, spoof = np.array([1.0, 2.0]), np.array([-1.0, -2.0])
    assert metrics.eer(bonafide, spoof) == pytest.approx(1)
    assert metrics.auc(bonafide, spoof) == 0
    assert metrics.min_cllr(bonafide, spoof) == pytest.approx(1)


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
    assert metrics.cllr(2 * bonafide, 2 * spoof) == pytest.approx(metrics.min_cllr(bonafide, spoof), abs=0.01)  # 2 x is the true llr


def test_decisions_by_hand():
    found = metrics.decisions(np.array([-1.0, -2.0, 0.0, 1.0]), np.array([2.0, -0.5]))
    assert found == {"threshold": 0, "accuracy": 3 / 6, "balanced_accuracy": 0.5, "precision": 1 / 3, "recall": 0.5, "f1": pytest.approx(0.4)}


def test_det_is_short_ordered_and_ends_at_both_corners():
    rng = np.random.default_rng(4)
    found = metrics.det(rng.normal(-1, 1, 3000), rng.normal(1, 1, 2000))
    alarm, miss = np.array(found["false_alarm"]), np.array(found["miss"])
    assert len(alarm) <= 200 and (np.diff(alarm) <= 0).all() and (np.diff(miss) >= 0).all()
    assert alarm[0] == 1 and miss[0] == 0 and alarm[-1] < 0.01 and miss[-1] > 0.9
    assert np.abs(alarm - miss).min() < 0.02  # and the EER can be read off it


def test_histogram_counts_every_clip():
    found = metrics.histogram(np.array([-50.0, -1, 0, 1]), np.linspace(0, 3, 100))
    assert sum(found["bonafide"]) == 4 and sum(found["spoof"]) == 100 and len(found["edges"]) == len(found["spoof"]) + 1


def test_interval_holds_the_figure_and_is_seeded():
    rng = np.random.default_rng(1)
    bonafide, spoof = rng.normal(-1, 1, 200), rng.normal(1, 1, 200)
    low, high = metrics.interval(metrics.eer, bonafide, spoof, 200)
    assert low < metrics.eer(bonafide, spoof) < high
    assert (low, high) == metrics.interval(metrics.eer, bonafide, spoof, 200)


def test_clips_that_err_together_widen_the_interval():
    rng = np.random.default_rng(1)
    names = np.repeat(np.arange(20), 10)
    bonafide, spoof = (rng.normal(mean, 1, 20)[names] + rng.normal(0, 0.1, 200) for mean in (-1, 1))
    apart = metrics.intervals({"eer": metrics.eer}, bonafide, spoof, 200)["eer"]
    together = metrics.intervals({"eer": metrics.eer}, bonafide, spoof, 200, clusters=(names, names))["eer"]
    assert together[1] - together[0] > 1.5 * (apart[1] - apart[0])


def test_rounding_leaves_no_nan_to_json():
    assert metrics.rounded({"a": (0.123456, np.nan), "b": np.int64(3), "c": None}) == {"a": [0.1235, None], "b": 3, "c": None}
