"""The one table from an error code to its numbers on each transport: HTTP status, WebSocket close code, gRPC code, retryable.

Numbers stand nowhere else. `tests/test_docs.py` checks that every error class has a row and that the README shows this table.
"""

from __future__ import annotations

from typing import NamedTuple


class Status(NamedTuple):
    http: int
    close: int
    grpc: str
    retryable: bool


STATUS: dict[str, Status] = {
    "bad_request": Status(400, 4400, "INVALID_ARGUMENT", False),
    "bad_json": Status(400, 1007, "INVALID_ARGUMENT", False),
    "bad_message": Status(400, 1007, "INVALID_ARGUMENT", False),
    "unknown_type": Status(400, 1007, "INVALID_ARGUMENT", False),
    "bad_base64": Status(400, 1007, "INVALID_ARGUMENT", False),
    "bad_utf8": Status(400, 1007, "INVALID_ARGUMENT", False),
    "non_finite_audio": Status(400, 1007, "INVALID_ARGUMENT", False),
    "too_many_errors": Status(400, 1007, "INVALID_ARGUMENT", False),
    "not_updatable": Status(400, 4400, "INVALID_ARGUMENT", False),
    "out_of_order": Status(400, 4400, "FAILED_PRECONDITION", False),
    "format_unknown": Status(400, 1003, "INVALID_ARGUMENT", False),
    "frame_too_big": Status(413, 1009, "RESOURCE_EXHAUSTED", False),
    "bad_config": Status(400, 4400, "INVALID_ARGUMENT", False),
    "bad_field": Status(422, 4422, "INVALID_ARGUMENT", False),
    "wrong_content_type": Status(415, 4415, "INVALID_ARGUMENT", False),
    "forbidden_address": Status(422, 4422, "INVALID_ARGUMENT", False),
    "too_many_webhooks": Status(409, 4409, "RESOURCE_EXHAUSTED", False),
    "idempotency_conflict": Status(409, 4409, "ALREADY_EXISTS", False),
    "unsupported_audio": Status(415, 4415, "INVALID_ARGUMENT", False),
    "unusable_audio": Status(422, 4422, "INVALID_ARGUMENT", False),
    "empty_audio": Status(422, 4422, "INVALID_ARGUMENT", False),
    "no_speech": Status(422, 4422, "INVALID_ARGUMENT", False),
    "audio_too_long": Status(413, 4413, "RESOURCE_EXHAUSTED", False),
    "upload_too_large": Status(413, 4413, "RESOURCE_EXHAUSTED", False),
    "upload_too_slow": Status(408, 4408, "DEADLINE_EXCEEDED", True),
    "decode_too_slow": Status(422, 4422, "DEADLINE_EXCEEDED", False),
    "session_too_long": Status(413, 4413, "RESOURCE_EXHAUSTED", False),
    "foreign_origin": Status(403, 4403, "PERMISSION_DENIED", False),
    "local_only": Status(403, 4403, "PERMISSION_DENIED", False),
    "unauthorized": Status(401, 4401, "UNAUTHENTICATED", False),
    "authorisation_expired": Status(401, 4440, "UNAUTHENTICATED", False),
    "scope_missing": Status(403, 4403, "PERMISSION_DENIED", False),
    "rate_limited": Status(429, 4429, "RESOURCE_EXHAUSTED", True),
    "quota_exceeded": Status(429, 4429, "RESOURCE_EXHAUSTED", True),
    "unknown_session": Status(404, 4404, "NOT_FOUND", False),
    "taken_over": Status(409, 4409, "ABORTED", False),
    "idle_timeout": Status(408, 4408, "DEADLINE_EXCEEDED", True),
    "handshake_timeout": Status(408, 4408, "DEADLINE_EXCEEDED", True),
    "slow_reader": Status(408, 4408, "DEADLINE_EXCEEDED", True),
    "not_found": Status(404, 4404, "NOT_FOUND", False),
    "method_not_allowed": Status(405, 4400, "UNIMPLEMENTED", False),
    "upgrade_required": Status(426, 4400, "FAILED_PRECONDITION", False),
    "internal": Status(500, 1011, "INTERNAL", True),
    "limits_unavailable": Status(503, 4503, "UNAVAILABLE", True),
    "server_full": Status(503, 4503, "UNAVAILABLE", True),
    "overrun": Status(503, 4503, "UNAVAILABLE", True),
    "shutting_down": Status(503, 1012, "UNAVAILABLE", True),
    "decoder_failed": Status(500, 1011, "INTERNAL", True),
    "scoring_failed": Status(500, 1011, "INTERNAL", True),
    "store_unavailable": Status(503, 1011, "UNAVAILABLE", True),
    "bad_setting": Status(500, 1011, "INTERNAL", False),
    "model_unusable": Status(500, 1011, "INTERNAL", False),
    "model_missing": Status(500, 1011, "INTERNAL", False),
    "model_altered": Status(500, 1011, "INTERNAL", False),
    "card_mismatch": Status(500, 1011, "INTERNAL", False),
}

# What the older contract of `POST /detect` says instead: it has one status for every trouble with a key, and one for audio it cannot read.
DETECT_HTTP: dict[str, int] = {"unauthorized": 403, "authorisation_expired": 403, "unsupported_audio": 422}
