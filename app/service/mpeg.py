"""MPEG audio without a container: where its frames start, and what the Xing header says. In: the head of a file. Called by
`sniff`; needed because an MP3 or AAC stream has no magic number, and two set bytes stand in any file.
"""

from __future__ import annotations

import struct

# ISO 11172-3 and 13818-3: kbit/s by (is MPEG-1, layer), index 1..14; sample rates by version bits.
_KBITS: dict[tuple[bool, int], tuple[int, ...]] = {
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES: dict[int, tuple[int, int, int]] = {0: (11025, 12000, 8000), 2: (22050, 24000, 16000), 3: (44100, 48000, 32000)}


def find_frames(head: bytes, size: int) -> tuple[str, int]:
    """("mp3" or "aac", bytes to skip) when `head` holds a chain of MPEG audio or ADTS frames; ("", 0) otherwise."""
    at = head.find(b"\xff")
    while 0 <= at < len(head) - 7:
        kind, count, here = "", 0, at
        while count < 4 and here + 7 <= len(head):
            found, length = _mpeg_frame(head[here : here + 7])
            if not length or kind not in ("", found):
                break
            kind, count, here = found, count + 1, here + length
        # Chance makes one header in 16,000 places, two in a row hardly ever: one will do only if the file ends with it.
        if count >= (2 if at == 0 else 4) or (at == 0 and count and here >= size):
            return kind, at
        at = head.find(b"\xff", at + 1)
    return "", 0


def _mpeg_frame(header: bytes) -> tuple[str, int]:
    """Kind and length in bytes of the frame that `header` (7 bytes) starts; length 0 when it starts none."""
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return "", 0
    if header[1] & 0xF6 == 0xF0:
        length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
        return "aac", length if length > 7 and header[2] >> 2 & 15 < 13 else 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return "", 0
    bits = 1000 * _KBITS[version == 3, layer][bitrate - 1]
    hertz = _RATES[version][rate]
    if layer == 1:
        return "mp3", (12 * bits // hertz + padding) * 4
    return "mp3", (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding


def xing_bytes(head: bytes) -> int | None:
    """How long the stream is by its own header (a "Xing" or "Info" frame), in bytes; None without such a header, 0 if it
    does not say."""
    at = max(head.find(b"Xing", 0, 512), head.find(b"Info", 0, 512))
    if at < 0 or len(head) < at + 16:
        return None
    flags, first, second = (int(number) for number in struct.unpack_from(">III", head, at + 4))
    if not flags & 2:
        return 0
    return second if flags & 1 else first
