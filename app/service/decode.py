"""File bytes -> PCM. In: the bytes of an audio file, whatever it is called. Out: an `AudioFile` whose `blocks()` are raw
PCM, ready for a `Session`. Synchronous and in this process: the server runs it in a `decoder_pool` worker, the CLI directly.

libsndfile reads what it can (WAV, FLAC, MP3, Ogg, AIFF, AU, CAF …), PyAV the rest (WebM, MP4, AAC, AMR …) and what
libsndfile refuses; `av` is imported only then. Memory is bounded whatever a header says: about a second of PCM.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Protocol

import soundfile

from app.core.errors import AudioTooLong, DecodeTooSlow, EmptyAudio, PeerError, UnsupportedAudio, UnusableAudio
from app.service.sniff import Found, sniff

FileEncoding = Literal["pcm_s16le", "pcm_f32le"]
SAMPLE_BYTES: dict[FileEncoding, int] = {"pcm_s16le": 2, "pcm_f32le": 4}

_READ_FRAMES = 2048  # per call: what a decoder error in the middle costs
_BLOCK_SECONDS = 0.5
_SNDFILE_KINDS = frozenset({"wav", "flac", "mp3", "ogg", "aiff", "au", "caf", "w64", "nist", "voc"})
# Fewer bytes per claimed second than any codec makes of speech or even of silence: then the header's length is a lie.
_LEAST_BYTES_PER_SECOND = 100
# libsndfile subtypes whose values fit 16 bits exactly.
_SIXTEEN_BIT = frozenset(
    {"PCM_S8", "PCM_U8", "PCM_16", "ULAW", "ALAW", "ALAC_16", "DPCM_8", "DPCM_16", "DWVW_12", "DWVW_16"}
    | {"IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "G723_24", "G723_40", "VOX_ADPCM"}
    | {"NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32"}
)


@dataclass(frozen=True)
class DecodeLimits:
    """What a file may cost. Rates in Hz; `timeout_seconds` counts time spent decoding, not time the reader takes."""

    max_seconds: float = 1800.0
    max_channels: int = 8
    min_rate: int = 8000
    max_rate: int = 96000
    timeout_seconds: float = 60.0


class Reader(Protocol):
    """One decoder at work on one file. `seconds` is the length its header claims, None where that is only a guess."""

    container: str
    codec: str
    sample_rate: int
    channels: int
    encoding: FileEncoding
    seconds: float | None
    warnings: list[str]

    def read(self) -> bytes:
        """The next interleaved PCM, whole frames; empty at the end. Damage that leaves audio is a warning."""
        ...

    def close(self) -> None: ...


class AudioFile:
    """An open audio file. `warnings` is complete once `blocks()` is exhausted; its codes: `truncated` (the file ends before
    its header says), `corrupt` (parts could not be decoded and are left out), `format_changed` (rate or channels change
    on the way: what follows is left out), `other_tracks` (only the main sound track is read)."""

    def __init__(self, reader: Reader, limits: DecodeLimits, warnings: list[str], first: bytes, spent: float, own: BinaryIO | None) -> None:
        self.sample_rate = reader.sample_rate
        self.channels = reader.channels
        self.codec = reader.codec
        self.container = reader.container
        self.encoding: FileEncoding = reader.encoding
        self.warnings = warnings
        self._reader, self._limits, self._first, self._spent, self._own = reader, limits, first, spent, own
        self._frame_bytes = SAMPLE_BYTES[self.encoding] * self.channels

    def blocks(self) -> Iterator[bytes]:
        """Interleaved PCM in blocks of about half a second, never more than one. Once only.

        Raises `AudioTooLong` as soon as one frame too many is decoded, `DecodeTooSlow`, `EmptyAudio` or `UnusableAudio`.
        """
        block_bytes = int(self.sample_rate * _BLOCK_SECONDS) * self._frame_bytes
        room = int(self.sample_rate * self._limits.max_seconds) * self._frame_bytes
        total, kept = 0, bytearray()
        for piece in self._pieces():
            total += len(piece)
            if total > room:
                raise _too_long(self._limits)
            kept += piece
            while len(kept) >= block_bytes:  # one piece may hold seconds
                yield bytes(kept[:block_bytes])
                del kept[:block_bytes]
        if kept:
            yield bytes(kept)
        self._settle(total // self._frame_bytes / self.sample_rate)

    def _pieces(self) -> Iterator[bytes]:
        piece, self._first = self._first, b""
        while piece:
            yield piece
            started = time.monotonic()
            piece = self._reader.read()
            self._spent += time.monotonic() - started
            if self._spent > self._limits.timeout_seconds:
                raise DecodeTooSlow()

    def _settle(self, seconds: float) -> None:
        """Adds the warnings known at the end. Tolerance: encoders round a header's length."""
        claimed = self._reader.seconds
        if claimed is not None and seconds < 0.98 * claimed - 0.25:
            self._reader.warnings.append("truncated")
        for code in self._reader.warnings:
            if code not in self.warnings:
                self.warnings.append(code)

    def close(self) -> None:
        self._reader.close()
        if self._own:
            self._own.close()

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_audio(source: bytes | BinaryIO | Path, limits: DecodeLimits) -> AudioFile:
    """Opens a file of any supported kind and decodes its first samples. Close it, or use it as a context manager.

    A `BinaryIO` that cannot seek is read whole; one that can is not closed here. Raises `EmptyAudio`, `UnsupportedAudio`,
    `UnusableAudio`, `AudioTooLong` or `DecodeTooSlow`.
    """
    started = time.monotonic()
    own: BinaryIO | None = None
    if isinstance(source, bytes):
        file: BinaryIO = io.BytesIO(source)
    elif isinstance(source, Path):
        file = own = source.open("rb")
    else:
        file = source if source.seekable() else io.BytesIO(source.read())
    try:
        found = sniff(file)
        if found.claims:
            _check(*found.claims, limits)
        reader, first = _open_reader(found)
        try:
            if not first:
                raise UnusableAudio() if found.warnings or reader.warnings else EmptyAudio()
            _check(reader.sample_rate, reader.channels, limits)
            if not found.length_known:
                reader.seconds = None
            if reader.seconds and reader.seconds > limits.max_seconds and found.size > reader.seconds * _LEAST_BYTES_PER_SECOND:
                raise _too_long(limits)
            spent = time.monotonic() - started
            if spent > limits.timeout_seconds:
                raise DecodeTooSlow()
            return AudioFile(reader, limits, list(found.warnings), first, spent, own)
        except BaseException:
            reader.close()
            raise
    except BaseException:
        if own:
            own.close()
        raise


