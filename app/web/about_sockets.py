"""The documentation's words about the sockets, as `about` has those about the routes. `routes` hangs them on its rows."""

from __future__ import annotations

from app.core import messages, twilio, wire
from app.service.services import TwoClass
from app.web import contract
from app.web.about import MODEL
from app.web.table import Talk

_ONE = {"total": 1, "spoof": 1, "bonafide": 0, "uncertain": 0, "no_speech": 0}

STREAM = Talk(
    "Judge live audio",
    "Send `start`, or put the format in the query and send samples at once. Binary messages are raw samples of any length; 20 to 100 ms is best. For "
    "each hop and channel a `segment` and a `verdict` come back, an `ack` each second, and `done` at the end; then the socket closes with 1000.\n\n"
    "A bad message is answered by an `error` that is not fatal, and the session goes on; the twentieth ends it. When the line breaks, connect again "
    "without a query within a minute and send `start` with `resume`; what you missed is sent again.",
    query=contract.StreamQuery,
    says=tuple(messages.Message.__subclasses__()),
    hears=tuple(wire.CLIENT_TYPES.values()),
    binary="Raw interleaved samples in the encoding of `start`.",
    examples=("stream",),
    shown=(
        ("→", {"type": "start", "audio": {"encoding": "pcm_s16le", "sample_rate": 16000}, "config": {"profile": "balanced"}}),
        ("←", {
            "type": "ready", "seq": 1, "session_id": "b5e0c8a1f7d94c1f", "resume_token": "pZ3…", "protocol": "voxproof.v1", "model": MODEL,
            "audio": {"encoding": "pcm_s16le", "sample_rate": 16000, "channels": 1, "channel_labels": None},
            "config": {"profile": "balanced", "hop_seconds": 0.5, "interim": True, "detail": "basic", "channel_mode": "separate"},
            "limits": {"max_session_seconds": 7200, "idle_timeout_seconds": 30, "max_frame_bytes": 1048576, "max_buffer_seconds": 10},
            "unknown_fields": [],
        }),
        ("→", b"samples, until somebody has spoken for a second"),
        ("←", {
            "type": "segment", "seq": 2, "index": 0, "channel": 0, "start_ms": 0, "end_ms": 1000, "verdict": "spoof", "score": 0.957, "llr": 3.1,
            "speech_ms": 980, "latency_ms": 4,
        }),
        ("←", {
            "type": "verdict", "seq": 3, "as_of_ms": 1000, "channel": 0, "verdict": "spoof", "score": 0.957, "llr": 3.1, "speech_ms": 980,
            "segments": _ONE, "state": "provisional", "changed": True,
        }),
        ("←", {"type": "alert", "seq": 4, "at_ms": 1000, "rule": "spoof_onset", "channel": 0, "score": 0.957, "cleared": False}),
        ("←", {"type": "ack", "seq": 5, "received_ms": 1000, "processed_ms": 1000, "lag_ms": 4, "buffered_ms": 0, "bytes": 32000, "frames": 50}),
        ("→", {"type": "stop"}),
        ("←", {
            "type": "done", "seq": 6, "session_id": "b5e0c8a1f7d94c1f", "duration_ms": 1000, "speech_ms": 980, "verdict": "spoof", "score": 0.957,
            "llr": 3.1, "spoof_ranges": [], "segments_total": 1, "dropped_ms": 0, "model": MODEL,
            "channels": [{"channel": 0, "label": None, "verdict": "spoof", "score": 0.957, "llr": 3.1, "speech_ms": 980, "segments": _ONE}],
        }),
    ),
)  # fmt: skip
WS = Talk(
    "Judge files, one a message",
    "The contract of the first recording page: each message is a file, each answer has three keys. A mistake is answered by `error` and the socket "
    "stays open. It turns into `/v1/stream` when its first message is a `start`.",
    says=(TwoClass, contract.FileError),
    hears=(contract.FileMessage,),
)
TWILIO = Talk(
    "Judge a phone call",
    "What Twilio Media Streams speaks: 8 kHz mu-law, one or two tracks, each a channel. Twilio sets no headers and reads no answers, so the browser "
    'token is a `<Parameter name="token">` of `<Stream>`, and verdicts come by webhook or `GET /v1/sessions/{session_id}`, where the id is '
    "`session_id` of the parameters or else the `streamSid`. Other parameters set `config` fields or become `metadata`. With "
    "`replies` of `true` the messages of `/v1/stream` are sent back.",
    says=STREAM.says,
    hears=(twilio.Event,),
)
