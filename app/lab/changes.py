"""What the shortcut audits do to a clip, each with the limit that its effect on the verdict must keep. Read by `audits`.

Nothing here touches the voice: sign, offset, level, sample format, silence around it, sampling rate, coder, bandwidth.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import soxr
from numpy.random import Generator, default_rng
from scipy.signal import butter, sosfilt

from app.lab import codecs, recode
from app.lab.config import RATE
from app.lab.served import Pcm
from app.service.detect import Audio

SEED = 981

SAME = {"llr_moves_by": 0.1, "flips": 0.01, "eer_change": 0.01}
"""Nothing about the voice has changed, so only the rounding to 16 bits and the place of the windows may show. At most."""
NEARLY = {"llr_moves_by": 0.25, "flips": 0.02, "eer_change": 0.02}
"""Added noise, 8 bits instead of 16, or a resampler's filter, which takes the last few hundred hertz below 8 kHz, are small real changes."""
CODED = {"llr_moves_by": 0.75, "flips": 0.05, "eer_change": 0.03}
"""A lossy coder takes some evidence away: scores may sink towards 0, but verdicts must not turn round."""
NARROW = {"flips": 0.05, "eer_change": 0.05, "false_alarm_change": 0.03}
"""Above 3.8 kHz lies real evidence, so the EER may rise; that the band ends there must not look like a machine."""
FALSE_ALARMS = {"false_alarm_change": 0.03}
"""Issue 3: bona fide speech through each codec keeps its false-alarm rate within 3 points of the clean one's."""


@dataclass(frozen=True)
class Change:
    """What is done to a clip; `rate` and `floats` say how the server is then given it."""

    name: str
    make: Callable[[np.ndarray], np.ndarray]
    rate: int = RATE
    floats: bool = False


@dataclass
class Floats(Pcm):
    """A clip as 32-bit floats, unclipped."""

    encoding: str = "pcm_f32le"

    async def blocks(self) -> AsyncIterator[bytes]:
        content = self.samples.astype("<f4").tobytes()
        for start in range(0, len(content), 2 * RATE):
            yield content[start : start + 2 * RATE]


def given(change: Change, clip: np.ndarray) -> Audio:
    made = change.make(clip).astype(np.float32)
    return Floats(made, change.rate) if change.floats else Pcm(made, change.rate)


def invariances() -> list[tuple[str, str, dict, list[Change]]]:
    """Name, what it checks, limit, changes."""
    rng = default_rng(SEED)
    return [
        ("polarity", "the sign of the waveform", SAME, [Change("turned over", lambda x: -x)]),
        ("DC offset", "a constant added, as cheap sound cards do", SAME, [Change(f"{dc:+}", lambda x, dc=dc: x * 0.9 + dc) for dc in (0.02, -0.1)]),
        ("level", "loudness; upwards as floats, because 16 bits would clip, which is more than a level", SAME, [
            Change("-20 dB", lambda x: x / 10), Change("+12 dB as floats", lambda x: x * 4, floats=True)]),
        ("very low level", "40 dB down, where 16 bits leave about 8", NEARLY, [Change("-40 dB", lambda x: x / 100)]),
        ("float samples", "the same samples as 32-bit floats", SAME, [Change("as floats", lambda x: x, floats=True)]),
        ("leading digital silence", "zeros before the first word", SAME, [
            Change(f"{s} s of zeros", lambda x, s=s: np.pad(x, (round(s * RATE), 0))) for s in (0.5, 2)]),
        ("leading quiet noise", "noise at -65 dBFS before the first word", NEARLY, [
            Change("2 s of noise", lambda x: np.concatenate([_hiss(2, rng), x]))]),
        ("trailing silence", "zeros, or noise at -65 dBFS, after the last word", NEARLY, [
            Change("2 s of zeros", lambda x: np.pad(x, (0, 2 * RATE))), Change("2 s of noise", lambda x: np.concatenate([x, _hiss(2, rng)]))]),
        ("48 kHz", "the clip given at 48 kHz; the server's own resampler brings it back", NEARLY, [_at(48000)]),
        ("44.1 and 22.05 kHz", "rates that are no multiple of the model's", NEARLY, [_at(44100), _at(22050)]),
        ("codec round trip", "both classes through a lossy coder and back", CODED, [
            Change("Opus 32 kbit/s", lambda x: recode.through_av(x, "libopus", 32)),
            Change("MP3 64 kbit/s", lambda x: recode.through_av(x, "libmp3lame", 64))]),
        ("bandwidth", "both classes without what lies above 3.8 kHz", NARROW, [Change("low-pass at 3.8 kHz", _narrow)]),
    ]  # fmt: skip


def codec_changes() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Only coders that a caller's phone, messenger or video really uses; Speex cannot be encoded by PyAV's build or libsndfile's."""
    rng = default_rng(SEED)
    made = {f"{label} {kbit_s} kbit/s": partial(recode.through_av, codec=codec, kbit_s=kbit_s) for label, codec, rates in (
        ("Opus", "libopus", (8, 16, 32, 64)), ("MP3", "libmp3lame", (32, 64, 128)), ("AAC", "aac", (64,))) for kbit_s in rates}  # fmt: skip
    made |= {name: partial(recode.through_telephone, subtype=subtype) for name, subtype in (("mu-law", "ULAW"), ("A-law", "ALAW"), ("GSM", "GSM610"))}
    return made | {"G.722": lambda x: codecs.through(x, "g722", rng), "AMR-NB": lambda x: codecs.through(x, "amr", rng)}


def _hiss(seconds: float, rng: Generator) -> np.ndarray:
    return (10 ** (-65 / 20) * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def _at(rate: int) -> Change:
    return Change(f"given at {rate / 1000:g} kHz", lambda x: soxr.resample(x, RATE, rate), rate)


def _narrow(audio: np.ndarray) -> np.ndarray:
    return sosfilt(butter(10, 3800, fs=RATE, output="sos"), audio)
