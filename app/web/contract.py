"""What the native routes take and give, as models: those of the live protocol where they exist, and the few that only HTTP has.

`upload` validates with `AudioJson`, `guard` the queries; the answers' models are what the tests hold real answers against. Used by `about`.
"""

from __future__ import annotations

from copy import copy
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.core import messages, wire
from app.web.body import Body


def derived(name: str, model: type[BaseModel], omit: frozenset[str] = frozenset(), **added: Any) -> type[BaseModel]:
    """`model` with other fields: descriptions and types stay where they are declared."""
    fields: dict[str, Any] = {field: (info.annotation, info) for field, info in model.model_fields.items() if field not in omit}
    doc = (model.__doc__ or "").strip() or None
    return create_model(name, __config__=ConfigDict(extra="forbid"), __doc__=doc, **fields, **added)


def fields_of(model: type[BaseModel], *names: str) -> dict[str, Any]:
    """Fields to take over into a derived model, none of them required there."""
    found: dict[str, Any] = {}
    for name in names:
        info = copy(model.model_fields[name])
        info.default = None
        kind: Any = info.annotation
        found[name] = (kind | None, info)
    return found


LIVE_ONLY = frozenset({"seq", "latency_ms"})  # what makes sense only while somebody speaks

FileSegment = derived("FileSegment", messages.Segment, LIVE_ONLY)
FileWarning = derived("FileWarning", messages.Warning, LIVE_ONLY)
Detected = derived(
    "Detected", messages.Done, LIVE_ONLY,
    segments=(list[FileSegment], Field(description="Each window that was judged.")),  # type: ignore[valid-type]
    warnings=(list[FileWarning], Field(description="What may make the verdict less certain.")),  # type: ignore[valid-type]
    sha256=(str, Field(description="Hash over the file as it was sent.", pattern="^[0-9a-f]{64}$")),
    request_id=(str, Field(description="Names this request in our logs.")),
)  # fmt: skip


_SESSION_ID: dict[str, Any] = {"session_id": (str, Field(description="The session it is about."))}
VerdictChanged = derived("VerdictChanged", messages.Verdict, frozenset({"seq", "changed"}), **_SESSION_ID)
SessionDone = derived("SessionDone", messages.Done, frozenset({"seq"}), state=(Literal["done"], Field(description="It came to its end.")))


class SessionFailed(BaseModel):
    """A session that ended with an error."""

    model_config = ConfigDict(extra="forbid")

    session_id: str
    state: Literal["failed"]
    error: dict[str, str] = Field(description="`code` and `message`.")


class WebhookTest(BaseModel):
    """What `POST /v1/webhooks/{id}/test` sends."""

    model_config = ConfigDict(extra="forbid")

    webhook_id: str


# Event -> what its `data` is
EVENTS: dict[str, tuple[type[BaseModel], ...]] = {
    "session.verdict_changed": (VerdictChanged,),
    "session.finished": (SessionDone, SessionFailed),
    "webhook.test": (WebhookTest,),
}
StreamQuery = derived(
    "StreamQuery", wire.Config, frozenset({"enrollment_id"}),
    **fields_of(wire.Audio, "encoding", "sample_rate", "channels"),
    channel_labels=(str | None, Field(default=None, description="A name for each channel, with commas between them.")),
    **fields_of(wire.Start, "session_id", "token"),
)  # fmt: skip


class AudioJson(Body):
    """A file in base64."""

    audio_base64: str = Field(
        description="The file; a data-URL prefix and line breaks are fine.",
        json_schema_extra={"contentEncoding": "base64", "contentMediaType": "audio/*"},
    )


class AudioForm(Body):
    """A file as a form sends it. Its name and type do not matter."""

    file: bytes = Field(description="The file.", json_schema_extra={"format": "binary", "contentMediaType": "application/octet-stream"})


class OlderAnswer(BaseModel):
    """The older contract's error: the same sentence twice, and the code."""

    model_config = ConfigDict(extra="forbid")

    detail: str
    error: str
    code: str = Field(description="The code, for programs.")


class Alive(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: Literal["ok"]


class Started(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: Literal["started"]
    up_seconds: float


class Verbose(BaseModel):
    verbose: str | None = Field(default=None, description="Anything but `false`, `0`, `no` or `off` asks for the checks.")


class Check(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ok: bool
    text: str
    took_ms: float


class ReadyModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    version: str
    sha256: str


class Readiness(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: Literal["ready", "draining", "unavailable"]
    model: ReadyModel
    streams: int = Field(description="Live streams open here.")
    parked: int = Field(description="Broken sessions that wait here to be resumed.")
    checks: dict[str, Check] | None = Field(default=None, description="With `verbose`: what was looked at.")


class FileMessage(BaseModel):
    """One file on `/ws`."""

    audio_data: str = Field(description="The file in base64, with or without a data-URL prefix.")
    file_type: str | None = Field(default=None, description="Ignored: the bytes say what they are.")


class FileError(BaseModel):
    """A file on `/ws` that could not be judged; the socket stays open."""

    model_config = ConfigDict(extra="forbid")

    error: str
