"""Sentences as phonemes for the neural engines, by espeak-ng. In: text and language. Out: IPA, or the alphabet that Kokoro was trained on.

Tamil, Telugu and Malayalam have no neural voice in any package, so voices of other languages speak their phonemes: what comes out has
the sounds of the language with an accent, and the artefacts of the neural generator, which are what is to be learnt.
"""

import re
import subprocess
from functools import lru_cache

SPEAKERS = {"en": "en-us", "zh": "cmn-latn-pinyin", "pt": "pt-br", "fr": "fr-fr"}
# Sounds that the model spells with one letter (misaki's alphabet); for English also the diphthongs.
AFFRICATES = {"tʃ": "ʧ", "dʒ": "ʤ", "tɕ": "ʨ", "dʑ": "ʥ", "ts": "ʦ", "dz": "ʣ"}
ENGLISH = {
    "eɪ": "A",
    "aɪ": "I",
    "aʊ": "W",
    "oʊ": "O",
    "əʊ": "Q",
    "ɔɪ": "Y",
    "ɚ": "əɹ",
    "ɝ": "ɜɹ",
    "ɜː": "ɜɹ",
    "r": "ɹ",
    "ɐ": "ə",
    "ɬ": "l",
    "o": "ɔ",
    "e": "ɛ",
}
NEAREST = {
    "ɭ": "l",
    "ʉ": "ɯ",
    "ɦ": "h",
    "ɫ": "l",
    "ħ": "h",
    "ʝ": "j",
    "ʕ": "ʔ",
    "ʏ": "y",
    "ɵ": "ə",
    "ɘ": "ə",
    "ʐ": "ʒ",
    "g": "ɡ",
    "̩": "ə",
    "ä": "a",
    "ũ": "ɯ",
    "ʑ": "ʒ",
    "-": "",
}
# espeak writes Mandarin tones as digits after the syllable, Kokoro as arrows.
TONES = {"55": "→", "35": "↗", "214": "↓", "21": "↓", "51": "↘", "5": "→", "2": "↗", "3": "↓", "4": "↘", "1": ""}


def pinyin(text: str) -> str:
    """espeak-ng's Mandarin reads pinyin with tone digits; Debian's build has no dictionary of characters."""
    from pypinyin import Style, lazy_pinyin

    return " ".join(lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True, errors=lambda marks: " "))


@lru_cache(4096)
def ipa(text: str, language: str, speaker: str = "") -> str:
    """Phonemes with stress marks, clauses joined by commas, and the sentence's own last mark."""
    spoken = pinyin(text) if language == "zh" else text
    command = ["espeak-ng", "-q", "--ipa", "-b", "1", "-v", speaker or SPEAKERS.get(language, language), "--stdin"]
    lines = subprocess.run(command, input=spoken.encode(), capture_output=True, check=True, timeout=30).stdout.decode().splitlines()
    said = ", ".join(re.sub(r"\([a-z-]+\)|[\u200d\u0361_^]", "", line).strip() for line in lines if line.strip())
    end = text.strip()[-1]
    return said + (end if end in ".?!" else ".")


def kokoro_phonemes(text: str, language: str, british: bool = False) -> str:
    found = ipa(text, language, "en-gb" if british else "")
    if language == "zh":
        found = re.sub(r"\d+", lambda digits: TONES.get(digits.group(), ""), found)
    for old, new in (ENGLISH if language == "en" else {}).items():
        found = found.replace(old, new)
    for old, new in (AFFRICATES | NEAREST).items():
        found = found.replace(old, new)
    return found
