"""What kind of file is this? In: a seekable file, its name and declared type unknown or ignored. Out: a `Found`: the
kind, and a `Window` on the bytes with the usual damage undone (tags skipped, WAV lengths made true). Called by `decode`.

Only what matches here reaches a decoder: a library that probes by itself takes text for audio, or a playlist for
leave to open other files.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from app.core.errors import EmptyAudio, UnsupportedAudio, UnusableAudio
from app.service.mpeg import find_frames, xing_bytes

_HEAD_BYTES = 16 * 1024  # an MPEG stream cut from a broadcast starts within it
_MAX_CHUNKS, _MAX_PAGES = 1000, 200_000  # honest files have fewer; nobody makes us walk 50 MB in steps of 8 bytes
_STREAMED = 0x7FFF0000  # a chunk length from here on was written before the length was known

_MAGIC: list[tuple[int, bytes, str]] = [
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b".snd", "au"),
    (0, b"dns.", "au"),
    (0, b"caff", "caf"),
    (0, b"riff\x2e\x91\xcf\x11", "w64"),
    (0, b"NIST_1A", "nist"),
    (0, b"Creative Voice File\x1a", "voc"),
    (0, b"\x1a\x45\xdf\xa3", "webm"),
    (0, b"#!AMR\n", "amr"),
    (0, b"#!AMR-WB\n", "amr"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"FLV\x01", "flv"),
    *((4, box, "mp4") for box in (b"ftyp", b"moov", b"mdat", b"moof", b"styp", b"free", b"skip", b"wide")),
]
_FOREIGN: dict[bytes, str] = {
    b"PK\x03\x04": "a ZIP archive",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"\x1f\x8b": "gzip data",
    b"MThd": "a MIDI file, which holds notes and no sound",
}


class Window(io.RawIOBase):
    """A read-only file: `prefix`, then `length` bytes of `file` from `start`. Seeking never raises: it is called from C."""

    def __init__(self, file: BinaryIO, start: int, length: int, prefix: bytes = b"") -> None:
        self._file, self._start, self._prefix = file, start, prefix
        self.size = len(prefix) + length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}.get(whence, 0)
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fills `buffer` unless the end comes first: libsndfile takes a short read for the end."""
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self.size - self._at))
        done = 0
        while done < wanted:
            if self._at < len(self._prefix):
                piece = self._prefix[self._at : self._at + wanted - done]
            else:
                self._file.seek(self._start + self._at - len(self._prefix))
                piece = self._file.read(wanted - done)
            if not piece:
                break
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done


@dataclass(frozen=True)
class Found:
    """A file of a kind we read, `size` bytes long. `claims` is (sample rate in Hz, channels) where that can be read without a
    decoder; `length_known` is false where a decoder could only guess the duration; `for_av`: libsndfile would read a part."""

    kind: str
    window: Window
    size: int
    warnings: list[str] = field(default_factory=list)
    claims: tuple[int, int] | None = None
    length_known: bool = True
    for_av: bool = False


def sniff(file: BinaryIO) -> Found:
    """The kind of `file` and a window on it. Raises `EmptyAudio`, `UnsupportedAudio` or `UnusableAudio`."""
    size = file.seek(0, io.SEEK_END)
    if size == 0:
        raise EmptyAudio()
    start = _after_tags(file, size)
    file.seek(start)
    head = file.read(_HEAD_BYTES)
    whole = Window(file, start, size - start)
    if head[:4] in (b"RIFF", b"RF64", b"BW64", b"RIFX") and head[8:12] == b"WAVE":
        return _wav(file, start, size, whole)
    kind = _by_magic(head)
    if kind == "ogg":
        return _ogg(file, start, size, whole)
    if kind:
        return Found(kind, whole, size, ["truncated"] if _stated_size(kind, head) > size - start else [])
    for magic, name in _FOREIGN.items():
        if head.startswith(magic):
            raise UnsupportedAudio(f"The data is {name}, not audio.")
    if head.startswith(b"\x1f\x43\xb6\x75"):
        raise UnusableAudio("The data is a WebM cluster without its header: send the recording's first part too.")
    kind, skip = find_frames(head, size - start)
    if kind:
        return _mpeg(kind, head[skip:], Window(file, start + skip, size - start - skip), size)
    raise UnsupportedAudio()


def _after_tags(file: BinaryIO, size: int) -> int:
    """Where the audio starts: past the ID3v2 tags, which stand before MP3, AAC and even FLAC."""
    at = 0
    for _ in range(8):
        file.seek(at)
        tag = file.read(10)
        if len(tag) < 10 or tag[:3] != b"ID3" or max(tag[6:]) > 0x7F:
            break
        length = tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]
        at += 10 + length + (10 if tag[5] & 0x10 else 0)
        if at >= size:
            raise UnusableAudio("The file ends inside its ID3 tag, before any audio.")
    return at


