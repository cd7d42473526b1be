"""Files -> PCM: every format we promise, exact where the format is, and what is left of damaged ones."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import pcm
from app.core.errors import EmptyAudio, UnusableAudio
from app.service.decode import DecodeLimits, open_audio
from tests.audio import media_file, recorder_mp4, recorder_webm, sound_file, tone, wav, wav_format

LIMITS = DecodeLimits()


class Decoded:
    """A whole file, decoded; checks on the way what every file must keep to."""

    def __init__(self, source: Any, limits: DecodeLimits = LIMITS) -> None:
        with open_audio(source, limits) as audio:
            blocks = list(audio.blocks())
        self.rate, self.channels, self.encoding, self.warnings = audio.sample_rate, audio.channels, audio.encoding, audio.warnings
        self.container, self.codec, self.data = audio.container, audio.codec, b"".join(blocks)
        frame_bytes = pcm.SAMPLE_BYTES[audio.encoding] * audio.channels
        assert all(0 < len(block) <= frame_bytes * audio.sample_rate and len(block) % frame_bytes == 0 for block in blocks)
        self.seconds = len(self.data) / frame_bytes / audio.sample_rate

    @property
    def samples(self) -> pcm.Samples:
        return pcm.decode(self.data, self.encoding, self.channels)


# --- what must come out -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAVEX", "PCM_16"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("CAF", "ALAC_16"),
        ("NIST", "PCM_16"),
        ("VOC", "PCM_16"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_sixteen_bits_come_out_bit_for_bit(kind: str, subtype: str, channels: int) -> None:
    samples = tone(1.3, 16000, channels)
    got = Decoded(sound_file(samples, 16000, kind, subtype))
    assert (got.rate, got.channels, got.encoding, got.warnings) == (16000, channels, "pcm_s16le", [])
    assert got.data == samples.astype("<i2").tobytes()


@settings(max_examples=40)
@given(st.integers(1, 8), st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 88200, 96000]), st.integers(1, 3000), st.integers(0, 99))
def test_any_sixteen_bit_wav_is_exact(channels: int, rate: int, frames: int, seed: int) -> None:
    samples = np.random.default_rng(seed).integers(-32768, 32768, (frames, channels)).astype(np.int16)
    for data in (wav(samples, rate), sound_file(samples, rate, "WAVEX", "PCM_16"), sound_file(samples, rate, "FLAC", "PCM_16")):
        got = Decoded(data)
        assert (got.rate, got.channels, got.data) == (rate, channels, samples.astype("<i2").tobytes())


def test_eight_bits_fill_the_upper_byte() -> None:
    samples = (tone(0.5) >> 8 << 8).astype(np.int16)
    for kind, subtype in (("WAV", "PCM_U8"), ("FLAC", "PCM_S8"), ("AIFF", "PCM_S8"), ("AU", "PCM_S8")):
        got = Decoded(sound_file(samples, 16000, kind, subtype))
        assert got.encoding == "pcm_s16le"
        assert got.data == samples.tobytes(), kind
    through_av = media_file(samples, 16000, "matroska", "pcm_u8", sample_format="u8")
    assert Decoded(through_av).data == samples.tobytes()


@pytest.mark.parametrize(("tag", "encoding"), [(7, "mulaw"), (6, "alaw")])
def test_g711_in_wav_equals_g711_on_the_wire(tag: int, encoding: pcm.Encoding) -> None:
    codes = bytes(range(256)) * 40
    file = b"RIFF\0\0\0\0WAVE" + wav_format(tag, 1, 8000, 8) + struct.pack("<4sI", b"data", len(codes)) + codes
    got = Decoded(file)
    assert got.encoding == "pcm_s16le"
    np.testing.assert_array_equal(got.samples, pcm.decode(codes, encoding, 1))


@pytest.mark.parametrize(("subtype", "step"), [("PCM_24", 2**-23), ("PCM_32", 2**-24), ("FLOAT", 0.0), ("DOUBLE", 2**-24)])
def test_finer_samples_come_out_as_float(subtype: str, step: float) -> None:
    samples = tone(0.5) / 40000.0
    got = Decoded(sound_file(samples.astype(np.float32), 16000, "WAV", subtype))
    assert got.encoding == "pcm_f32le"
    np.testing.assert_allclose(got.samples[0], samples[:, 0].astype(np.float32), rtol=0, atol=step)


def test_nan_and_inf_pass_through() -> None:
    samples = np.array([0.5, np.nan, np.inf, -np.inf], np.float32)
    np.testing.assert_array_equal(np.frombuffer(Decoded(sound_file(samples, 16000, "WAV", "FLOAT")).data, "<f4"), samples)


FILES: dict[str, tuple[Callable[[], bytes], int]] = {  # name -> (file of two seconds, its rate)
    "mp3": (lambda: sound_file(tone(2.0), 16000, "MP3"), 16000),
    "mp3 ID3": (lambda: media_file(tone(2.0, 44100), 44100, "mp3", "libmp3lame", options={"id3v2_version": "4"}), 44100),
    "mp3 bare": (lambda: media_file(tone(2.0, 44100), 44100, "mp3", "libmp3lame", options={"write_xing": "0", "id3v2_version": "0"}), 44100),
    "mp2": (lambda: media_file(tone(2.0, 48000), 48000, "mp2", "mp2"), 48000),
    "mp3 in wav": (lambda: media_file(tone(2.0, 44100), 44100, "wav", "libmp3lame"), 44100),
    "gsm in wav": (lambda: sound_file(tone(2.0, 8000), 8000, "WAV", "GSM610"), 8000),
    "adpcm in wav": (lambda: sound_file(tone(2.0), 16000, "WAV", "MS_ADPCM"), 16000),
    "vorbis": (lambda: sound_file(tone(2.0), 16000, "OGG", "VORBIS"), 16000),
    "opus in ogg": (lambda: media_file(tone(2.0, 48000), 48000, "ogg", "libopus"), 48000),
    "chained ogg": (lambda: sound_file(tone(1.0), 16000, "OGG", "VORBIS") + sound_file(tone(1.0, seed=1), 16000, "OGG", "VORBIS"), 16000),
    "MediaRecorder webm": (lambda: recorder_webm(2.0), 48000),
    "MediaRecorder mp4": (lambda: recorder_mp4(2.0), 48000),
    "m4a": (lambda: media_file(tone(2.0, 44100), 44100, "ipod", "aac"), 44100),
    "alac": (lambda: media_file(tone(2.0, 44100), 44100, "ipod", "alac", sample_format="s16p"), 44100),
    "aac": (lambda: media_file(tone(2.0, 48000), 48000, "adts", "aac"), 48000),
    "amr": (lambda: media_file(tone(2.0, 8000), 8000, "amr", "libopencore_amrnb"), 8000),
    "3gp": (lambda: media_file(tone(2.0, 8000), 8000, "3gp", "libopencore_amrnb"), 8000),
    "wma": (lambda: media_file(tone(2.0, 44100), 44100, "asf", "wmav2", bit_rate=64000), 44100),
    "flv": (lambda: media_file(tone(2.0, 44100), 44100, "flv", "aac"), 44100),
    "avi": (lambda: media_file(tone(2.0, 16000), 16000, "avi", "pcm_s16le"), 16000),
    "mpegts": (lambda: media_file(tone(2.0, 48000), 48000, "mpegts", "aac"), 48000),
    "24 bits in mov": (lambda: media_file(tone(2.0, 48000), 48000, "mov", "pcm_s24le"), 48000),
    "96 kHz": (lambda: wav(tone(2.0, 96000), 96000), 96000),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_its_sound(name: str) -> None:
    make, rate = FILES[name]
    got = Decoded(make())
    assert (got.rate, got.channels, got.warnings) == (rate, 1, [])
    assert got.seconds == pytest.approx(2.0, abs=0.06)
    spectrum = np.abs(np.fft.rfft(got.samples[0][: int(1.8 * rate)]))
    assert np.argmax(spectrum) * rate / int(1.8 * rate) == pytest.approx(220, abs=2)
    assert np.sqrt(np.mean(got.samples**2)) == pytest.approx(9000 / 2**0.5 / 32768, rel=0.15)


@pytest.mark.parametrize("make", [recorder_webm, recorder_mp4])
def test_stereo_keeps_its_channels_apart(make: Callable[[float, int], bytes]) -> None:
    got = Decoded(make(1.0, 2))
    spectra = np.abs(np.fft.rfft(got.samples[:, 4800:43200], axis=1))
    assert [round(peak * 48000 / 38400) for peak in np.argmax(spectra, axis=1)] == pytest.approx([220, 440], abs=3)


@pytest.mark.parametrize("channels", [3, 6, 8])
def test_many_channels_are_reported(channels: int) -> None:
    assert Decoded(sound_file(tone(0.2, 16000, channels), 16000, "FLAC")).channels == channels


def test_eight_channels_of_aac() -> None:
    """PyAV's own conversion to an array crashes on these."""
    got = Decoded(media_file(tone(0.3, 48000, 8), 48000, "mp4", "aac", bit_rate=256_000))
    assert got.channels == 8
    assert got.seconds == pytest.approx(0.3, abs=0.05)


