"""Files that must not be decoded, or only so far: rubbish, lying headers, bombs, and thousands of small lies (fuzz)."""

from __future__ import annotations

import contextlib
import functools
import struct
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.errors import AudioTooLong, DecodeTooSlow, EmptyAudio, UnsupportedAudio, UnusableAudio, VoxproofError
from app.service.decode import SAMPLE_BYTES, DecodeLimits, open_audio
from tests.audio import media_file, recorder_mp4, recorder_webm, silent_video, sound_file, tone, wav, wav_format

LIMITS = DecodeLimits()


def seconds(data: bytes, limits: DecodeLimits = LIMITS) -> float:
    """Decodes all of it and says how long it is; every block must be whole frames and no longer than a second."""
    with open_audio(data, limits) as audio:
        frame_bytes, total = SAMPLE_BYTES[audio.encoding] * audio.channels, 0
        for block in audio.blocks():
            assert 0 < len(block) <= frame_bytes * audio.sample_rate
            assert len(block) % frame_bytes == 0
            total += len(block)
    return total / frame_bytes / audio.sample_rate


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"Not audio at all, only words. " * 99,
        b"PK\x03\x04" + bytes(2000),
        b"\x7fELF" + bytes(2000),
        b"\x89PNG\r\n\x1a\n" + bytes(2000),
        b"<!doctype html><html></html>",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        bytes(5000),
        b"\xff" * 5000,
        b"\0",
        np.random.default_rng(5).bytes(9000),
    ],
)
def test_what_is_not_audio_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedAudio):
        seconds(data)


def test_a_video_without_sound_is_refused() -> None:
    with pytest.raises(UnsupportedAudio, match="no sound"):
        seconds(silent_video())


def test_nothing_is_empty() -> None:
    for data in (b"", wav(tone(0))):
        with pytest.raises(EmptyAudio):
            seconds(data)


def header(channels: int, rate: int, bits: int = 16, body: int = 4000) -> bytes:
    return b"RIFF\xff\xff\xff\xffWAVE" + wav_format(1, channels, rate, bits) + b"data\xff\xff\xff\xff" + bytes(body)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (header(500, 16000), UnsupportedAudio, "500 channels"),
        (header(9, 16000), UnsupportedAudio, "9 channels"),
        (header(0, 16000), UnusableAudio, "0 channels"),
        (header(1, 0), UnusableAudio, "0 Hz"),
        (header(1, 4_294_967_295), UnsupportedAudio, "4294967295 Hz"),
        (header(1, 192_000), UnsupportedAudio, "192000 Hz"),
        (header(1, 4000), UnsupportedAudio, "4000 Hz"),
        (sound_file(tone(0.1, 192000), 192000, "FLAC"), UnsupportedAudio, "192000 Hz"),
    ],
)
def test_a_senseless_header_is_refused_by_name(data: bytes, error: type[VoxproofError], words: str) -> None:
    with pytest.raises(error, match=words):
        seconds(data)


def test_a_header_that_claims_gigabytes_costs_nothing() -> None:
    flac = bytearray(sound_file(tone(0.5), 16000, "FLAC"))
    flac[21:26] = bytes([flac[21] | 0x0F, 0xFF, 0xFF, 0xFF, 0xFF])  # 2^36 - 1 samples
    au = b".snd" + struct.pack(">IIIII", 24, 2_000_000_000, 3, 16000, 1) + bytes(3200)
    for data in (wav(tone(0.5), data_length=0xFFFFFFF0), bytes(flac), au, header(8, 96000)):
        tracemalloc.start()
        got = seconds(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert got <= 0.5
        assert peak < 4_000_000


def test_too_long_is_said_at_once_when_the_header_can_be_trusted() -> None:
    limits = DecodeLimits(max_seconds=2.0)
    for data in (wav(tone(2.1)), sound_file(tone(3.0), 16000, "FLAC"), sound_file(tone(3.0), 16000, "MP3")):
        with pytest.raises(AudioTooLong), open_audio(data, limits):
            pytest.fail("it was opened")


@pytest.mark.parametrize("make", [recorder_webm, lambda s: media_file(tone(s, 48000), 48000, "adts", "aac")])
def test_too_long_is_found_while_decoding_otherwise(make: Callable[[float], bytes]) -> None:
    with open_audio(make(4.0), DecodeLimits(max_seconds=2.0)) as audio:
        got = 0
        with pytest.raises(AudioTooLong):
            for block in audio.blocks():
                got += len(block)
    assert got <= 2.0 * 48000 * 4


def test_just_long_enough_is_not_too_long() -> None:
    assert seconds(wav(tone(2.0)), DecodeLimits(max_seconds=2.0)) == 2.0


def test_slow_decoding_is_stopped() -> None:
    with pytest.raises(DecodeTooSlow):
        seconds(wav(tone(1.0)), DecodeLimits(timeout_seconds=1e-9))


# --- fuzz ---------------------------------------------------------------------------------------------------


@functools.cache
def seeds() -> list[bytes]:
    kinds = [("WAV", "PCM_16"), ("WAV", "IMA_ADPCM"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", None)]
    kinds += [("OGG", "VORBIS"), ("OGG", "OPUS"), ("AIFF", "PCM_16"), ("AU", "ULAW"), ("CAF", "ALAC_16"), ("W64", "PCM_16")]
    files = [sound_file(tone(0.2), 16000, kind, subtype) for kind, subtype in kinds]
    phone = [media_file(tone(0.3, 8000), 8000, kind, "libopencore_amrnb") for kind in ("amr", "3gp")]
    phone.append(media_file(tone(0.3, 48000), 48000, "adts", "aac"))
    return [*files, recorder_webm(0.3), recorder_mp4(0.3), *phone]


EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(["set", "cut", "put", "big"]), st.integers(0, 255)), max_size=12)


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 16), EDITS, st.floats(0, 1), st.booleans())
def test_damaged_files_raise_nothing_but_our_errors(which: int, edits: list[tuple[float, str, int]], keep: float, in_head: bool) -> None:
    data = bytearray(seeds()[which])
    for where, what, value in edits:
        at = int(where * (min(len(data), 300) if in_head else len(data)))
        if what == "set":
            data[at : at + 1] = bytes([value])
        elif what == "cut":
            del data[at : at + value]
        elif what == "put":
            data[at:at] = bytes([value]) * value
        else:
            data[at : at + 4] = b"\xff\xff\xff\x7f"
    if keep < 0.5:
        del data[int(len(data) * keep * 2) :]
    with contextlib.suppress(VoxproofError):
        seconds(bytes(data), DecodeLimits(max_seconds=10, timeout_seconds=10))


@given(st.binary(max_size=2000))
def test_any_bytes_raise_nothing_but_our_errors(data: bytes) -> None:
    with pytest.raises(VoxproofError):
        seconds(data)
