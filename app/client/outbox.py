"""The PCM a live client still holds: what it has yet to send, and what it may have to send again. Pure bookkeeping; used by `stream`.

Positions are bytes since the start of the session, which is a whole number of sample frames. Audio leaves from the front when the server says
that it is processed, so that a broken connection can be taken up from any point the server names.
"""

from __future__ import annotations

from app.core.wire import Audio

SAMPLE_BYTES = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}  # as in `app.core.pcm`, which a client may not import


class Outbox:
    """One per live session."""

    def __init__(self, audio: Audio) -> None:
        self._rate, self._frame_bytes = audio.sample_rate, SAMPLE_BYTES[audio.encoding] * audio.channels
        self._kept = bytearray()
        self._base = 0  # position of the first byte kept
        self._cursor = 0  # position of the next byte to send

    def seconds_after(self, ms: int) -> float:
        """How much audio there is after this point of the session, sent or not."""
        return (self._base + len(self._kept)) / (self._rate * self._frame_bytes) - ms / 1000

    def push(self, pcm: bytes) -> None:
        self._kept += pcm

    def next(self, chunk_ms: int) -> bytes:
        """The next piece to send, at most `chunk_ms` long; empty when all is sent."""
        size = max(1, self._rate * chunk_ms // 1000) * self._frame_bytes
        start = self._cursor - self._base
        piece = bytes(self._kept[start : start + size])
        self._cursor += len(piece)
        return piece

    def forget(self, processed_ms: int) -> None:
        """The server has processed the audio up to here; it will not ask for it again."""
        position = min(self._position(processed_ms), self._cursor // self._frame_bytes * self._frame_bytes)
        if position > self._base:
            del self._kept[: position - self._base]
            self._base = position

    def rewind(self, continue_from_ms: int) -> bool:
        """Sends again from here. False: that audio is gone, or never was."""
        position = self._position(continue_from_ms)
        if not self._base <= position <= self._base + len(self._kept):
            return False
        self._cursor = position
        return True

    def restart(self) -> int:
        """A new session begins with the oldest audio kept; gives the ms of the old session at which that is."""
        lost_ms = self._base // self._frame_bytes * 1000 // self._rate
        self._base = self._cursor = 0
        return lost_ms

    def cut(self) -> None:
        """Gives up what is not sent yet."""
        del self._kept[self._cursor - self._base :]

    def _position(self, ms: int) -> int:
        return ms * self._rate // 1000 * self._frame_bytes