def test_any_source_will_do(tmp_path: Path) -> None:
    data = wav(tone(0.3))
    path = tmp_path / "really.mp3"
    path.write_bytes(b"junk" + data)

    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert Decoded(io.BytesIO(data)).data == Decoded(Unseekable(data)).data == tone(0.3).tobytes()
    path.write_bytes(data)
    assert Decoded(path).data == tone(0.3).tobytes()


def test_av_is_not_loaded_until_needed() -> None:
    code = "import sys; from app.service.decode import *; a = open_audio(sys.stdin.buffer.read(), DecodeLimits()); list(a.blocks()); "
    code += "assert 'av' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], input=wav(tone(0.1)), check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


# --- damage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF - 36, 0x80000000])
@pytest.mark.parametrize("extra", [b"", b"\x01"])
def test_a_streamed_wav_has_no_true_length(length: int, extra: bytes) -> None:
    got = Decoded(wav(tone(1.0), riff_length=length, data_length=length, extra=extra))
    assert got.data == tone(1.0).tobytes()
    assert got.warnings == []


def test_an_empty_wav_with_a_trailing_chunk_is_empty() -> None:
    with pytest.raises(EmptyAudio):
        Decoded(wav(tone(0), extra=b"LIST\x04\0\0\0INFO"))


