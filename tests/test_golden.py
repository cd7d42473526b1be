"""The bundled models still give the scores they gave when they were made: each `golden.json` names clips and the llr they must get.

Our own synthesis is always there; clips of the speech data are tried where that lies beside the checkout. After a new model:
`python -m tests.test_golden` writes the file again.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.sources import LocalAudio
from app.core import wire
from app.scoring.load import Detector, load
from app.service.decode import DecodeLimits, open_audio
from app.service.detect import detect, local

ROOT = Path(__file__).resolve().parent.parent
MODELS = {"standard": 0.3, "light": 0.01, "classic": 0.01, "accurate": 0.3}
"""Model -> by how much an llr may differ on another machine: 8-bit products round otherwise on another kind of processor."""
FIXTURES = ["tests/fixtures/voice-female.wav", "tests/fixtures/voice-male.wav", "tests/fixtures/noise.wav", "tests/fixtures/tone.wav"]
# Clips 1 to 4 and 716 are bona fide, the others spoofed; all are of `dev`, which calibrated the model; `eval` is for measuring only.
SHARED = [f"dev/{number:05}.flac" for number in (1, 2, 3, 4, 714, 715, 716, 717)]


def judge(detector: Detector, path: Path) -> dict[str, Any]:
    with open_audio(path, DecodeLimits()) as audio:
        done = asyncio.run(detect(LocalAudio(audio), detector.model, local(detector.scorer), wire.Config(), max_seconds=60)).done
    return {"llr": done.llr, "speech_ms": done.speech_ms}


@pytest.fixture(scope="module", params=list(MODELS))
def detector(request: pytest.FixtureRequest) -> Detector:
    return load(request.param, ROOT / "models")


@pytest.fixture(scope="module")
def golden(detector: Detector) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path_of(detector.card.name).read_text("utf-8"))
    return found


def test_golden_scores_are_of_this_model(golden: dict[str, Any], detector: Detector) -> None:
    assert golden["sha256"] == detector.model.info.sha256, "run: python -m tests.test_golden"


@pytest.mark.parametrize("name", FIXTURES)
def test_own_clips(name: str, golden: dict[str, Any], detector: Detector) -> None:
    check(golden["clips"][name], judge(detector, ROOT / name), golden["tolerance"])


@pytest.mark.parametrize("name", SHARED)
def test_clips_of_the_speech_data(name: str, golden: dict[str, Any], detector: Detector, shared_data: Path) -> None:
    check(golden["clips"][name], judge(detector, shared_data / name), golden["tolerance"])


def test_noise_and_tones_are_no_speech(golden: dict[str, Any], detector: Detector) -> None:
    """Only of models with speech activity of their own: the energy gate of a window model hears noise as speech, as its README says."""
    if detector.card.kind == "frames":
        assert all(golden["clips"][name]["llr"] is None for name in FIXTURES[2:])


def check(wanted: dict[str, Any], found: dict[str, Any], tolerance: float) -> None:
    assert found["speech_ms"] == pytest.approx(wanted["speech_ms"], abs=20)
    assert (found["llr"] is None) == (wanted["llr"] is None)
    if wanted["llr"] is not None:
        assert found["llr"] == pytest.approx(wanted["llr"], abs=tolerance)


def path_of(name: str) -> Path:
    return ROOT / "models" / name / "golden.json"


def main() -> None:
    data = ROOT.parent / "shared" / "data"
    for name, tolerance in MODELS.items():
        detector = load(name, ROOT / "models")
        clips = {clip: judge(detector, ROOT / clip) for clip in FIXTURES} | {clip: judge(detector, data / clip) for clip in SHARED}
        content = {"sha256": detector.model.info.sha256, "tolerance": tolerance, "clips": clips}
        path_of(name).write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
