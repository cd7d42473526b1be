"""One file through the session: the same as a live stream of it, for one to eight channels, with its warnings, and refused when too long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import wire
from app.core.errors import AudioTooLong, BadConfig, EmptyAudio, ScoringFailed
from app.core.messages import Message
from app.core.windows import Scored, Window
from app.service.detect import NOTES, Result, detect, local
from app.service.services import TwoClass, answer
from tests.fake import FakeScorer, facts, model, open_session, play, s16, speechlike


class Audio:
    """A decoded file, in blocks of any size."""

    def __init__(self, data: bytes, *, channels: int = 1, rate: int = 16000, encoding: str = "pcm_s16le", warnings: Sequence[str] = ()) -> None:
        self.sample_rate, self.channels, self.encoding, self.warnings = rate, channels, encoding, list(warnings)
        self.sizes, self.data, self.given = [16000], data, 0

    async def blocks(self) -> AsyncIterator[bytes]:
        while self.given < len(self.data):
            size = self.sizes[self.given % len(self.sizes)]
            self.given += size
            yield self.data[self.given - size : self.given]


async def score(windows: Sequence[Window]) -> list[Scored]:
    await asyncio.sleep(0)
    return FakeScorer().score(windows)


def checked(audio: Audio, max_seconds: float = 100, on_message: Any = None, **config: Any) -> Result:
    return asyncio.run(detect(audio, model(), score, wire.Config(**config), max_seconds=max_seconds, on_message=on_message))


def codes(result: Result) -> list[str]:
    return [w.code for w in result.warnings]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 200).map(lambda n: n * n + 1), min_size=1, max_size=5), st.sampled_from([(1, 16000), (2, 8000), (2, 44100)]))
def test_a_file_gets_what_a_stream_of_it_gets(sizes: list[int], form: tuple[int, int]) -> None:
    channels, rate = form
    data = s16(speechlike(3.3, rate, channels=channels))
    audio = Audio(data, channels=channels, rate=rate)
    audio.sizes = sizes
    result = checked(audio)
    streamed = facts(play(open_session("pcm_s16le", rate, channels), [data]))
    assert facts([*result.segments, result.done]) == [row for row in streamed if row["type"] in ("segment", "done")]


def test_the_answer_is_json_without_what_belongs_to_a_stream() -> None:
    audio = Audio(s16(speechlike(4, level=0.9)))
    result = checked(audio, detail="full")
    content = json.loads(json.dumps(answer(result, b"abc"), allow_nan=False))
    assert content["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content["segments_total"] == len(content["segments"]) == 7 and content["duration_ms"] == 4000
    assert [w["code"] for w in content["warnings"]] == ["clipping"]
    for part in (content, *content["segments"], *content["warnings"]):
        assert {"type", "seq", "latency_ms"}.isdisjoint(part)
    assert all("quality" in segment for segment in content["segments"])


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f32le"])
def test_one_to_eight_channels(channels: int, encoding: str) -> None:
    samples = speechlike(2.2, channels=channels, level=0.1)
    data = s16(samples) if encoding == "pcm_s16le" else samples.astype("<f4").tobytes()
    audio = Audio(data, channels=channels, encoding=encoding)
    audio.sizes = [1001, 3, 40_000]  # frames are cut through
    result = checked(audio)
    assert len(result.done.channels) == (channels if channels <= 2 else 1)
    assert ("mixed" in codes(result)) == (channels > 2)
    if channels > 2:
        heard = np.rint(samples * 32767).astype("<i2") / 32768 if encoding == "pcm_s16le" else samples
        mixed = heard.astype(np.float32).mean(axis=1, dtype=np.float32).astype("<f4").tobytes()
        alone = checked(Audio(mixed, encoding="pcm_f32le"))
        for got, wanted in zip(result.segments, alone.segments, strict=True):
            assert got.llr == pytest.approx(wanted.llr, abs=1e-3) and got.end_ms == wanted.end_ms
    assert len(checked(Audio(data, channels=channels, encoding=encoding), channel_mode="mix").done.channels) == 1


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_numbers_that_are_none_become_silence_and_are_said_once(channels: int) -> None:
    samples = speechlike(2.5, channels=channels)
    broken = samples.copy()
    broken[10_000:10_050] = np.nan
    broken[20_000:20_050, 0] = -np.inf
    samples[10_000:10_050] = 0
    samples[20_000:20_050, 0] = 0
    got, wanted = (checked(Audio(s.astype("<f4").tobytes(), channels=channels, encoding="pcm_f32le")) for s in (broken, samples))
    assert facts([*got.segments, got.done]) == facts([*wanted.segments, wanted.done])
    assert codes(got).count("non_finite_audio") == 1 and "non_finite_audio" not in codes(wanted)


def test_what_the_decoder_noticed_is_passed_on() -> None:
    result = checked(Audio(s16(speechlike(1.2)), warnings=list(NOTES)))
    assert codes(result) == list(NOTES) and all(w.message for w in result.warnings)


@pytest.mark.parametrize("data", [b"", b"\0", bytes(30)])
def test_nothing_to_hear(data: bytes) -> None:
    with pytest.raises(EmptyAudio):
        checked(Audio(data))


def test_silence_is_an_answer() -> None:
    result = checked(Audio(bytes(64_000)))
    assert (result.done.verdict, result.done.llr, result.done.score, result.done.duration_ms) == ("no_speech", None, None, 2000)


def test_too_long_is_refused_before_everything_is_read() -> None:
    audio = Audio(s16(speechlike(40)))
    with pytest.raises(AudioTooLong):
        checked(audio, max_seconds=3)
    assert audio.given <= 3 * 32_000 + 16_000
    for most in (3, 3.5):
        checked(Audio(s16(speechlike(most))), max_seconds=most)
        with pytest.raises(AudioTooLong):
            checked(Audio(s16(speechlike(most + 0.01))), max_seconds=most)


@pytest.mark.parametrize("overflow", ["close", "drop_oldest", "block"])
def test_a_file_is_never_too_fast(overflow: str) -> None:
    audio = Audio(s16(speechlike(6)))
    audio.sizes = [len(audio.data)]
    result = checked(audio, max_seconds=6, on_overflow=overflow)
    assert (result.done.duration_ms, result.done.dropped_ms, result.done.segments_total) == (6000, 0, 11)


def test_a_long_file_is_not_told_that_its_session_expires() -> None:
    assert codes(checked(Audio(bytes(32_000 * 65)), max_seconds=65)) == ["low_level"]


def test_every_message_is_handed_on_as_it_comes() -> None:
    heard: list[Message] = []
    audio = Audio(s16(speechlike(3.2)))
    checked(audio, on_message=heard.append)
    assert [m.seq for m in heard] == list(range(1, len(heard) + 1))
    assert heard[0].type == "ready" and heard[-1].type == "done"


def test_a_config_that_cannot_be_honoured() -> None:
    with pytest.raises(BadConfig):
        checked(Audio(s16(speechlike(1))), hop_seconds=0.01)


def test_a_detector_that_fails_is_heard_of() -> None:
    async def broken(windows: Sequence[Window]) -> list[Scored]:
        raise ScoringFailed()

    with pytest.raises(ScoringFailed):
        asyncio.run(detect(Audio(s16(speechlike(2))), model(), broken, wire.Config(), max_seconds=9))


async def test_local_scoring_leaves_the_event_loop_alone() -> None:
    windows = open_session()
    windows.receive_bytes(s16(speechlike(2)))
    handed = windows.windows(9)
    assert await local(FakeScorer())(handed) == FakeScorer().score(handed)


@pytest.mark.parametrize(("level", "word"), [(0.3, "deepfake"), (0.02, "real")])
def test_two_classes_follow_the_sign(level: float, word: str) -> None:
    result = checked(Audio(s16(speechlike(4, level=level))))
    two = TwoClass.of(result)
    assert two.classification == word and two.raw_score == result.done.llr and (two.raw_score > 0) == (word == "deepfake")
    score = result.done.score or 0
    assert two.confidence == pytest.approx(max(score, 1 - score)) and two.confidence >= 0.5
    assert list(two.content()) == ["classification", "confidence", "raw_score"]


def test_confidence_has_no_more_digits_than_the_score() -> None:
    result = checked(Audio(s16(speechlike(4, level=0.02))))
    result.done.score = 0.280569  # 1 - 0.280569 is 0.7194309999999999
    assert TwoClass.of(result).confidence == 0.719431