def _by_magic(head: bytes) -> str:
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return "mpegts"
    return next((kind for offset, magic, kind in _MAGIC if head.startswith(magic, offset)), "")


def _stated_size(kind: str, head: bytes) -> int:
    """The file's size by its header, where libsndfile would not tell that the file is shorter; 0 when it does not say."""
    size = 0
    if kind == "aiff":
        size = int.from_bytes(head[4:8], "big") + 8
    elif kind == "avi":
        size = int.from_bytes(head[4:8], "little") + 8
    elif kind == "au" and head[:1] == b".":
        size = int.from_bytes(head[4:8], "big") + int.from_bytes(head[8:12], "big")
    elif kind == "w64":
        return int.from_bytes(head[16:24], "little")
    return size if size < _STREAMED else 0


def _ogg(file: BinaryIO, start: int, size: int, whole: Window) -> Found:
    """An Ogg file: is its last page whole and marked as the last, and is it one chain link or several? (RFC 3533)

    libsndfile stops after the first link; a stranger could hide the rest of a recording there.
    """
    at, links, last_kind, ended = start, 0, 2, False
    for _ in range(_MAX_PAGES):
        file.seek(at)
        page = file.read(27 + 255)
        if len(page) < 27 or page[:4] != b"OggS":
            break
        segments = page[26]
        links += bool(page[5] & 2 and not last_kind & 2) or at == start
        last_kind = page[5]
        at += 27 + segments + sum(page[27 : 27 + segments])
        ended = at <= size and bool(last_kind & 4)
    return Found("ogg", whole, size, [] if ended else ["truncated"], for_av=links > 1)


def _mpeg(kind: str, head: bytes, window: Window, size: int) -> Found:
    """MP3 or AAC frames. libsndfile believes the Xing header and stops where that says, even if more follows."""
    stated = xing_bytes(head) if kind == "mp3" else None
    off = abs(stated - window.size) > window.size // 100 + 4096 if stated else False
    warnings = ["truncated"] if stated and stated > window.size + 16 else []
    return Found(kind, window, size, warnings, for_av=off or bool(warnings), length_known=stated is not None)


def _wav(file: BinaryIO, start: int, size: int, whole: Window) -> Found:
    """A WAV file behind a header of our own, whose lengths are true. Recorders that stream write 0 or 0xFFFFFFFF, others
    more than there is; an odd byte may trail. Where the chunks cannot be followed, the file goes to the decoder as it is."""
    fmt, name, long_length, at = b"", b"", 0, start + 12
    file.seek(start)
    if file.read(4) == b"RIFX":
        return Found("wav", whole, size)
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        name, length = struct.unpack("<4sI", head) if len(head) == 8 else (b"", 0)
        if name == b"fmt ":
            fmt = file.read(min(length, 4096))
        elif name == b"ds64":
            long_length = int.from_bytes(file.read(16)[8:], "little")
        elif name in (b"data", b""):
            break
        at += 8 + length + length % 2
    if len(fmt) < 14 or name != b"data":
        return Found("wav", whole, size)
    channels, rate, _, align = struct.unpack_from("<HIIH", fmt, 2)
    if channels == 0 or rate == 0:
        raise UnusableAudio(f"The WAV header says {channels} channels at {rate} Hz.")
    at += 8
    there = size - at
    if length == 0xFFFFFFFF and long_length:
        length = long_length
    if length >= _STREAMED or (length == 0 and not _only_chunks(file, at, size)):
        length = there
    warnings = ["truncated"] if length - there >= max(align, 1) else []
    length = min(length, there)
    length -= length % max(align, 1)
    if length >= _STREAMED * 2:  # more than a RIFF header can say
        return Found("wav", whole, size, warnings, (rate, channels))
    chunk = fmt + b"\0" * (len(fmt) % 2)
    prefix = struct.pack("<4sI4s4sI", b"RIFF", 20 + len(chunk) + length, b"WAVE", b"fmt ", len(chunk)) + chunk
    prefix += struct.pack("<4sI", b"data", length)
    return Found("wav", Window(file, at, length, prefix), size, warnings, (rate, channels))


def _only_chunks(file: BinaryIO, at: int, size: int) -> bool:
    """Whether `at` .. `size` is a chain of RIFF chunks: then an empty `data` chunk before it is really empty."""
    for _ in range(_MAX_CHUNKS):
        if at + 8 > size:
            break
        file.seek(at)
        name, length = struct.unpack("<4sI", file.read(8))
        if not all(0x20 <= letter < 0x7F for letter in name):
            return False
        at += 8 + length + length % 2
    return at in (size, size + 1)
