"""A session's audio on its way in: bytes in the client's format -> model-rate samples in a ring -> spans ready to be cut.

Audio waits here in the client's own (small) format until it is taken, a quarter of a second at a time, so a burst costs memory by the byte
and never by the window. Commands wait in the same line, so that `finalize` or `stop` means "after the audio sent before". Used by `session`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np

from app.core import pcm
from app.core.digest import Digest, Part
from app.core.pcm import Encoding, Samples
from app.core.resample import Resampler
from app.core.ring import SampleRing
from app.core.windows import Layout, Span

C = TypeVar("C")


class Intake(Generic[C]):
    """One per session. Positions called `frames` are sample frames at the client's rate; spans are in model-rate samples."""

    def __init__(
        self, encoding: Encoding, rate: int, channels: int, channel_mode: Literal["separate", "mix"], layout: Layout, *, portable: bool = False
    ) -> None:
        """`portable`: the audio that another process would need to go on is kept, as the client sent it."""
        self.encoding, self.rate, self.channels, self.layout = encoding, rate, channels, layout
        self.tracks = 1 if channel_mode == "mix" else channels
        self.received_frames = 0
        self.taken_frames = 0
        self.dropped_frames = 0
        self.waiting_orders = 0
        self.digest = Digest()
        self._framer = pcm.Framer(encoding, channels)
        self.frame_bytes = self._framer.frame_bytes
        self._resampler = Resampler(rate, layout.rate, self.tracks)
        self._step = rate // 4
        # A quarter second may leave the resampler at once, and a little more after its own delay.
        self._spare = layout.rate // 2 + 2 * self._step * layout.rate // rate
        self.ring = SampleRing(self.tracks, layout.history + self._spare)
        self._most_kept = 0
        if portable:
            needed = (layout.reach + self._spare) * rate // layout.rate + self._resampler.lead + 1
            self._most_kept = needed * self.frame_bytes
        self._kept = bytearray()  # the newest audio taken
        self._line: deque[bytearray | int | _Command[C]] = deque()  # audio, a gap in frames, or a command
        self._gap_frames = self._lost_until_ms = 0
        self._skip = 0
        self._index = 0
        self._since = self._looked = 0

    # --- in -------------------------------------------------------------------------------------------------

    def push(self, data: bytes) -> int:
        """Queues audio bytes, any number of them; gives how many float samples were NaN or infinite (they become zero)."""
        data = self._framer.feed(data)
        if self._skip and data:
            skipped = min(self._skip, len(data) // self.frame_bytes)
            self._skip -= skipped
            data = data[skipped * self.frame_bytes :]
        bad = 0
        if data:
            self.digest.add(data, self.ms(self.received_frames))
        if self.encoding == "pcm_f32le" and data:
            data, bad = pcm.clean_floats(data)
        if data:
            if self._line and isinstance(self._line[-1], bytearray):
                self._line[-1] += data
            else:
                self._line.append(bytearray(data))
            self.received_frames += len(data) // self.frame_bytes
        return bad

    def room(self, data: bytes, max_frames: int) -> bytes:
        """The part of `data` that keeps the stream within `max_frames`."""
        return data[: max(0, max_frames - self.received_frames) * self.frame_bytes]

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
                count = min(left, len(item) // self.frame_bytes)
                start = position if start < 0 else start
                position, left = position + count, left - count
                del item[: count * self.frame_bytes]
                line.append(count)
            if item or not isinstance(item, bytearray):
                line.append(item)
        self._line = line
        self.dropped_frames += frames
        self._gap_frames += frames
        return start, position

    def lost(self, range_ms: tuple[int, int] | None) -> None:
        """The transport filled this range with silence, for one channel or for all; each moment counts once."""
        if range_ms is not None:
            since = max(range_ms[0], self._lost_until_ms)
            self._lost_until_ms = max(range_ms[1], self._lost_until_ms)
            self.dropped_frames += (self._lost_until_ms - min(since, self._lost_until_ms)) * self.rate // 1000

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
            self._keep(pcm.SILENT_BYTE[self.encoding] * (count * self.frame_bytes))
            self._line[0] = item - count
            self._gap_frames -= count
            done = item == count
        else:
            count = min(self._step, len(item) // self.frame_bytes)
            data = bytes(item[: count * self.frame_bytes])
            samples = pcm.decode(data, self.encoding, self.channels)
            self._keep(data)
            del item[: count * self.frame_bytes]
            done = not item
        if done:
            self._line.popleft()
        self.taken_frames += count
        if self.tracks < self.channels:
            samples = samples.mean(axis=0, keepdims=True, dtype=np.float32)
        self._write(self._resampler.feed(samples))
        return True

    def _keep(self, data: bytes) -> None:
        if self._most_kept:
            self._kept += data
            del self._kept[: -self._most_kept]

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

    # --- to and from another process ------------------------------------------------------------------------

    @property
    def kept(self) -> bytes:
        """The newest audio taken, as the client sent it, from where a new resampler may begin."""
        oldest = self.taken_frames - len(self._kept) // self.frame_bytes
        # A window asked for at once (finalize) begins earlier than the next regular one.
        wanted = self._wanted(min(self.ring.end, self.layout.end_of(self._index)))
        first = max(self._resampler.beginning(max(0, wanted * self.rate // self.layout.rate)), oldest)
        return bytes(memoryview(self._kept)[(first - oldest) * self.frame_bytes :])

    def _wanted(self, end: int) -> int:
        """The oldest model-rate sample that a window ending here needs, if everything before it has to be heard again."""
        span = self.layout.span(self._index, self._since, max(end, self._since), at_end=False)
        return min(each.read_from for each in (span, *self.layout.again(span)))

    def state(self) -> IntakeState:
        """What has been taken so far. Audio that waits still is not in it: the client sends it again."""
        parts = self.digest.parts(self.ms(self.received_frames))
        return IntakeState(self.taken_frames, self.dropped_frames - self._gap_frames, self._lost_until_ms, self._index, self._looked, parts)

    def restore(self, state: IntakeState, kept: bytes, *, over: bool) -> None:
        """Takes the kept audio again, into a new resampler of the same phase. `over`: no more will come. ValueError when it does not fit."""
        frames, rest = divmod(len(kept), self.frame_bytes)
        first = state.taken_frames - frames
        if rest or first < 0 or len(kept) > self._most_kept:
            raise ValueError("the kept audio is not what was taken last")
        self.taken_frames, self.received_frames, self.dropped_frames = first, state.taken_frames, state.dropped_frames
        self._lost_until_ms, self.digest = state.lost_until_ms, Digest(state.parts)
        if over:
            return
        self._resampler = Resampler(self.rate, self.layout.rate, self.tracks, first)
        capacity = self.layout.reach + self._spare + self._resampler.lead * self.layout.rate // self.rate
        self.ring = SampleRing(self.tracks, capacity, self._resampler.first_output)
        if frames:
            self._line.append(bytearray(kept))
        while self.take():
            pass
        self._index, self._looked = state.windows, state.looked
        self._since = self.layout.end_of(self._index - 1) if self._index else 0
        if self._since > self.ring.end:
            raise ValueError("more was windowed than taken")
        if self.ring.start and self._wanted(self.layout.end_of(self._index)) < self.ring.start:
            raise ValueError("the kept audio does not reach back far enough")

    # --- clocks ---------------------------------------------------------------------------------------------

    def ms(self, frames: int) -> int:
        return frames * 1000 // self.rate

    def model_ms(self, samples: int) -> int:
        return samples * 1000 // self.layout.rate

    @property
    def waiting_frames(self) -> int:
        """Audio that takes memory: received, neither taken nor dropped."""
        return self.received_frames - self.taken_frames - self._gap_frames


@dataclass(frozen=True)
class IntakeState:
    taken_frames: int
    dropped_frames: int
    lost_until_ms: int
    windows: int
    looked: int
    parts: list[Part]


class _Command(Generic[C]):
    def __init__(self, command: C) -> None:
        self.command = command