def _open_reader(found: Found) -> tuple[Reader, bytes]:
    """The first decoder that gets samples out of the file, and those samples (empty: a sound file without sound)."""
    if found.kind in _SNDFILE_KINDS and not found.for_av:
        try:
            return _first_samples(SndfileReader(found))
        except soundfile.LibsndfileError:
            found.window.seek(0)
    from app.service.decode_av import AvReader

    return _first_samples(AvReader(found))


def _first_samples(reader: Reader) -> tuple[Reader, bytes]:
    try:
        return reader, reader.read()
    except BaseException:
        reader.close()
        raise


def _check(rate: int, channels: int, limits: DecodeLimits) -> None:
    if not limits.min_rate <= rate <= limits.max_rate:
        raise UnsupportedAudio(f"The audio's sample rate is {rate} Hz; we read {limits.min_rate} to {limits.max_rate} Hz.")
    if not 1 <= channels <= limits.max_channels:
        raise UnsupportedAudio(f"The audio has {channels} channels; we read up to {limits.max_channels}.")


def _too_long(limits: DecodeLimits) -> PeerError:
    return AudioTooLong(f"The audio is longer than {limits.max_seconds:g} seconds.")


class SndfileReader:
    """libsndfile, through `soundfile`. Raises `LibsndfileError` for what it does not read."""

    def __init__(self, found: Found) -> None:
        self._file = soundfile.SoundFile(found.window)
        # soundfile seeks after each read of a seekable file; MP3 and Vorbis decoders then start anew, with an audible seam.
        self._file.seekable = lambda: False
        self.container, self.codec = found.kind, str(self._file.subtype).lower()
        self.sample_rate, self.channels = int(self._file.samplerate), int(self._file.channels)
        self.encoding: FileEncoding = "pcm_s16le" if self._file.subtype in _SIXTEEN_BIT else "pcm_f32le"
        frames = int(self._file.frames)
        self.seconds: float | None = frames / self.sample_rate if self.sample_rate > 0 and 0 < frames < 1 << 62 else None
        self.warnings: list[str] = []
        self._dtype = "int16" if self.encoding == "pcm_s16le" else "float32"
        self._buffer = bytearray()
        self._any = False

    def read(self) -> bytes:
        frame_bytes = SAMPLE_BYTES[self.encoding] * self.channels
        if not self._buffer:
            self._buffer = bytearray(_READ_FRAMES * frame_bytes)
        try:
            frames = int(self._file.buffer_read_into(self._buffer, self._dtype))
        except soundfile.LibsndfileError:
            if not self._any:
                raise
            self.warnings.append("truncated")
            return b""
        self._any = self._any or frames > 0
        return bytes(memoryview(self._buffer)[: max(frames, 0) * frame_bytes])

    def close(self) -> None:
        self._file.close()
