"""`lab synth`: the roster keeps held voices out, a run is seeded and goes on, the stores and the manifest say what they should.

A tone stands in for a text-to-speech engine, so the tests need none of the packages; one clip is made by espeak-ng where it is installed.
"""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng

from app.lab.config import RATE
from app.lab.data import Store, read_manifest
from app.lab.packages import Missing, debian
from app.lab.synth.engines import Voice, open_program
from app.lab.synth.make import COLUMNS, clip_file, finish, jobs, pack, speak, synthesise, trim
from app.lab.synth.phonemes import kokoro_phonemes
from app.lab.synth.roster import INDIC, roster
from app.lab.synth.texts import languages, sentences

SHARED = Path("../shared/data")
VOICES = [
    Voice("tone", "low", "en", "tts_tone", "none", "ours", 4),
    Voice("tone", "high", "hi", "tts_tone", "none", "ours", 3, held=True),
]


class Tone:
    """Two seconds of a tone with silence around it. `limit` clips, then it breaks, as a killed run would."""

    def __init__(self, limit: int = 1000):
        self.said, self.limit = 0, limit

    def say(self, voice, text, rng):
        self.said += 1
        if self.said > self.limit:
            raise KeyboardInterrupt
        tone = np.sin(np.arange(2 * 22050) * rng.uniform(0.03, 0.05) * 2).astype(np.float32)
        return np.concatenate([np.zeros(11025), tone, np.zeros(11025)]).astype(np.float32), 22050


def made(folder: Path, engine: Tone, seed: int = 1) -> dict[str, bytes]:
    speak("tone", VOICES, folder, seed, lambda line: None, engine)
    return {path: clip_file(folder, path).read_bytes() for path, _, _ in jobs(VOICES, seed)}


def test_same_seed_same_clips_and_another_seed_others(tmp_path):
    first = made(tmp_path / "a", Tone())
    assert first == made(tmp_path / "b", Tone())
    other = made(tmp_path / "c", Tone(), seed=2)
    assert first.keys() == other.keys()
    assert all(first[path] != other[path] for path in first)


def test_a_killed_run_goes_on_and_ends_in_the_same_clips(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "a", Tone(limit=3))
    assert len(list((tmp_path / "a").rglob("*.flac"))) == 3
    rest = Tone()
    assert made(tmp_path / "a", rest) == made(tmp_path / "b", Tone())
    assert rest.said == 4


def test_an_engine_that_cannot_be_had_is_named_and_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr("app.lab.packages.os.geteuid", lambda: 1000)
    with pytest.raises(Missing, match="no-such-program"):
        debian(tmp_path, "no-such-program", "no-such-package")

    def refused(name, work):
        raise Missing("not here")

    monkeypatch.setattr("app.lab.synth.make.open_program", refused)
    lines = []
    speak("tone", VOICES, tmp_path, 1, lines.append)
    assert lines == ["tone: SKIPPED, 7 clips not made: not here"]


def test_an_unknown_engine_is_an_error_and_none_only_packs(tmp_path):
    with pytest.raises(ValueError, match="no such engine: kokorro"):
        synthesise(tmp_path, tmp_path / "cache", 1, ["kokorro"], lambda line: None, VOICES)
    made(tmp_path, Tone())
    synthesise(tmp_path, tmp_path / "cache", 1, ["none"], lambda line: None, VOICES)
    assert len(Store(tmp_path / "cache", "synth")) == 4


def test_stores_and_manifest_say_what_was_made(tmp_path):
    made(tmp_path, Tone())
    pack(tmp_path, tmp_path / "cache", VOICES, lambda line: None)
    train, held = Store(tmp_path / "cache", "synth"), Store(tmp_path / "cache", "synth-held")
    assert [len(train), len(held)] == [4, 3]
    assert {clip.speaker for clip in train.clips} == {"tone:low"} and {clip.speaker for clip in held.clips} == {"tone:high"}
    assert all(clip.spoof and clip.family == "tts" and clip.corpus == "synth" for clip in [*train.clips, *held.clips])
    assert all(0.49 < np.abs(train[index]).max() < 0.95 for index in range(4))
    rows = list(csv.DictReader((tmp_path / "cache/synth-manifest.csv").open(newline="")))
    assert list(rows[0]) == COLUMNS
    assert {row["path"]: row["split"] for row in rows} == {clip.path: "train" for clip in train.clips} | {clip.path: "held" for clip in held.clips}
    assert {row["orig_rate"] for row in rows} == {"22050"} and {row["coding"] for row in rows} <= {"opus40", "none"}
    assert not list((tmp_path / "cache").glob("*.part*"))


