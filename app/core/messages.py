"""What the server says in `voxproof.v1`: one class a message, declared here only. `wire.encode` makes their JSON.

Built by `session` (media facts) and by `service` (wall-clock fields, `close_code`, `retryable`). Times are ms of media unless named otherwise.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict

from app.core.errors import VoxproofError
from app.core.quality import Quality
from app.core.verdict import State, VerdictName


class Message(BaseModel):
    """Base of what the server sends. Only fields that were set travel, so optional ones are simply absent."""

    model_config = ConfigDict(extra="forbid")
    type: ClassVar[str]
    seq: int = 0

    def content(self) -> dict[str, Any]:
        return {"type": self.type, **self.model_dump(exclude_unset=True)}

    def numbered(self, seq: int) -> Self:
        self.seq = seq
        return self


class ModelInfo(BaseModel):
    name: str
    version: str
    sha256: str
    sample_rate: int
    window_seconds: float
    hop_seconds: float
    min_speech_seconds: float


class Limits(BaseModel):
    max_session_seconds: int
    idle_timeout_seconds: float
    max_frame_bytes: int
    max_buffer_seconds: float


class Resumed(BaseModel):
    accepted: bool
    continue_from_ms: int


class Ready(Message):
    type: ClassVar[str] = "ready"
    session_id: str
    resume_token: str
    protocol: str
    model: ModelInfo
    audio: dict[str, Any]
    config: dict[str, Any]
    limits: Limits
    unknown_fields: list[str]
    resume: Resumed | None = None


class QualityInfo(BaseModel):
    level_dbfs: float
    clipping: float
    bandwidth_hz: int | None

    @classmethod
    def of(cls, quality: Quality) -> QualityInfo:
        return cls(level_dbfs=quality.level_dbfs, clipping=quality.clipping, bandwidth_hz=quality.bandwidth_hz)


class Segment(Message):
    type: ClassVar[str] = "segment"
    index: int
    channel: int
    start_ms: int
    end_ms: int
    verdict: VerdictName
    score: float | None
    llr: float | None
    speech_ms: int
    latency_ms: int | None = None
    interim: bool | None = None
    quality: QualityInfo | None = None


class Segments(BaseModel):
    total: int
    spoof: int
    bonafide: int
    uncertain: int
    no_speech: int


class Verdict(Message):
    type: ClassVar[str] = "verdict"
    as_of_ms: int
    channel: int
    verdict: VerdictName
    score: float | None
    llr: float | None
    speech_ms: int
    segments: Segments
    state: State
    changed: bool


class Alert(Message):
    type: ClassVar[str] = "alert"
    at_ms: int
    rule: Literal["spoof_onset"]
    channel: int
    score: float | None
    cleared: bool


class Ack(Message):
    type: ClassVar[str] = "ack"
    received_ms: int
    processed_ms: int
    lag_ms: int | None = None
    buffered_ms: int
    bytes: int
    frames: int


WarningCode = Literal[
    "low_level", "clipping", "narrowband", "dropped_audio", "lagging", "expiring", "unknown_field",
    "truncated", "corrupt", "format_changed", "other_tracks", "mixed", "non_finite_audio",
]  # fmt: skip


class Warning(Message):
    type: ClassVar[str] = "warning"
    code: WarningCode
    message: str
    channel: int | None = None
    range_ms: tuple[int, int] | None = None


class Finalized(Message):
    type: ClassVar[str] = "finalized"
    id: str | int | None = None
    as_of_ms: int


class Updated(Message):
    type: ClassVar[str] = "updated"
    config: dict[str, Any]


class Error(Message):
    type: ClassVar[str] = "error"
    code: str
    message: str
    error: str
    fatal: bool
    close_code: int | None = None
    retryable: bool | None = None
    retry_after_ms: int | None = None
    field: str | None = None

    @classmethod
    def of(cls, problem: VoxproofError, *, fatal: bool) -> Error:
        """`close_code` and `retryable` are added by the service, which knows the status table."""
        message = cls(code=problem.code, message=problem.message, error=problem.message, fatal=fatal)
        if problem.field is not None:
            message.field = problem.field
        if problem.retry_after_ms is not None:
            message.retry_after_ms = problem.retry_after_ms
        return message


class ChannelResult(BaseModel):
    channel: int
    label: str | None
    verdict: VerdictName
    score: float | None
    llr: float | None
    speech_ms: int
    segments: Segments


class RangeResult(BaseModel):
    channel: int
    start_ms: int
    end_ms: int
    score: float


class Done(Message):
    type: ClassVar[str] = "done"
    session_id: str
    duration_ms: int
    speech_ms: int
    verdict: VerdictName
    score: float | None
    llr: float | None
    channels: list[ChannelResult]
    spoof_ranges: list[RangeResult]
    segments_total: int
    dropped_ms: int
    model: ModelInfo
