"""The classical detector in models/classic: the server loads it, needs nothing but onnxruntime for it, and it answers on speech only."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cli.sources import LocalAudio
from app.core import wire
from app.core.windows import Scored, Span, Window
from app.scoring.load import Detector, load
from app.scoring.onnx import WindowScorer
from app.service.decode import DecodeLimits, open_audio
from app.service.detect import Result, detect, local

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "classic"
FIXTURES = ROOT / "tests" / "fixtures"
VOICES = ["voice-female.wav", "voice-male.wav"]  # espeak-ng



@pytest.fixture(scope="module")
def classic() -> Detector:
    return load("classic", MODEL.parent)


def judge(detector: Detector, path: Path) -> Result:
    with open_audio(path, DecodeLimits()) as audio:
        return asyncio.run(detect(LocalAudio(audio), detector.model, local(detector.scorer), wire.Config(), max_seconds=60))


def scored(detector: Detector, audio: np.ndarray[Any, np.dtype[np.float32]]) -> Scored:
    end = len(audio)
    return detector.scorer.score([Window(0, Span(0, 0, end, 0, 0, end, 0, 0, 0), audio.astype(np.float32))])[0]


def test_it_is_one_small_file_of_whole_windows(classic: Detector) -> None:
    assert isinstance(classic.scorer, WindowScorer) and classic.model.layout.window == 64000
    assert [path.name for path in MODEL.glob("*.onnx")] == list(classic.card.files)
    assert (MODEL / "classic.onnx").stat().st_size <= 6e6


@pytest.mark.parametrize("name", VOICES)
def test_it_answers_on_our_own_voices(name: str, classic: Detector) -> None:
    done = judge(classic, FIXTURES / name).done
    assert done.llr is not None and np.isfinite(done.llr) and abs(done.llr) < 10
    assert done.speech_ms > 1000
    again = judge(classic, FIXTURES / name).done
    assert again.llr == done.llr


def test_short_and_quiet_speech_is_answered_the_same(classic: Detector) -> None:
    time = np.arange(20000) / 16000
    buzz = np.sign(np.sin(2 * np.pi * 120 * time)) * (0.2 + 0.1 * np.sin(2 * np.pi * 3 * time))
    loud, quiet = scored(classic, buzz), scored(classic, 0.05 * buzz)
    assert loud.llr is not None and quiet.llr == pytest.approx(loud.llr, abs=0.05)


def test_silence_gets_no_llr_and_the_graph_no_nan(classic: Detector) -> None:
    assert scored(classic, np.zeros(64000)).llr is None
    assert isinstance(classic.scorer, WindowScorer)
    for level in (0.0, 1e-9, 1.0):
        assert np.isfinite(classic.scorer._raw(np.full((1, 64000), level, np.float32))).all()


def test_the_server_needs_neither_scikit_learn_nor_librosa() -> None:
    code = "import sys; from app.scoring.load import load; load('classic'); print({'sklearn', 'skl2onnx', 'librosa', 'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout.strip() == "set()"


def test_the_card_says_where_it_comes_from() -> None:
    card = json.loads((MODEL / "card.json").read_text("utf-8"))
    assert {"data", "licences", "command", "seed", "scikit-learn", "skl2onnx"} <= set(card["training"])
    assert card["calibration"]["fitted_on"] == "dev"
    assert all(point["bonafide_llr"] <= point["spoof_llr"] for point in card["operating_points"].values())
