"""Shortcuts that the bundled live models must not take: the verdict stays when level, sign, offset, sample format, silence or rate change.

Through the server's loader and session; no torch, no shared data. The large audits, on `dev` clips, are `voxproof lab audit`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr

from app.core import wire
from app.core.messages import Done
from app.scoring.load import Detector, load
from app.service.detect import detect, local
from tests.audio import tone

RATE = 16000
FIXTURES = Path(__file__).parents[1] / "fixtures"
VOICES = ("voice-female", "voice-male")
SHARED = [f"dev/{number:05}.flac" for number in (1, 714, 716)]
EXACT = 0.01
"""Largest change of llr where the samples that the model hears are the same up to float rounding."""
ROUNDED = 0.3
"""Where 16-bit samples are rounded anew, or windows begin at another place of the speech. The uncertain band is several times as wide."""
CUT_ELSEWHERE = 1.8
"""`standard` hears half a second at a time, and silence before a voice cuts it elsewhere: on single clips its llr then moves by more than the audits
allow (0.4 in the mean over `dev`, `audits.json` and the report say FAILED). So does the step at which an offset begins, which is loud. Here its
verdict must not turn over and the llr stay near: both verdicts' bounds are 2.2 apart."""
FILTERED = 0.6
"""Where a resampler's filter takes the last few hundred hertz below 8 kHz."""
FILTERED_THIRDS = 0.9
"""The same for `standard`, which judges the upper third of the bands by itself."""

Samples = npt.NDArray[Any]


@dataclass
class Given:
    """Samples as the decoder would give them."""

    samples: Samples
    sample_rate: int = RATE
    encoding: str = "pcm_s16le"
    channels: int = 1
    warnings: list[str] = field(default_factory=list)

    async def blocks(self) -> AsyncIterator[bytes]:
        if self.encoding == "pcm_f32le":
            content = self.samples.astype("<f4").tobytes()
        else:
            content = np.round(self.samples * 32768).clip(-32768, 32767).astype("<i2").tobytes()
        for start in range(0, len(content), RATE):
            yield content[start : start + RATE]


@pytest.fixture(scope="module", params=["standard", "light"])
def detector(request: pytest.FixtureRequest) -> Detector:
    return load(request.param)


def judge(detector: Detector, audio: Given) -> Done:
    return asyncio.run(detect(audio, detector.model, local(detector.scorer), wire.Config(), max_seconds=60)).done


def read(path: Path) -> Samples:
    samples, rate = soundfile.read(path, dtype="float64")
    assert rate == RATE
    return np.asarray(samples)


CHANGES: dict[str, tuple[Callable[[Samples], Given], float]] = {
    "polarity": (lambda x: Given(-x), EXACT),
    "32-bit floats": (lambda x: Given(x, encoding="pcm_f32le"), EXACT),
    "12 dB louder, as floats": (lambda x: Given(x * 4, encoding="pcm_f32le"), ROUNDED),
    "20 dB quieter": (lambda x: Given(x / 10), ROUNDED),
    "DC offset": (lambda x: Given(x * 0.9 + 0.1), ROUNDED),
    "half a second of zeros before it": (lambda x: Given(np.pad(x, (RATE // 2, 0))), ROUNDED),
    "two seconds of zeros before it": (lambda x: Given(np.pad(x, (2 * RATE, 0))), ROUNDED),
    "given at 48 kHz": (lambda x: Given(soxr.resample(x, RATE, 48000), 48000), FILTERED),
    "48 kHz and back": (lambda x: Given(soxr.resample(soxr.resample(x, RATE, 48000), 48000, RATE)), FILTERED),
}


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("change", CHANGES)
def test_the_verdict_stays(change: str, voice: str, detector: Detector) -> None:
    check(detector, read(FIXTURES / f"{voice}.wav"), change)


@pytest.mark.data
@pytest.mark.parametrize("change", CHANGES)
def test_the_verdict_stays_on_real_recordings(change: str, detector: Detector, shared_data: Path) -> None:
    for name in SHARED:
        check(detector, read(shared_data / name), change)


@pytest.mark.parametrize("loudness", [0.001, 0.1, 0.9])
@pytest.mark.parametrize("kind", ["silence", "white noise", "pink noise", "hum", "tone", "dial tone"])
def test_what_nobody_says_gets_no_verdict(kind: str, loudness: float, detector: Detector) -> None:
    done = judge(detector, Given(loudness * sounds()[kind]))
    assert (done.verdict, done.llr) == ("no_speech", None)


def check(detector: Detector, samples: Samples, change: str) -> None:
    make, tolerance = CHANGES[change]
    if detector.card.name == "standard" and tolerance == ROUNDED:
        tolerance = CUT_ELSEWHERE
    if detector.card.name == "standard" and tolerance == FILTERED:
        tolerance = FILTERED_THIRDS
    before, after = judge(detector, Given(samples)), judge(detector, make(samples))
    assert before.llr is not None and after.llr is not None
    assert after.llr == pytest.approx(before.llr, abs=tolerance)
    assert {before.verdict, after.verdict} != {"bonafide", "spoof"}


def sounds() -> dict[str, Samples]:
    """Five seconds each, at most 1."""
    rng, time = np.random.default_rng(11), np.arange(5 * RATE) / RATE
    white = rng.standard_normal(len(time))
    spectrum = np.fft.rfft(white)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 100)), len(time))
    hum = sum(np.sin(2 * np.pi * 50 * n * time + n) / n for n in range(1, 20))
    made = {
        "silence": np.zeros(len(time)), "white noise": white, "pink noise": pink, "hum": hum, "tone": tone(5)[:, 0].astype(float),
        "dial tone": np.sin(2 * np.pi * 350 * time) + np.sin(2 * np.pi * 440 * time),
    }  # fmt: skip
    return {name: sound / max(float(np.abs(sound).max()), 1e-9) for name, sound in made.items()}
