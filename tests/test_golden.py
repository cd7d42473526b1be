"""The bundled model still gives the scores it gave when it was made: `golden.json` names clips and the llr they must get.

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
MODEL = ROOT / "models" / "light"
GOLDEN = MODEL / "golden.json"
FIXTURES = ["tests/fixtures/voice-female.wav", "tests/fixtures/voice-male.wav", "tests/fixtures/noise.wav", "tests/fixtures/tone.wav"]
# Clips 1 to 4 and 716 are bona fide, the others spoofed; all are of `dev`, which calibrated the model; `eval` is for measuring only.
SHARED = [f"dev/{number:05}.flac" for number in (1, 2, 3, 4, 714, 715, 716, 717)]


def judge(detector: Detector, path: Path) -> dict[str, Any]:
    with open_audio(path, DecodeLimits()) as audio:
        done = asyncio.run(detect(LocalAudio(audio), detector.model, local(detector.scorer), wire.Config(), max_seconds=60)).done
    return {"llr": done.llr, "speech_ms": done.speech_ms}


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load("light", MODEL.parent)


def test_golden_scores_are_of_this_model(golden: dict[str, Any], detector: Detector) -> None:
    assert golden["sha256"] == detector.model.info.sha256, "run: python -m tests.test_golden"


@pytest.mark.parametrize("name", FIXTURES)
def test_own_clips(name: str, golden: dict[str, Any], detector: Detector) -> None:
    check(golden["clips"][name], judge(detector, ROOT / name), golden["tolerance"])


@pytest.mark.parametrize("name", SHARED)
def test_clips_of_the_speech_data(name: str, golden: dict[str, Any], detector: Detector, shared_data: Path) -> None:
    check(golden["clips"][name], judge(detector, shared_data / name), golden["tolerance"])


def test_noise_and_tones_are_no_speech(golden: dict[str, Any]) -> None:
    assert all(golden["clips"][name]["llr"] is None for name in FIXTURES[2:])


def check(wanted: dict[str, Any], found: dict[str, Any], tolerance: float) -> None:
    assert found["speech_ms"] == pytest.approx(wanted["speech_ms"], abs=20)
    assert (found["llr"] is None) == (wanted["llr"] is None)
    if wanted["llr"] is not None:
        assert found["llr"] == pytest.approx(wanted["llr"], abs=tolerance)


def main() -> None:
    detector = load("light", MODEL.parent)
    data = ROOT.parent / "shared" / "data"
    clips = {name: judge(detector, ROOT / name) for name in FIXTURES} | {name: judge(detector, data / name) for name in SHARED}
    content = {"sha256": detector.model.info.sha256, "tolerance": 0.01, "clips": clips}
    GOLDEN.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
