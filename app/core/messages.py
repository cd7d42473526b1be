"""What the server says in `voxproof.v1`: one class a message, declared here only. `wire.encode` makes their JSON.

Built by `session` (media facts) and by `service` (wall-clock fields, `close_code`, `retryable`). Times are ms of media unless named otherwise.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import VoxproofError
from app.core.quality import Quality
from app.core.verdict import State, VerdictName


class Message(BaseModel):
    """Base of what the server sends. Only fields that were set travel, so optional ones are simply absent."""

    model_config = ConfigDict(extra="forbid")
    type: ClassVar[str]
    seq: int = Field(default=0, description="Counts the messages of a session from 1; 0 on an error about the connection.")

    def content(self) -> dict[str, Any]:
        return {"type": self.type, **self.model_dump(exclude_unset=True)}

    def numbered(self, seq: int) -> Self:
        self.seq = seq
        return self


class ModelInfo(BaseModel):
    name: str = Field(description="The detector.")
    version: str = Field(description="Its version.")
    sha256: str = Field(description="Hash over its files: verdicts of equal hashes are comparable.")
    sample_rate: int = Field(description="Rate it hears, in Hz; everything is resampled to it.")
    window_seconds: float = Field(description="Longest stretch it judges at once.")
    hop_seconds: float = Field(description="New audio between two judgements.")
    min_speech_seconds: float = Field(description="Speech a window needs to be judged.")


class Limits(BaseModel):
    max_session_seconds: int = Field(description="Audio one session may carry.")
    idle_timeout_seconds: float = Field(description="Silence on the socket after which it is closed.")
    max_frame_bytes: int = Field(description="Largest message.")
    max_buffer_seconds: float = Field(description="Audio held unscored before back-pressure sets in.")


class Resumed(BaseModel):
    accepted: bool = Field(description="Always true here; a refusal is an error.")
    continue_from_ms: int = Field(description="Send audio again from this time on.")


class Ready(Message):
    """The session is open: what was applied, and what it may do."""

    type: ClassVar[str] = "ready"
    session_id: str = Field(description="Names the session, for resuming and for `GET /v1/sessions/{id}`.")
    resume_token: str = Field(description="Needed to resume; keep it secret.")
    protocol: str = Field(description="`voxproof.v1`.")
    model: ModelInfo = Field(description="The detector that listens.")
    audio: dict[str, Any] = Field(description="The format as applied.")
    config: dict[str, Any] = Field(description="The configuration as applied.")
    limits: Limits = Field(description="Limits of this session.")
    unknown_fields: list[str] = Field(description="Names in your start that nobody knows.")
    resume: Resumed | None = Field(default=None, description="Present when the session was resumed.")


class QualityInfo(BaseModel):
    level_dbfs: float = Field(description="Level, dB below full scale.")
    clipping: float = Field(description="Share of samples at full scale.")
    bandwidth_hz: int | None = Field(description="Highest frequency that carries sound; null when too little was heard.")

    @classmethod
    def of(cls, quality: Quality) -> QualityInfo:
        return cls(level_dbfs=quality.level_dbfs, clipping=quality.clipping, bandwidth_hz=quality.bandwidth_hz)


class Segment(Message):
    """One window was judged."""

    type: ClassVar[str] = "segment"
    index: int = Field(description="Counts the windows of a channel from 0.")
    channel: int = Field(description="Counts from 0.")
    start_ms: int = Field(description="Start of the window, in media time.")
    end_ms: int = Field(description="End of the window, in media time.")
    verdict: VerdictName = Field(description="Verdict on this window alone.")
    score: float | None = Field(description="P(spoof) at equal priors; null without speech.")
    llr: float | None = Field(description="Log-likelihood ratio, positive is spoof; null without speech.")
    speech_ms: int = Field(description="Speech in the window.")
    latency_ms: int | None = Field(default=None, description="From receiving its last sample to sending this.")
    interim: bool | None = Field(default=None, description="True on the answer to a finalize: it is not pooled.")
    quality: QualityInfo | None = Field(default=None, description="With `detail: full`.")


class Segments(BaseModel):
    total: int = Field(description="All windows.")
    spoof: int = Field(description="Windows judged spoof.")
    bonafide: int = Field(description="Windows judged bona fide.")
    uncertain: int = Field(description="Windows between the thresholds.")
    no_speech: int = Field(description="Windows with too little speech.")


class Verdict(Message):
    """The running verdict, after each hop."""

    type: ClassVar[str] = "verdict"
    as_of_ms: int = Field(description="Media time up to which it holds.")
    channel: int = Field(description="Counts from 0.")
    verdict: VerdictName = Field(description="The running verdict.")
    score: float | None = Field(description="P(spoof) at equal priors; null without speech.")
    llr: float | None = Field(description="Mean over the last windows with speech.")
    speech_ms: int = Field(description="Speech heard so far.")
    segments: Segments = Field(description="Windows so far.")
    state: State = Field(description="`warming` until a second of speech is scored, then `provisional`, then `stable`.")
    changed: bool = Field(description="It differs from the verdict before.")


class Alert(Message):
    """The running verdict became, or is no longer, spoof."""

    type: ClassVar[str] = "alert"
    at_ms: int = Field(description="Media time.")
    rule: Literal["spoof_onset"] = Field(description="What was noticed.")
    channel: int = Field(description="Counts from 0.")
    score: float | None = Field(description="P(spoof) then.")
    cleared: bool = Field(description="False: it began. True: it is over.")


class Ack(Message):
    """How far the server is, each second of audio."""

    type: ClassVar[str] = "ack"
    received_ms: int = Field(description="Audio received.")
    processed_ms: int = Field(description="Audio judged; older audio need not be kept for a resume.")
    lag_ms: int | None = Field(default=None, description="How late the last segment was.")
    buffered_ms: int = Field(description="Audio received and not judged yet.")
    bytes: int = Field(description="Bytes received.")
    frames: int = Field(description="Messages with audio received.")


WarningCode = Literal[
    "low_level", "clipping", "narrowband", "dropped_audio", "lagging", "expiring", "unknown_field",
    "truncated", "corrupt", "format_changed", "other_tracks", "mixed", "non_finite_audio",
]  # fmt: skip


class Warning(Message):
    """Something makes the verdict less certain, or is about to happen."""

    type: ClassVar[str] = "warning"
    code: WarningCode = Field(description="What it is about.")
    message: str = Field(description="One sentence.")
    channel: int | None = Field(default=None, description="The channel concerned, if one is.")
    range_ms: tuple[int, int] | None = Field(default=None, description="Start and end of the audio concerned, if known.")


class Finalized(Message):
    """The answer to `finalize`."""

    type: ClassVar[str] = "finalized"
    id: str | int | None = Field(default=None, description="The id of your finalize.")
    as_of_ms: int = Field(description="Media time up to which everything is judged.")


class Updated(Message):
    """The answer to `update`."""

    type: ClassVar[str] = "updated"
    config: dict[str, Any] = Field(description="The configuration as applied from now on.")


class Error(Message):
    """A mistake; the session goes on unless it is fatal."""

    type: ClassVar[str] = "error"
    code: str = Field(description="One of the codes in the errors table.")
    message: str = Field(description="One sentence for people.")
    error: str = Field(description="The same sentence, for older clients.")
    fatal: bool = Field(description="The socket closes after it.")
    close_code: int | None = Field(default=None, description="The code it closes with.")
    retryable: bool | None = Field(default=None, description="Trying again may help.")
    retry_after_ms: int | None = Field(default=None, description="Wait this long before you do.")
    field: str | None = Field(default=None, description="The field at fault, dotted.")

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
    channel: int = Field(description="Counts from 0.")
    label: str | None = Field(description="Its name from `channel_labels`.")
    verdict: VerdictName = Field(description="Verdict on the whole channel.")
    score: float | None = Field(description="P(spoof) at equal priors; null without speech.")
    llr: float | None = Field(description="Pooled over the whole channel; null without speech.")
    speech_ms: int = Field(description="Speech in it.")
    segments: Segments = Field(description="Its windows.")


class RangeResult(BaseModel):
    channel: int = Field(description="Counts from 0.")
    start_ms: int = Field(description="Start of the spoofed stretch.")
    end_ms: int = Field(description="End of the spoofed stretch.")
    score: float = Field(description="P(spoof) over it.")


class Done(Message):
    """The last message: the verdict on the whole session."""

    type: ClassVar[str] = "done"
    session_id: str = Field(description="The session.")
    duration_ms: int = Field(description="Audio heard.")
    speech_ms: int = Field(description="Speech in it.")
    verdict: VerdictName = Field(description="Verdict on everything: that of the channel with the highest llr.")
    score: float | None = Field(description="P(spoof) at equal priors; null without speech.")
    llr: float | None = Field(description="Log-likelihood ratio, positive is spoof; null without speech.")
    channels: list[ChannelResult] = Field(description="One result a channel.")
    spoof_ranges: list[RangeResult] = Field(description="Stretches of at least two seconds that were judged spoof.")
    segments_total: int = Field(description="Windows judged.")
    dropped_ms: int = Field(description="Audio lost to overflow.")
    model: ModelInfo = Field(description="The detector that judged.")
