"""Twilio Media Streams, sans I/O: its JSON messages in; audio for a `Session`, warnings and mistakes out. Driven by `web.twilio`.

Twilio sends 20 ms of 8 kHz mu-law a message, for one or two tracks, each with a number in the stream (`sequenceNumber`), a number in its track
(`chunk`) and a time since the stream's start (`timestamp`). Media time here is that time. So messages in a wrong order are put right, the tracks
stay in step, and what is missing is silence: a track that pauses is filled, and lost audio (a chunk is missing) is filled and said.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from app.core import wire
from app.core.b64 import decode_base64
from app.core.errors import BadConfig, BadJson, BadMessage, NotReady, PeerError, UnsupportedAudio
from app.core.messages import Warning

RATE, PER_MS = 8000, 8
SILENCE = b"\xff"  # zero in mu-law
REORDER = 16  # messages that wait for one that is missing: a quarter of a second
LOST_MS, JITTER_MS = 10, 60  # a step in time that is one: with a chunk missing, and without
HOLD_MS, MAX_HOLD_MS = 200, 2000  # how long one track waits for the other; more once that came too late
MAX_STEP_MS = 60_000  # a longer step is a broken clock
OUR_PARAMETERS = frozenset({"token", "session_id", "replies"})

Number = Annotated[int, Field(ge=0, le=1 << 53), WithJsonSchema({"type": ["integer", "string"], "pattern": "^[0-9]+$"})]  # Twilio sends text
Item = bytes | str | Warning | PeerError  # audio, a native message, what is to be said, a mistake of the peer


class Part(BaseModel):
    """What Twilio adds tomorrow is no mistake."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Media(Part):
    track: str = Field(default="inbound", max_length=64)
    chunk: Number | None = None
    timestamp: Number | None = Field(default=None, description="Milliseconds since the stream's start.")
    payload: str = Field(description="Base64 of mu-law audio.")


class MediaFormat(Part):
    encoding: str = "audio/x-mulaw"
    sampleRate: int = RATE
    channels: int = 1


class StartOf(Part):
    streamSid: str = Field(default="", max_length=64)
    callSid: str = Field(default="", max_length=64)
    accountSid: str = Field(default="", max_length=64)
    tracks: list[Annotated[str, Field(max_length=64)]] = Field(default=["inbound"], min_length=1, max_length=2)
    customParameters: dict[str, str] = Field(default={}, description="token, session_id, replies, the fields of config; the rest is metadata.")
    mediaFormat: MediaFormat = MediaFormat()


class Event(Part):
    """One message of Twilio: connected, start, media, dtmf, mark or stop; others are passed over."""

    event: str = Field(max_length=64)
    sequenceNumber: Number | None = None
    start: StartOf | None = None
    media: Media | None = None


def parse(text: str | bytes) -> Event:
    """Raises BadJson, BadMessage."""
    if isinstance(text, bytes):
        raise BadMessage("Twilio's messages are text.")
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise BadJson() from None
    try:
        return Event.model_validate(content)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part)[:64] for part in first["loc"])
        error = BadConfig if field.startswith("start.") else BadMessage
        raise error(f"{field or 'The message'}: {first['msg']}.", field=field or None) from None


class Opening:
    """What a `start` message asks for. Raises BadMessage, BadConfig, UnsupportedAudio."""

    def __init__(self, event: Event) -> None:
        if event.start is None:
            raise BadMessage("start needs its object 'start'.", field="start")
        asked = event.start
        form = asked.mediaFormat
        if (form.encoding, form.sampleRate, form.channels) != ("audio/x-mulaw", RATE, 1):
            raise UnsupportedAudio("Twilio streams are mu-law of 8000 Hz with one channel a track.", field="start.mediaFormat")
        if len(set(asked.tracks)) < len(asked.tracks):
            raise BadMessage("start.tracks names a track twice.", field="start.tracks")
        given = asked.customParameters
        self.tracks = asked.tracks
        self.token = given.get("token") or None
        self.replies = given.get("replies", "").lower() in ("true", "1")
        config = wire.config_from_query({name: value for name, value in given.items() if name in wire.Config.model_fields})
        sids = {"stream_sid": asked.streamSid, "call_sid": asked.callSid, "account_sid": asked.accountSid}
        others = {name: value for name, value in given.items() if name not in OUR_PARAMETERS | wire.Config.model_fields.keys()}
        # A stream's id is the only one of Twilio's that names this stream and no other; a call can have several.
        content = {
            "session_id": given.get("session_id") or asked.streamSid or None,
            "audio": {"encoding": "mulaw", "sample_rate": RATE, "channels": len(asked.tracks), "channel_labels": asked.tracks},
            "config": config.model_dump(exclude_unset=True),
            "metadata": {**others, **{name: value for name, value in sids.items() if value}},
        }
        start = wire.parse(json.dumps({"type": "start", **{name: value for name, value in content.items() if value is not None}}))
        if not isinstance(start, wire.Start):
            raise BadConfig()
        self.start = start


