"""FFmpeg, through PyAV, for what libsndfile does not read: WebM, MP4, AAC, AMR, ASF, FLV, AVI, MPEG-TS, and odd codecs in
WAV or Ogg. In: what `sniff` found. Out: a `decode.Reader`. Called by `decode`, which imports this (and so `av`) when needed.

FFmpeg opens far more than sound: playlists that name other files, hundreds of rare codecs. It gets no choice: the
demuxer is the one that `sniff` named, the decoders are on a list, and no protocol may be opened.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container.input import InputContainer
from av.error import FFmpegError

from app.core.errors import UnsupportedAudio, UnusableAudio
from app.service.decode import FileEncoding
from app.service.sniff import Found

_DEMUXERS: dict[str, str] = {
    "webm": "matroska",
    "mp4": "mov",
    "nist": "nistsphere",
    **{kind: kind for kind in ("aac", "aiff", "amr", "asf", "au", "avi", "caf", "flac", "flv", "mp3", "mpegts", "ogg", "voc", "w64", "wav")},
}
# Kinds whose header states the length; for the others FFmpeg guesses it from the bit rate.
_LENGTH_STATED = frozenset({"webm", "mp4", "asf", "flv", "avi", "caf", "flac", "wav", "w64", "aiff"})
_DECODERS = frozenset(
    {"aac", "aac_latm", "ac3", "alac", "amrnb", "amrwb", "eac3", "flac", "g722", "g726", "g726le", "gsm", "gsm_ms", "nellymoser"}
    | {"libopencore_amrnb", "libopencore_amrwb", "libopus", "libspeex", "libvorbis", "opus", "speex", "vorbis"}
    | {"mp1float", "mp2", "mp2float", "mp3", "mp3float", "wmapro", "wmav1", "wmav2", "wmavoice"}
)
_PLAIN = ("pcm_", "adpcm_")
_PEEK_FRAMES = 4  # HE-AAC may double its rate, and its channels, after the first frame
_MAX_BAD_PACKETS = 200
_MAX_CHANNELS = 8  # an FFmpeg frame holds 8 plane pointers; where there are more, PyAV reads past them
_DTYPES: dict[str, str] = {"u8": "u1", "s16": "<i2", "s32": "<i4", "s64": "<i8", "flt": "<f4", "dbl": "<f8"}

av.logging.set_level(av.logging.PANIC)  # what FFmpeg says about a stranger's file is no matter for our log


class AvReader:
    """Raises `UnsupportedAudio` (no sound track, a codec off the list) and `UnusableAudio` (it cannot be decoded)."""

    def __init__(self, found: Found) -> None:
        self.warnings: list[str] = []
        options = {"codec_whitelist": ",".join(sorted(_DECODERS)), "protocol_whitelist": "none"}
        try:
            container = av.open(found.window, "r", format=_DEMUXERS[found.kind], container_options=options, metadata_errors="ignore")
        except (FFmpegError, ValueError, OSError):
            raise UnusableAudio() from None
        assert isinstance(container, InputContainer)
        self._container = container
        try:
            stream = self._main_track()
            decoder = stream.codec_context
            if decoder is None or not (decoder.codec.name in _DECODERS or decoder.codec.name.startswith(_PLAIN)):
                raise UnsupportedAudio("The file's sound track is in a codec we do not read.")
            decoder.thread_count = 1  # sound gains nothing from threads, and each takes address space
            self.container, self.codec = found.kind, decoder.codec.name
            duration = container.duration if found.kind in _LENGTH_STATED else None
            self.seconds: float | None = duration / 1_000_000 if duration and duration > 0 else None
            self._frames = self._decoded(stream)
            head = list(itertools.islice(self._frames, _PEEK_FRAMES))
            if not head:
                self.sample_rate, self.channels = decoder.sample_rate, decoder.channels
                self.encoding: FileEncoding = "pcm_f32le"
            else:
                self.sample_rate, self.channels = head[-1].sample_rate, head[-1].layout.nb_channels
                self.encoding = _encoding(head[-1])
            if self.channels > _MAX_CHANNELS:
                raise UnsupportedAudio(f"The audio has {self.channels} channels; in this format we read up to {_MAX_CHANNELS}.")
            self._ahead = [frame for frame in head if self._same(frame)]
        except BaseException as error:
            self.close()
            if isinstance(error, FFmpegError):
                raise UnusableAudio() from None
            raise

    def read(self) -> bytes:
        frame = self._ahead.pop(0) if self._ahead else next(self._frames, None)
        while frame is not None and frame.samples == 0:
            frame = next(self._frames, None)
        if frame is None:
            return b""
        if not self._same(frame):
            self.warnings.append("format_changed")
            self._frames = iter(())
            return b""
        return _pcm(frame)

    def close(self) -> None:
        self._container.close()

    def _main_track(self) -> AudioStream:
        streams = self._container.streams
        try:
            if len(streams.audio) > 1:
                self._warn("other_tracks")
            best = streams.best("audio")
        except IndexError:  # a damaged file may name tracks that PyAV does not list
            raise UnusableAudio() from None
        if not isinstance(best, AudioStream):
            raise UnsupportedAudio("The file has no sound track.")
        return best

    def _same(self, frame: AudioFrame) -> bool:
        return (frame.sample_rate, frame.layout.nb_channels, _encoding(frame)) == (self.sample_rate, self.channels, self.encoding)

    def _decoded(self, stream: AudioStream) -> Iterator[AudioFrame]:
        """All frames that decode. A bad packet is left out: `corrupt` if good ones follow, `truncated` if it was the last."""
        bad, failed = 0, False
        try:
            for packet in self._container.demux(stream):
                if packet.size == 0 and failed:
                    continue
                try:
                    frames = packet.decode()
                except FFmpegError:
                    bad, failed = bad + 1, True
                    if bad > _MAX_BAD_PACKETS:
                        break
                    continue
                if frames and failed:
                    failed = False
                    self._warn("corrupt")
                for frame in frames:
                    if isinstance(frame, AudioFrame):
                        yield frame
        except (FFmpegError, IndexError):  # IndexError: as in `_main_track`
            failed = True
        if failed:
            self._warn("truncated")

    def _warn(self, code: str) -> None:
        if code not in self.warnings:
            self.warnings.append(code)


def _encoding(frame: AudioFrame) -> FileEncoding:
    return "pcm_s16le" if frame.format.name in ("u8", "u8p", "s16", "s16p") else "pcm_f32le"


def _pcm(frame: AudioFrame) -> bytes:
    """A frame's samples, interleaved, as `_encoding` says; wide integers scaled to -1..1.

    Not by PyAV's `to_ndarray`: it takes as many planes as it finds pointers, one too many for 8 channels, and crashes.
    """
    channels, dtype = frame.layout.nb_channels, _DTYPES[frame.format.name.removesuffix("p")]
    if frame.format.is_planar and channels > 1:
        planes = [np.frombuffer(memoryview(plane), dtype, frame.samples) for plane in frame.planes[:channels]]
        samples = np.stack(planes, axis=1)
    else:
        samples = np.frombuffer(memoryview(frame.planes[0]), dtype, frame.samples * channels)
    if dtype == "u1":
        samples = (samples.astype("<i2") - 128) * 256
    elif dtype in ("<i4", "<i8"):
        samples = (samples * 2.0 ** (1 - 8 * samples.dtype.itemsize)).astype("<f4")
    elif dtype == "<f8":
        with np.errstate(over="ignore", invalid="ignore"):
            samples = samples.astype("<f4")
    return samples.tobytes()
