"""A session's audio on its way in: bytes in the client's format -> model-rate samples in a ring -> spans ready to be cut.

Audio waits here in the client's own (small) format until it is taken, a quarter of a second at a time, so a burst costs memory by the byte
and never by the window. Commands wait in the same line, so that `finalize` or `stop` means "after the audio sent before". Used by `session`.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Literal, TypeVar

import numpy as np

from app.core import pcm
from app.core.pcm import Encoding, Samples
from app.core.resample import Resampler
from app.core.ring import SampleRing
from app.core.windows import Layout, Span

C = TypeVar("C")


class Intake(Generic[C]):
    """One per session. Positions called `frames` are sample frames at the client's rate; spans are in model-rate samples."""

    def __init__(self, encoding: Encoding, rate: int, channels: int, channel_mode: Literal["separate", "mix"], layout: Layout) -> None:
        self.encoding, self.rate, self.channels, self.layout = encoding, rate, channels, layout
        self.tracks = 1 if channel_mode == "mix" else channels
        self.received_frames = 0
        self.taken_frames = 0
        self.dropped_frames = 0
        self.waiting_orders = 0
        self._framer = pcm.Framer(encoding, channels)
        self._resampler = Resampler(rate, layout.rate, self.tracks)
        self._step = rate // 4
        # A quarter second may leave the resampler at once, and a little more after its own delay.
        self.ring = SampleRing(self.tracks, layout.history + layout.rate // 2 + 2 * self._step * layout.rate // rate)
        self._line: deque[bytearray | int | _Command[C]] = deque()  # audio, a gap in frames, or a command
        self._gap_frames = 0
        self._skip = 0
        self._index = 0
        self._since = self._looked = 0

    # --- in -------------------------------------------------------------------------------------------------

    def push(self, data: bytes) -> int:
        """Queues audio bytes, any number of them; gives how many float samples were NaN or infinite (they become zero)."""
        data = self._framer.feed(data)
        if self._skip and data:
            skipped = min(self._skip, len(data) // self._framer.frame_bytes)
            self._skip -= skipped
            data = data[skipped * self._framer.frame_bytes :]
        bad = 0
        if self.encoding == "pcm_f32le" and data:
            data, bad = pcm.clean_floats(data)
        if data:
            if self._line and isinstance(self._line[-1], bytearray):
                self._line[-1] += data
            else:
                self._line.append(bytearray(data))
            self.received_frames += len(data) // self._framer.frame_bytes
        return bad

    def room(self, data: bytes, max_frames: int) -> bytes:
        """The part of `data` that keeps the stream within `max_frames`."""
        return data[: max(0, max_frames - self.received_frames) * self._framer.frame_bytes]

    def order(self, command: C) -> None:
        """Queues a command behind the audio received so far."""
        self._line.append(_Command(command))
        self.waiting_orders += 1

    def drop_oldest(self, frames: int) -> tuple[int, int]:
        """Replaces the oldest waiting audio by silence (time is kept); gives the range in frames. Needs `frames` <= `waiting_frames`."""
        position, start, left = self.taken_frames, -1, frames
        line: deque[bytearray | int | _Command[C]] = deque()
        for item in self._line:
            if isinstance(item, int):
                position += item
            elif isinstance(item, bytearray) and left:
                count = min(left, len(item) // self._framer.frame_bytes)
                start = position if start < 0 else start
                position, left = position + count, left - count
                del item[: count * self._framer.frame_bytes]
                line.append(count)
            if item or not isinstance(item, bytearray):
                line.append(item)
        self._line = line
        self.dropped_frames += frames
        self._gap_frames += frames
        return start, position

    def rejoin(self) -> int:
        """A new connection goes on: gives the ms to send from; the samples sent twice because of rounding are skipped."""
        self._framer.reset()
        from_ms = self.ms(self.received_frames)
        self._skip = self.received_frames - from_ms * self.rate // 1000
        return from_ms

    # --- out ------------------------------------------------------------------------------------------------

    def take(self) -> C | bool:
        """Moves up to a quarter second of waiting audio into the ring (True), or gives the command that is next; False: nothing waits."""
        if not self._line:
            return False
        item = self._line[0]
        if isinstance(item, _Command):
            self._line.popleft()
            self.waiting_orders -= 1
            return item.command
        if isinstance(item, int):
            count = min(item, self._step)
            samples = np.zeros((self.channels, count), np.float32)
            self._line[0] = item - count
            self._gap_frames -= count
            done = item == count
        else:
            count = min(self._step, len(item) // self._framer.frame_bytes)
            samples = pcm.decode(bytes(item[: count * self._framer.frame_bytes]), self.encoding, self.channels)
            del item[: count * self._framer.frame_bytes]
            done = not item
        if done:
            self._line.popleft()
        self.taken_frames += count
        if self.tracks < self.channels:
            samples = samples.mean(axis=0, keepdims=True, dtype=np.float32)
        self._write(self._resampler.feed(samples))
        return True

    def flush(self) -> None:
        """The end of the stream: what is inside the resampler comes out."""
        self._write(self._resampler.flush())

    def _write(self, samples: Samples) -> None:
        if samples.shape[1]:
            self.ring.write(samples)

    def next_span(self) -> Span | None:
        """The next regular window, once all its audio has arrived."""
        end = self.layout.end_of(self._index)
        if self.ring.end < end:
            return None
        span = self.layout.span(self._index, self._since, end, at_end=False)
        self._index, self._since = self._index + 1, end
        return span

    def rest_span(self, *, at_end: bool) -> Span | None:
        """A span over what came after the last window: the tail (`at_end`), or an interim look, which moves nothing and is given once."""
        if self.ring.end <= (self._since if at_end else max(self._since, self._looked)):
            return None
        self._looked = self.ring.end
        span = self.layout.span(self._index, self._since, self.ring.end, at_end=at_end)
        if at_end:
            self._index, self._since = self._index + 1, self.ring.end
        return span

    # --- clocks ---------------------------------------------------------------------------------------------

    def ms(self, frames: int) -> int:
        return frames * 1000 // self.rate

    def model_ms(self, samples: int) -> int:
        return samples * 1000 // self.layout.rate

    @property
    def waiting_frames(self) -> int:
        """Audio that takes memory: received, neither taken nor dropped."""
        return self.received_frames - self.taken_frames - self._gap_frames


class _Command(Generic[C]):
    def __init__(self, command: C) -> None:
        self.command = command
