"""The documentation's words: what each route says of itself, and what stands before them all. `routes` hangs these on its rows.

Models, statuses and error codes come from the code; here is only what code cannot say. Texts are CommonMark without headings.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from app.core import errors, wire
from app.service.access import Scope
from app.service.services import TwoClass
from app.web import compat_deepfake, compat_detect, contract, webhooks
from app.web.table import About

SUMMARY = "Tells, while somebody is still speaking, whether the voice is a person's or a machine's."

TAGS: dict[str, str] = {
    "detect": "Judge a recording in one request.",
    "sessions": "What a live call came to, asked for later or by somebody else.",
    "tokens": "Let a browser open a stream without giving it your key.",
    "reports": "Suspicious-activity reports, in a scope of their own: nothing outside it shows that one exists.",
    "webhooks": "Be told when a verdict changes. Deliveries follow the Standard Webhooks specification.",
    "older": "Contracts of earlier services, kept to the letter, so that their clients work unchanged. Their errors have shapes of their own.",
    "operations": "For supervisors, load balancers and monitoring; open to all.",
    "documentation": "This documentation, for programs.",
}


SCOPE_TEXTS: dict[Scope, str] = {
    "detect": "judges files",
    "stream": "opens live streams, and hears of their sessions",
    "tasks": "queues files",
    "enroll": "enrols speakers",
    "reports": "files and reads suspicious-activity reports",
    "admin": "does everything else",
}

EVENT_TEXTS = {
    "session.verdict_changed": "The running verdict of a channel changed",
    "session.finished": "A session ended, with its verdict or with an error",
    "webhook.test": "A test was asked for",
}
DELIVERY = {
    "webhook-id": "Names the event: deliveries are repeated until one is taken, always with the same id.",
    "webhook-timestamp": "When this delivery was made, in seconds since the epoch.",
    "webhook-signature": "`v1,` and the base64 of HMAC-SHA-256, with the secret, over `<id>.<timestamp>.<body>`.",
}

# What stands for the parameters of paths in examples.
PATH_SAMPLES = {"session_id": "call-17", "case_id": "case_3f1c7e55b09d2f6f0a3f1c7e", "id": "wh_4c1f9d2f6f0a3f1c7e55b0e0"}

# Operation -> link -> operation and where its parameters come from: how one answer leads to the next request.
_CASE = {"case_id": "$response.body#/case_id"}
LINKS: dict[str, dict[str, tuple[str, dict[str, str]]]] = {
    "postV1Webhooks": {
        "test": ("postV1WebhooksIdTest", {"id": "$response.body#/id"}),
        "delete": ("deleteV1WebhooksId", {"id": "$response.body#/id"}),
    },
    "postV1ReportsSar": {
        "read": ("getV1ReportsSarCaseId", _CASE),
        "export": ("getV1ReportsSarCaseIdExport", _CASE),
        "audio": ("getV1ReportsSarCaseIdAudio", _CASE),
    },
    "postV1VoiceDeepfake": {"session": ("getV1SessionsSessionId", {"session_id": "$response.body#/session_id"})},
}

# Group -> title, text and example of what is no single request.
GUIDES: dict[str, tuple[str, str, str]] = {
    "webhooks": (
        "Verify a delivery",
        "Each delivery carries `webhook-id`, `webhook-timestamp` and `webhook-signature`. Check the signature over the raw body before you parse it, "
        "and refuse timestamps older than five minutes. An id that comes again is the same event: deliveries are repeated until you answer 2xx.",
        "webhook",
    ),
}


def introduction(limits: Mapping[str, str]) -> str:
    facts = "\n".join(f"- {name}: {value}" for name, value in limits.items())
    return (
        "A verdict is `bonafide`, `spoof`, `uncertain` or `no_speech`, with a log-likelihood ratio (`llr`, positive is spoof) and a `score`: "
        "P(spoof) at equal priors. `uncertain` is a real answer. No verdict is proof.\n\n"
        "Live audio goes over WebSockets, which `/asyncapi.json` describes. Times are milliseconds of media, so the same audio gives the same "
        "verdicts however it was cut.\n\n"
        "Errors are `application/problem+json` (RFC 9457) with a stable `code`; try again only where `retryable` is true, and not before "
        "`Retry-After`. A field or parameter that nobody knows is refused, not ignored.\n\n"
        f"This server's limits:\n\n{facts}"
    )


SECURITY: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer` and a key, or a browser token."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key in a header of its own."},
}
_COUNT = {"type": "integer", "minimum": 0}
HEADERS: dict[str, Any] = {
    "X-RateLimit-Limit": {"description": "Requests allowed in the window that matters now.", "schema": _COUNT},
    "X-RateLimit-Remaining": {"description": "Requests left in it.", "schema": _COUNT},
    "X-RateLimit-Reset": {"description": "When it ends, in seconds since the epoch.", "schema": _COUNT},
    "RateLimit-Policy": {"description": "Every limit that applies: its name, quota `q` and window `w` in seconds.", "schema": {"type": "string"}},
    "RateLimit": {"description": "Where you stand with each: `r` left, `t` seconds until it is whole again.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before you try again.", "schema": _COUNT},
    "Location": {"description": "Where the new thing is.", "schema": {"type": "string", "format": "uri-reference"}},
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}},
}
COUNTED = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
COUNTED_IETF = ("RateLimit-Policy", "RateLimit")

REQUEST_ID, NOW, WAIT_MS = "9f86d081884c7d65", "2026-01-31T12:00:00Z", 5000  # stand for real ones in examples
WAITING: tuple[type[errors.VoxproofError], ...] = (errors.RateLimited, errors.QuotaExceeded, errors.ServerFull)

GUARDED: tuple[type[errors.VoxproofError], ...] = (
    errors.PeerError, errors.Unauthorized, errors.AuthorisationExpired, errors.LocalOnly, errors.ForeignOrigin, errors.ScopeMissing,
    errors.RateLimited, errors.StoreUnavailable,
)  # fmt: skip
AUDIO: tuple[type[errors.VoxproofError], ...] = (
    errors.UnsupportedAudio, errors.UnusableAudio, errors.EmptyAudio, errors.AudioTooLong, errors.DecodeTooSlow, errors.QuotaExceeded,
    errors.ServerFull, errors.DecoderFailed, errors.ScoringFailed,
)  # fmt: skip

# Twenty milliseconds of silence: the smallest honest file.
SILENCE = b64encode(b"RIFF\xc4\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\xa0\0\0\0" + b"\x80" * 160).decode()
_ANY_AUDIO = {"audio/*": bytes, "application/octet-stream": bytes}
MODEL = {
    "name": "light", "version": "2.0.0", "sha256": "5c1a3f0d5e7b0f6f0e3c4a7b9d2e8f1a6c5b4d3e2f1a0b9c8d7e6f5a4b3c2d1e", "sample_rate": 16000,
    "window_seconds": 4.0, "hop_seconds": 0.5, "min_speech_seconds": 0.5,
}  # fmt: skip
_COUNTS = {"total": 2, "spoof": 2, "bonafide": 0, "uncertain": 0, "no_speech": 0}

DETECT = About(
    "Judge a file",
    "Send the file as a form (`file`), as the body itself, or in base64. Names and declared types are ignored: the bytes say what they are. WAV of "
    "any kind, FLAC, MP3, Ogg, WebM, MP4, AMR, WMA and other usual kinds, 8 to 96 kHz. Nothing is stored.\n\n"
    "Two channels get a verdict each, and the top level is that of the highest llr; three to eight are mixed. What is accepted depends on the bytes, "
    "so audio that cannot be read answers 400, 413, 415 or 422.",
    tag="detect",
    query=wire.Config,
    omit=frozenset({"enrollment_id", "on_overflow"}),
    body={"multipart/form-data": contract.AudioForm, "application/json": contract.AudioJson, **_ANY_AUDIO},
    answer=contract.Detected,
    errors=(errors.BadConfig, errors.BadBase64, *AUDIO),
    sample={"application/json": {"audio_base64": SILENCE}, "multipart/form-data": {"file": "@call.wav"}},
    shown={
        "session_id": "b5e0c8a1f7d94c1f9d2f6f0a3f1c7e55", "duration_ms": 1500, "speech_ms": 1480, "verdict": "spoof", "score": 0.969, "llr": 3.44,
        "channels": [{"channel": 0, "label": None, "verdict": "spoof", "score": 0.969, "llr": 3.44, "speech_ms": 1480, "segments": _COUNTS}],
        "spoof_ranges": [], "segments_total": 2, "dropped_ms": 0, "model": MODEL,
        "segments": [
            {"index": 0, "channel": 0, "start_ms": 0, "end_ms": 1000, "verdict": "spoof", "score": 0.957, "llr": 3.1, "speech_ms": 980},
            {"index": 1, "channel": 0, "start_ms": 0, "end_ms": 1500, "verdict": "spoof", "score": 0.977, "llr": 3.78, "speech_ms": 1480},
        ],
        "warnings": [], "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "request_id": REQUEST_ID,
    },
)  # fmt: skip

ANALYZE = About(
    "Judge a file, real or deepfake",
    "The contract of the first recording page. It knows no `uncertain`: `raw_score` is the llr, and 0 and below is `real`.",
    tag="older",
    body={"multipart/form-data": contract.AudioForm, "application/json": contract.AudioJson, **_ANY_AUDIO},
    answer=TwoClass,
    errors=(errors.BadBase64, errors.NoSpeech, *AUDIO),
    refusal=contract.OlderAnswer,
    sample={"multipart/form-data": {"file": "@call.wav"}},
    shown={"classification": "deepfake", "confidence": 0.969, "raw_score": 3.44},
)

OLDER_DETECT = About(
    "Judge a file in one of five languages",
    "Seven fields, its own statuses and texts, 60 requests a minute and 1000 an hour a key. Audio of 1 to 60 seconds and 10 MiB. A body that does "
    "not fit answers 422 with a list of `loc`, `msg` and `type`.",
    tag="older",
    body=compat_detect.DetectBody,
    answer=compat_detect.DetectAnswer,
    errors=(errors.BadBase64, errors.NoSpeech, *AUDIO),
    refusal=compat_detect.Refusal,
    examples=("older-detect",),
)
HEALTH = About(
    "Is it up", "The older contract's answer; `GET /readyz` says more.", tag="older", answer=compat_detect.Health, refusal=compat_detect.Refusal
)

HOME = About(
    "The page, or what this is",
    "A browser gets the recording page; a program that does not ask for `text/html` gets the older contract's JSON.",
    tag="older",
    answer={"application/json": {"type": "object"}, "text/html": str},
)
DEEPFAKE = About(
    "Judge a file, with a session to report on",
    "What the Sonotheia client calls. The session that is answered is kept with verdict, ranges and the file's hash, never the audio, so that a "
    "report made of it later has its evidence.",
    tag="older",
    body={"multipart/form-data": compat_deepfake.DeepfakeForm},
    answer=compat_deepfake.DeepfakeAnswer,
    errors=(errors.NoSpeech, errors.WrongContentType, errors.BadField, errors.BadJson, errors.StoreUnavailable, *AUDIO),
    refusal=contract.OlderAnswer,
    sample={"multipart/form-data": {"audio": "@call.wav", "metadata": '{"session_id": "call-17"}'}},
    shown={"score": 0.969, "label": "likely_synthetic", "latency_ms": 31, "session_id": "call-17", "recommended_action": "deny"},
)

WEBHOOK_CREATE = About(
    "Register an address",
    "Only https, and only the public internet. The secret signs the deliveries, and is shown this once.",
    tag="webhooks",
    body=webhooks.WebhookBody,
    answer=webhooks.WebhookMade,
    status=201,
    errors=(errors.ForbiddenAddress, errors.TooManyWebhooks),
    sample={"url": "https://example.com/voxproof", "events": ["session.finished"]},
    shown={
        "id": "wh_4c1f9d2f6f0a3f1c7e55b0e0", "url": "https://example.com/voxproof", "events": ["session.finished"], "enabled": True,
        "created_at": NOW, "last_at": None,
        "last_status": None, "failing_since": None, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    },
)  # fmt: skip
WEBHOOKS = About("What is registered", tag="webhooks", answer=webhooks.WebhookList)
WEBHOOK_DELETE = About("Forget an address", "What waits for it is dropped.", tag="webhooks", status=204, errors=(errors.NotFound,))
WEBHOOK_TEST = About(
    "Send a test",
    "Delivers `webhook.test` at once and says how that went.",
    tag="webhooks",
    answer=webhooks.WebhookTested,
    errors=(errors.NotFound,),
    shown={"delivered": True, "status": 204, "problem": None},
)

_ADMIN = [{"bearer": ["admin"]}, {"apiKey": ["admin"]}]
LIVEZ = About("Is the process alive", tag="operations", answer=contract.Alive)
STARTUPZ = About("Has it started", tag="operations", answer=contract.Started)
READYZ = About(
    "Can it take work",
    "503 while it cannot, or drains: send it no more. `verbose` adds each check, and needs the scope `admin`.",
    tag="operations",
    query=contract.Verbose,
    answer=contract.Readiness,
    answers={503: contract.Readiness},
    errors=GUARDED,
    extra={"security": [{}, *_ADMIN]},
)
METRICS = About(
    "Counts and timings",
    "For Prometheus, in its text format, or OpenMetrics where that is asked for. `VOXPROOF_METRICS_PUBLIC` opens it to all.",
    tag="operations",
    answer={"text/plain": str, "application/openmetrics-text": str},
    errors=GUARDED,
    extra={"security": _ADMIN},
)

OPENAPI = About("This API as OpenAPI 3.1", tag="documentation", answer={"application/json": {"type": "object", "required": ["openapi"]}})
ASYNCAPI = About("The sockets as AsyncAPI 3", tag="documentation", answer={"application/json": {"type": "object", "required": ["asyncapi"]}})
DOCS = About("This documentation, for people", tag="documentation", answer={"text/html": str})
