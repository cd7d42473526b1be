"""The model that ships: its card holds together, its files are the ones it names, and its figures keep the promises made for it."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from app.lab.sounds import KINDS, sound
from app.lab.windows import MIN_SPEECH, OnnxScorer, score_clips
from app.scoring.load import load

FOLDER = Path(__file__).parents[2] / "models" / "light"


@pytest.fixture(scope="module")
def card():
    return json.loads((FOLDER / "card.json").read_text())


@pytest.fixture(scope="module")
def scorer(card):
    return OnnxScorer(FOLDER, card["frames"]["left_samples"], card["frames"]["right_samples"])


def test_the_server_loads_it():
    assert load(str(FOLDER), FOLDER.parent).card.kind == "frames"


def test_it_is_small():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.onnx")) <= 10 * 2**20


@pytest.mark.parametrize("split", ["dev", "eval"])
def test_its_figures_are_better_than_chance_for_sure(card, split):
    assert card["figures"][split]["eer_ci95"][1] < 0.40
    assert card["figures"][split]["server_and_lab_differ_by"] < 0.01


def test_its_points_are_ordered(card):
    for point in card["operating_points"].values():
        assert point["bonafide_llr"] <= point["spoof_llr"]


@pytest.mark.parametrize("kind", ["silence", "white", "pink", "brown", "hum", "dtmf"])
def test_what_is_no_speech_gets_no_llr(card, scorer, kind):
    assert kind == "silence" or kind in KINDS
    rng = np.random.default_rng(12)
    for score in score_clips(scorer, [sound(kind, 64000, rng) for _ in range(5)], card["frames"]["speech_threshold"]):
        assert score.speech_frames < MIN_SPEECH and np.isnan(score.llr)
