"""Every error the product can answer with, once: over 300 lines because there is one such list.

Two branches: `PeerError` is the other side's mistake (the message is written for them and is safe to send),
`OwnError` is ours (the peer learns the code and a short sentence, the log learns the rest). A class names its
`code`; what a code becomes on HTTP, WebSocket or gRPC stands in `app/status.py` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar


class VoxproofError(Exception):
    """Base of all errors. `message` is one sentence for the peer; `field` names the input at fault, if one is."""

    code: ClassVar[str] = "internal"
    default_message: ClassVar[str] = "Something went wrong on our side."

    def __init__(self, message: str | None = None, *, field: str | None = None, retry_after_ms: int | None = None) -> None:
        self.message = message or self.default_message
        self.field = field
        self.retry_after_ms = retry_after_ms
        super().__init__(self.message)


class PeerError(VoxproofError):
    """The peer sent something we cannot use."""

    code = "bad_request"
    default_message = "The request could not be understood."


class OwnError(VoxproofError):
    """We failed, or we are not able to serve right now."""


# --- messages -----------------------------------------------------------------------------------------------


class BadJson(PeerError):
    code = "bad_json"
    default_message = "The text message is not valid JSON."


class BadMessage(PeerError):
    code = "bad_message"
    default_message = "The message is not a JSON object with the expected fields."


class UnknownType(PeerError):
    code = "unknown_type"
    default_message = "The message type is not known."


class BadBase64(PeerError):
    code = "bad_base64"
    default_message = "The audio data is not valid base64."


class BadUtf8(PeerError):
    code = "bad_utf8"
    default_message = "The text message is not valid UTF-8."


class NonFiniteAudio(PeerError):
    code = "non_finite_audio"
    default_message = "The audio holds NaN or infinite samples; they were replaced by zero."


class TooManyErrors(PeerError):
    code = "too_many_errors"
    default_message = "Too many bad messages in one session."


class NotUpdatable(PeerError):
    code = "not_updatable"
    default_message = "This setting cannot be changed while a session runs."


class NotReady(PeerError):
    code = "out_of_order"
    default_message = "This message is not allowed now."


class FormatUnknown(PeerError):
    code = "format_unknown"
    default_message = "Audio came before its format: send start first, or put encoding and sample_rate in the query."


class FrameTooBig(PeerError):
    code = "frame_too_big"
    default_message = "The message is larger than the limit for one frame."


class BadConfig(PeerError):
    code = "bad_config"
    default_message = "A field of the configuration is not acceptable."


class BadField(PeerError):
    code = "bad_field"
    default_message = "A field of the request is not acceptable."


class WrongContentType(PeerError):
    code = "wrong_content_type"
    default_message = "The body is not of a type this address takes."


class ForbiddenAddress(PeerError):
    code = "forbidden_address"
    default_message = "The URL is not one we may send to."


class TooManyWebhooks(PeerError):
    code = "too_many_webhooks"
    default_message = "There are as many webhooks as one owner may have; delete one first."


class IdempotencyConflict(PeerError):
    code = "idempotency_conflict"
    default_message = "This Idempotency-Key was used with another content."


# --- audio --------------------------------------------------------------------------------------------------


class UnsupportedAudio(PeerError):
    code = "unsupported_audio"
    default_message = "The data is not audio in a format we read."


class UnusableAudio(PeerError):
    code = "unusable_audio"
    default_message = "The data looks like audio but cannot be decoded."


class EmptyAudio(PeerError):
    code = "empty_audio"
    default_message = "There is no audio in the request."


class NoSpeech(PeerError):
    code = "no_speech"
    default_message = "No speech was found in the audio."


class AudioTooLong(PeerError):
    code = "audio_too_long"
    default_message = "The audio is longer than the limit."


class UploadTooLarge(PeerError):
    code = "upload_too_large"
    default_message = "The upload is larger than the limit."


class UploadTooSlow(PeerError):
    code = "upload_too_slow"
    default_message = "The upload took longer than the limit."


class DecodeTooSlow(PeerError):
    code = "decode_too_slow"
    default_message = "Decoding the audio took longer than the limit."


class SessionTooLong(PeerError):
    code = "session_too_long"
    default_message = "The session reached its limit of audio."


# --- access -------------------------------------------------------------------------------------------------


class ForeignOrigin(PeerError):
    code = "foreign_origin"
    default_message = "This page's origin is not on the server's list."


class LocalOnly(PeerError):
    code = "local_only"
    default_message = "No keys are configured, so only programs on this machine may ask, and not through a proxy."


class Unauthorized(PeerError):
    code = "unauthorized"
    default_message = "The key or token is missing or not valid."


class AuthorisationExpired(PeerError):
    code = "authorisation_expired"
    default_message = "The key or token has expired."


class ScopeMissing(PeerError):
    code = "scope_missing"
    default_message = "This key may not do that."


class RateLimited(PeerError):
    code = "rate_limited"
    default_message = "Too many requests; try again later."


class QuotaExceeded(PeerError):
    code = "quota_exceeded"
    default_message = "The quota of this key is used up; try again later."


class UnknownSession(PeerError):
    code = "unknown_session"
    default_message = "No session with this id and token can be resumed here; start a new one."


class TakenOver(PeerError):
    code = "taken_over"
    default_message = "The session was resumed on another connection."


class IdleTimeout(PeerError):
    code = "idle_timeout"
    default_message = "Nothing was received for longer than the idle limit."


class HandshakeTimeout(PeerError):
    code = "handshake_timeout"
    default_message = "No start message was received in time."


class SlowReader(PeerError):
    code = "slow_reader"
    default_message = "The client does not read its messages."


class NotFound(PeerError):
    code = "not_found"
    default_message = "There is nothing at this address."


class MethodNotAllowed(PeerError):
    code = "method_not_allowed"
    default_message = "This address does not take that method."


class UpgradeRequired(PeerError):
    code = "upgrade_required"
    default_message = "This address speaks WebSocket: connect to it with ws:// or wss://."


# --- our side -----------------------------------------------------------------------------------------------


class Internal(OwnError):
    code = "internal"


class LimitsUnavailable(OwnError):
    code = "limits_unavailable"
    default_message = "The store of the limits does not answer; try again in a moment."


class ServerFull(OwnError):
    code = "server_full"
    default_message = "The server is at its capacity; try again later."


class Overrun(OwnError):
    code = "overrun"
    default_message = "Audio arrived faster than it could be scored and the buffer is full."


class ShuttingDown(OwnError):
    code = "shutting_down"
    default_message = "The server is shutting down; resume elsewhere."


class DecoderFailed(OwnError):
    code = "decoder_failed"
    default_message = "The decoder stopped unexpectedly."


class ScoringFailed(OwnError):
    code = "scoring_failed"
    default_message = "The detector failed on this audio."


class StoreUnavailable(OwnError):
    code = "store_unavailable"
    default_message = "What this needs to read or write cannot be reached; try again later."


class BadSetting(OwnError):
    """A setting nobody can work with. Raised at start only; the message never shows a URL's secrets."""

    code = "bad_setting"
    default_message = "A setting cannot be used."


class ModelError(OwnError):
    """A model directory the server refuses to load. Raised at start only."""

    code = "model_unusable"
    default_message = "The model cannot be loaded."


class ModelMissing(ModelError):
    code = "model_missing"


class ModelAltered(ModelError):
    code = "model_altered"


class CardMismatch(ModelError):
    code = "card_mismatch"


def every_error() -> Iterator[type[VoxproofError]]:
    """All concrete error classes, depth first: what the status table and the documentation are checked against."""
    todo: list[type[VoxproofError]] = [PeerError, OwnError]
    while todo:
        cls = todo.pop(0)
        todo[:0] = cls.__subclasses__()
        if cls is not OwnError:
            yield cls
