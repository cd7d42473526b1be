"""Engines that are Debian programs: formant (espeak-ng), diphone (mbrola, festival), unit selection and HMM (flite, festival, pico,
RHVoice, Open JTalk).

In: a `Voice` and a sentence. Out: samples and their rate. `make` calls `open_engine` once for each engine and `say` for each clip.
"""

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
from numpy.random import Generator

from app.lab.packages import debian

SAY_SECONDS = 60
Sound = tuple[np.ndarray, int]


@dataclass(frozen=True)
class Voice:
    """One voice in one language: `clips` sentences, all of them held out of training or none."""

    engine: str
    name: str
    language: str
    system: str
    package: str
    licence: str
    clips: int
    held: bool = False

    @property
    def speaker(self) -> str:
        return f"{self.engine}:{self.name}"


class Engine(Protocol):
    """Promise: `say` gives mono float samples in about -1..1, or raises; the same generator state gives the same command."""

    def say(self, voice: Voice, text: str, rng: Generator) -> Sound: ...


class Program:
    """A program that writes a WAV file. `command` makes its arguments; the sentence goes to its standard input as UTF-8."""

    def __init__(self, command: Callable[[Voice, str, str, Generator], list[str]]):
        self.command = command

    def say(self, voice: Voice, text: str, rng: Generator) -> Sound:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "out.wav")
            done = subprocess.run(self.command(voice, text, path, rng), input=text.encode(), capture_output=True, timeout=SAY_SECONDS)
            if done.returncode or not Path(path).exists() or Path(path).stat().st_size < 1000:
                raise RuntimeError(f"{voice.speaker}: exit {done.returncode} {done.stderr.decode(errors='replace').strip()[-120:]}")
            audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return audio[:, 0], rate


def espeak_command(voice: Voice, text: str, path: str, rng: Generator) -> list[str]:
    """Voice names are `variant`, or `mb-xx1` for an mbrola voice. Speed and pitch differ from clip to clip."""
    name = voice.name if voice.name.startswith("mb-") else f"{ESPEAK_NAMES.get(voice.language, voice.language)}+{voice.name}"
    return ["espeak-ng", "-v", name, "-s", str(rng.integers(140, 190)), "-p", str(rng.integers(35, 65)), "-w", path, "--stdin", "-b", "1"]


def festival_command(voice: Voice, text: str, path: str, rng: Generator) -> list[str]:
    return ["text2wave", "-o", path, "-eval", f"(voice_{voice.name})"]


def flite_command(voice: Voice, text: str, path: str, rng: Generator) -> list[str]:
    return ["flite", "-voice", voice.name, "--setf", f"duration_stretch={rng.uniform(0.9, 1.15):.2f}", "-t", text, "-o", path]


def pico_command(voice: Voice, text: str, path: str, rng: Generator) -> list[str]:
    return ["pico2wave", "-l", voice.name, "-w", path, text]


def rhvoice_command(voice: Voice, text: str, path: str, rng: Generator) -> list[str]:
    return ["RHVoice-test", "-p", voice.name, "-r", str(rng.integers(90, 115)), "-t", str(rng.integers(92, 109)), "-o", path]


def jtalk_command(voice: Voice, text: str, path: str, rng: Generator) -> list[str]:
    model, words = "/usr/share/hts-voice/nitech-jp-atr503-m001/nitech_jp_atr503_m001.htsvoice", "/var/lib/mecab/dic/open-jtalk/naist-jdic"
    return ["open_jtalk", "-m", model, "-x", words, "-r", f"{rng.uniform(0.9, 1.1):.2f}", "-fm", f"{rng.uniform(-2, 2):.1f}", "-ow", path]


ESPEAK_NAMES = {"en": "en-us", "zh": "cmn-latn-pinyin", "pt": "pt-br", "fr": "fr-fr"}
FESTIVAL = ("festival", "festvox-kallpc16k", "festvox-kdlpc16k", "festvox-us-slt-hts", "festvox-italp16k", "festvox-itapc16k", "festvox-ru")
FESTIVAL_INDIC = ("festival-hi", "festvox-hi-nsk", "festival-te", "festvox-te-nsk")
MBROLA = tuple(f"mbrola-{name}" for name in ["us1", "us2", "us3", "en1", "in1", "in2", "tl1", "de1", "de2", "fr1", "fr4", "es1", "it3", "pl1", "br1"])
RHVOICE = ("rhvoice", "rhvoice-english", "rhvoice-russian", "rhvoice-ukrainian", "rhvoice-brazilian-portuguese")
JTALK = ("open-jtalk", "open-jtalk-mecab-naist-jdic", "hts-voice-nitech-jp-atr503-m001")


def open_program(name: str, work: Path) -> Engine:
    """Install what is missing (`packages.Missing` if it cannot be) and give the engine."""
    if name == "espeak":
        debian(work, "espeak-ng", "espeak-ng")
        return Program(espeak_command)
    if name == "mbrola":
        debian(work, "espeak-ng", "espeak-ng")
        debian(work, "/usr/share/mbrola/tl1", "mbrola", *MBROLA)
        return Program(espeak_command)
    if name == "festival":
        debian(work, "/usr/share/festival/voices/russian", *FESTIVAL)
        debian(work, "/usr/share/festival/voices/telugu", *FESTIVAL_INDIC)
        return Program(festival_command)
    wanted = {
        "flite": (flite_command, "flite", ("flite",)),
        "pico": (pico_command, "pico2wave", ("libttspico-utils",)),
        "rhvoice": (rhvoice_command, "RHVoice-test", RHVOICE),
        "jtalk": (jtalk_command, "open_jtalk", JTALK),
    }
    command, program, names = wanted[name]
    debian(work, program, *names)
    return Program(command)