class Call:
    """One stream after its `start`: `receive` each text, then `end`."""

    def __init__(self, opening: Opening, number: int | None = None) -> None:
        """`number` is the start's own."""
        self._order = _Order(None if number is None else number + 1)
        self._lanes = {name: _Lane(channel) for channel, name in enumerate(opening.tracks)}
        self._out = 0  # samples given away, of each track
        self._hold = HOLD_MS * PER_MS if len(self._lanes) > 1 else 0
        self._strange: set[str] = set()
        self.ended = False

    def receive(self, text: str | bytes) -> list[Item]:
        if self.ended:
            return []
        try:
            event = parse(text)
        except PeerError as exc:
            return [exc]
        if event.event == "stop":
            return self.end()
        items: list[Item] = []
        for each in self._order.put(event.sequenceNumber, event):
            items += self._take(each)
        return items

    def end(self) -> list[Item]:
        """What still waits, and the end."""
        if self.ended:
            return []
        self.ended = True
        items: list[Item] = []
        for each in self._order.rest():
            items += self._take(each)
        return [*items, *self._give(at_end=True), wire.encode(wire.Stop())]

    def _take(self, event: Event) -> list[Item]:
        if event.event == "start":
            return [NotReady("The stream has started already.")]
        if event.event != "media":
            return [wire.encode(wire.Keepalive())]  # dtmf, mark and whatever comes tomorrow: somebody is there
        media = event.media
        if media is None:
            return [BadMessage("media needs its object 'media'.", field="media")]
        lane = self._lanes.get(media.track)
        if lane is None:
            return self._unknown(media.track)
        try:
            data = decode_base64(media.payload, field="media.payload")
        except PeerError as exc:
            data = b""  # its time will be filled when the next one comes
            return [exc, *self._give()]
        return [*self._place(lane, media, data), *self._give()]

    def _unknown(self, track: str) -> list[Item]:
        if track in self._strange or len(self._strange) >= REORDER:
            return []
        self._strange.add(track)
        return [Warning(code="other_tracks", message=f"Audio of the track {track[:40]!r}, which start did not announce, is not used.")]

    def _place(self, lane: _Lane, media: Media, data: bytes) -> list[Item]:
        """Puts the audio where its time is."""
        missing = False
        if media.chunk is not None:
            missing = media.chunk > max(1, lane.next_chunk)
            if media.chunk < lane.next_chunk:
                return []  # again
            lane.next_chunk = media.chunk + 1
        end = self._out + len(lane.audio)
        step = 0 if media.timestamp is None else (media.timestamp + lane.shift_ms) * PER_MS - end
        if abs(step) > MAX_STEP_MS * PER_MS:
            lane.shift_ms -= step // PER_MS
            step = 0
        # Right behind its last audio a small step is jitter; behind silence that was filled in for it, it is where its time says.
        least = 0 if lane.end < end else (LOST_MS if missing else JITTER_MS) * PER_MS
        items: list[Item] = []
        if step >= least:
            if missing:
                items.append(_lost(lane, lane.end, end + step, "was not received"))
            lane.audio += SILENCE * step
        elif step <= -least:
            late = min(-step, len(data))
            items += [_lost(lane, max(0, end + step), end + step + late, "came too late")] if late else []
            data = data[late:]
            self._hold = min(MAX_HOLD_MS * PER_MS, max(self._hold, 2 * -step))
        lane.audio += data
        if data:
            lane.end = self._out + len(lane.audio)
        return items

    def _give(self, *, at_end: bool = False) -> list[bytes]:
        """All that every track has; a track that stays behind too far is silent."""
        ready = [len(lane.audio) for lane in self._lanes.values()]
        count = max(ready) if at_end else max(min(ready), max(ready) - self._hold)
        if count <= 0:
            return []
        self._out += count
        parts = [lane.take(count) for lane in self._lanes.values()]
        return [_interleaved(parts)]


class _Lane:
    """One track: what came of it and was not given away."""

    def __init__(self, channel: int) -> None:
        self.channel = channel
        self.audio = bytearray()
        self.end = 0  # of its own audio, in samples of the stream
        self.next_chunk = 0
        self.shift_ms = 0

    def take(self, count: int) -> bytes:
        part = bytes(self.audio[:count])
        del self.audio[:count]
        return part + SILENCE * (count - len(part))


class _Order:
    """Messages by their number. A missing one is waited for until too many others wait."""

    def __init__(self, first: int | None) -> None:
        self._next = first
        self._waiting: dict[int, Event] = {}

    def put(self, number: int | None, event: Event) -> list[Event]:
        if number is None:
            return [event]
        if self._next is None:
            self._next = number
        if number < self._next or number in self._waiting:
            return []  # again
        self._waiting[number] = event
        if len(self._waiting) > REORDER:
            self._next = min(self._waiting)
        out = []
        while self._next in self._waiting:
            out.append(self._waiting.pop(self._next))
            self._next += 1
        return out

    def rest(self) -> list[Event]:
        out = [self._waiting[number] for number in sorted(self._waiting)]
        self._waiting.clear()
        return out


def _interleaved(parts: Sequence[bytes]) -> bytes:
    if len(parts) == 1:
        return parts[0]
    out = bytearray(sum(map(len, parts)))
    for channel, part in enumerate(parts):
        out[channel :: len(parts)] = part
    return bytes(out)


def _lost(lane: _Lane, start: int, end: int, how: str) -> Warning:
    range_ms = (start // PER_MS, end // PER_MS)
    return Warning(code="dropped_audio", message=f"Audio of a phone call {how}; this range is silence.", channel=lane.channel, range_ms=range_ms)