def test_columns_are_the_shared_manifests_and_the_sentence():
    if not (SHARED / "manifest.csv").exists():
        pytest.skip("no ../shared/data")
    with (SHARED / "manifest.csv").open(newline="") as file:
        assert [*next(csv.reader(file)), "text_id"] == COLUMNS


def test_no_voice_is_both_trained_on_and_held():
    held = {voice.speaker for voice in roster() if voice.held}
    assert held and not held & {voice.speaker for voice in roster() if not voice.held}
    assert len({(voice.speaker, voice.language) for voice in roster()}) == len(roster())


def test_each_language_to_be_shown_has_sixty_held_clips():
    for language in ("en", *INDIC):
        assert sum(voice.clips for voice in roster() if voice.held and voice.language == language) >= 60
        trained = {voice.system for voice in roster() if voice.language == language and not voice.held}
        assert {voice.system for voice in roster() if voice.language == language and voice.held} - trained


def test_no_generator_of_dev_or_eval_alone_is_trained_on():
    if not (SHARED / "manifest.csv").exists():
        pytest.skip("no ../shared/data")
    splits = read_manifest(SHARED)
    systems = {split: {clip.system for clip in clips if clip.spoof} for split, clips in splits.items()}
    unseen = (systems["dev"] | systems["eval"]) - systems["train"]
    assert unseen and not unseen & {voice.system for voice in roster() if not voice.held}


def test_there_are_sentences_enough():
    assert {voice.language for voice in roster()} <= set(languages())
    assert len(sentences("en")) >= 60 and all(len(sentences(language)) >= 40 for language in INDIC)
    assert all(len(set(sentences(language))) == len(sentences(language)) >= 15 for language in languages())


def test_trim_keeps_at_most_a_third_of_a_second_of_silence():
    audio = np.concatenate([np.zeros(RATE), np.ones(RATE), np.zeros(RATE)]).astype(np.float32)
    lengths = [len(trim(audio, default_rng(seed))) for seed in range(40)]
    assert RATE <= min(lengths) < 1.2 * RATE and 1.4 * RATE < max(lengths) <= 1.6 * RATE + 160


@pytest.mark.parametrize("audio", [np.zeros(RATE), np.full(RATE, np.nan), np.ones(1000)])
def test_what_is_no_speech_is_refused(audio):
    with pytest.raises(ValueError):
        finish(audio.astype(np.float32), RATE, default_rng(0))


def test_four_of_five_clips_are_coded_and_none_is_too_long():
    tone = np.sin(np.arange(6 * RATE) * 0.05).astype(np.float32)
    clips = [finish(tone, RATE, default_rng(seed)) for seed in range(40)]
    assert {len(clip) for clip, _ in clips} == {round(4.2 * RATE)}
    assert 0.65 < np.mean([coding == "opus40" for _, coding in clips]) < 0.95


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
def test_espeak_speaks_and_spells(tmp_path):
    voice = next(voice for voice in roster() if voice.engine == "espeak" and voice.language == "ta")
    audio, rate = open_program("espeak", tmp_path).say(voice, sentences("ta")[0], default_rng(0))
    clip, _ = finish(audio, rate, default_rng(0))
    assert 0.6 * RATE < len(clip) <= 4.2 * RATE
    assert "ɖ" in kokoro_phonemes(sentences("ta")[1], "ta")


def test_a_line_is_written_for_each_clip(tmp_path):
    made(tmp_path, Tone())
    rows = [json.loads(line) for line in (tmp_path / "tone.jsonl").read_text().splitlines()]
    assert {row["path"] for row in rows} == {path for path, _, _ in jobs(VOICES, 1)}
    assert {row["text_id"][:3] for row in rows} == {"en-", "hi-"}