def test_chunks_after_the_samples_are_no_audio() -> None:
    assert Decoded(wav(tone(0.5), extra=b"LIST\x04\0\0\0INFO")).data == tone(0.5).tobytes()


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "W64", "FLAC", "MP3", "OGG"])
def test_a_cut_file_gives_what_there_is_and_says_so(kind: str) -> None:
    data = sound_file(tone(6.0), 16000, kind)
    got = Decoded(data[: len(data) * 6 // 10])
    assert got.warnings == ["truncated"]
    assert 2.0 < got.seconds < 4.0


@pytest.mark.parametrize("make", [recorder_webm, recorder_mp4])
def test_a_recording_cut_in_the_middle_gives_what_there_is(make: Callable[[float], bytes]) -> None:
    data = make(3.0)
    assert Decoded(data[: len(data) // 2]).seconds == pytest.approx(1.5, abs=0.2)


def test_an_mp4_without_its_index_is_unusable() -> None:
    data = media_file(tone(1.0, 48000), 48000, "mp4", "aac")
    with pytest.raises(UnusableAudio):
        Decoded(data[: len(data) // 2])


def test_a_later_webm_chunk_alone_is_unusable() -> None:
    data = recorder_webm(3.0)
    with pytest.raises(UnusableAudio, match="first part"):
        Decoded(data[data.rindex(b"\x1f\x43\xb6\x75") :])


def test_a_bad_packet_is_left_out_and_reported() -> None:
    data = bytearray(recorder_mp4(2.0))
    data[len(data) // 2 : len(data) // 2 + 90] = bytes(90)
    got = Decoded(bytes(data))
    assert got.warnings == ["corrupt"] or "truncated" in got.warnings
    assert got.seconds > 0.8


def test_a_changed_format_ends_the_audio_with_a_warning() -> None:
    first = media_file(tone(1.0, 48000), 48000, "adts", "aac")
    got = Decoded(first + media_file(tone(1.0, 44100, 2), 44100, "adts", "aac"))
    assert (got.rate, got.channels, got.warnings) == (48000, 1, ["format_changed"])
    assert got.seconds == pytest.approx(1.0, abs=0.05)


def test_a_second_mp3_behind_the_first_is_not_hidden_by_its_header() -> None:
    one = sound_file(tone(3.0), 16000, "MP3")
    assert Decoded(one + sound_file(tone(3.0, seed=1), 16000, "MP3")).seconds == pytest.approx(6.0, abs=0.3)


def test_an_mp3_from_the_middle_of_a_stream() -> None:
    data = media_file(tone(2.0, 44100), 44100, "mp3", "libmp3lame", options={"write_xing": "0", "id3v2_version": "0"})
    assert Decoded(data[1000:]).seconds == pytest.approx(1.9, abs=0.1)


def test_flac_behind_an_id3_tag() -> None:
    tag = b"ID3\x04\0\0" + bytes([0, 0, 1, 0]) + bytes(128)
    assert Decoded(tag + sound_file(tone(0.5), 16000, "FLAC")).data == tone(0.5).tobytes()
