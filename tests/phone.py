"""A phone call as Twilio streams it: the messages a recording of one would hold, made from the voices in `tests/fixtures`.

`spoken` gives each track's mu-law, `recorded` the messages, `both` the same audio as a native two-channel stream.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

FIXTURES = Path(__file__).parent / "fixtures"
RATE = 8000
PIECE = 160  # 20 ms
STREAM, CALL, ACCOUNT = "MZ18ad3ab5a668481ce02b83e7395059f0", "CA" + "5" * 32, "AC" + "6" * 32

Row = dict[str, Any]


@lru_cache
def mulaw(name: str, seconds: float) -> bytes:
    """A voice on the phone, repeated until it is long enough."""
    samples, rate = soundfile.read(FIXTURES / f"{name}.wav", dtype="float32", always_2d=True)
    heard = soxr.resample(samples[:, 0], rate, RATE)
    out = io.BytesIO()
    soundfile.write(out, np.resize(heard, round(seconds * RATE)), RATE, format="RAW", subtype="ULAW")
    return out.getvalue()


def spoken(seconds: float = 4.0) -> dict[str, bytes]:
    return {"inbound": mulaw("voice-female", seconds), "outbound": mulaw("voice-male", seconds)}


def both(tracks: Mapping[str, bytes]) -> bytes:
    """Interleaved, as a native client sends two channels."""
    return np.stack([np.frombuffer(data, np.uint8) for data in tracks.values()], axis=1).tobytes()


def recorded(tracks: Mapping[str, bytes], **parameters: str) -> list[Row]:
    """All messages of a call, numbered, with a key pressed and a mark on the way."""
    rows: list[Row] = [
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        {
            "event": "start",
            "start": {
                "accountSid": ACCOUNT, "streamSid": STREAM, "callSid": CALL, "tracks": list(tracks), "customParameters": parameters,
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": RATE, "channels": 1},
            },
            "streamSid": STREAM,
        },
    ]  # fmt: skip
    pieces = max(map(len, tracks.values())) // PIECE
    for at in range(pieces):
        for track, data in tracks.items():
            payload = base64.b64encode(data[at * PIECE : (at + 1) * PIECE]).decode()
            media = {"track": track, "chunk": str(at + 1), "timestamp": str(at * 20), "payload": payload}
            rows.append({"event": "media", "media": media, "streamSid": STREAM})
        if at == pieces // 2:
            rows.append({"event": "dtmf", "streamSid": STREAM, "dtmf": {"track": "inbound_track", "digit": "7"}})
            rows.append({"event": "mark", "streamSid": STREAM, "mark": {"name": "half-way"}})
    rows.append({"event": "stop", "stop": {"accountSid": ACCOUNT, "callSid": CALL}, "streamSid": STREAM})
    for number, row in enumerate(rows[1:], 1):
        row["sequenceNumber"] = str(number)
    return rows


def media_of(rows: list[Row], track: str) -> list[Row]:
    return [row for row in rows if row["event"] == "media" and row["media"]["track"] == track]


def texts(rows: list[Row]) -> list[str]:
    return [json.dumps(row) for row in rows]
