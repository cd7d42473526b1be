"""What the routes of suspicious-activity reports take and answer; the documentation shows these very models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json

from app.service.records import iso
from app.service.reports import Case, Decision
from app.store.case_filter import Filter
from app.web.body import Body
from app.web.sessions import SessionAnswer

SessionId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
# pydantic reads a bare number as seconds since 1970 as well, which is no RFC 3339.
Time = Annotated[datetime, BeforeValidator(lambda value: value if re.match(r"\d{4}-", str(value)) else "")]
CaseFormat = Literal["json", "csv", "html"]
ListFormat = Literal["jsonl", "csv", "html"]


class ReportBody(Body):
    """A report as JSON."""

    session_id: SessionId = Field(description="The session it is about; it need not be known here.")
    decision: Decision = Field(description="What was decided about it.")
    reason: str = Field(description="Why, in words for people.", min_length=1, pattern=r"\S")
    metadata: dict[str, Any] | None = Field(default=None, description="Anything of yours, kept with the case.")


class ReportForm(BaseModel):
    """A report as a form, with a recording to keep."""

    model_config = ConfigDict(extra="forbid")

    session_id: SessionId
    decision: Decision
    reason: str = Field(min_length=1, pattern=r"\S")
    metadata: Json[dict[str, Any]] | None = Field(default=None, description="A JSON object.")
    audio: bytes | None = Field(default=None, description="A recording of any kind we read, kept as long as the case.")


class ReportHeaders(BaseModel):
    idempotency_key: str | None = Field(
        default=None, alias="Idempotency-Key", max_length=255, pattern=r"^[ -~]+$",
        description="A name of yours for this very report: another report under it is refused. The same report is the same case without it, too.",
    )  # fmt: skip


class ReportAnswer(BaseModel):
    status: Literal["filed"] = "filed"
    case_id: str
    session_id: str


class CasePath(BaseModel):
    case_id: str = Field(description="From the answer to the report.")


class CaseBrief(BaseModel):
    """A case in a list: without its texts and its evidence."""

    case_id: str
    session_id: str
    decision: Decision
    filed_by: str | None = Field(description="Id of the key it was filed with.")
    created_at: str
    expires_at: str = Field(description="It is removed then.")
    audio: bool = Field(description="Whether a recording came with it.")

    @classmethod
    def of(cls, case: Case) -> CaseBrief:
        return cls(**_head(case), audio=case.audio is not None)


class CaseList(BaseModel):
    cases: list[CaseBrief] = Field(description="Newest first.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class CaseAudio(BaseModel):
    sha256: str
    bytes: int


class Evidence(BaseModel):
    session: Literal["known", "unknown", "unavailable"] = Field(
        description="`unknown`: no session of this id belongs to the owner of the key. `unavailable`: its record could not be reached."
    )
    taken_at: str
    record: SessionAnswer | None = Field(description="What the session had come to when the report was filed.")


class CaseEvent(BaseModel):
    at: str
    action: str = Field(description="`filed`, `filed again`, `read`, `audio` or `exported`.")
    key_id: str | None
    address: str
    detail: str = Field(description="The format of an export.")


class CaseExported(BaseModel):
    """A case with everything in it."""

    status: Literal["filed"] = "filed"
    case_id: str
    session_id: str
    decision: Decision
    reason: str
    metadata: dict[str, Any]
    filed_by: str | None
    created_at: str
    expires_at: str
    audio: CaseAudio | None
    evidence: Evidence


class CaseAnswer(CaseExported):
    events: list[CaseEvent] = Field(description="Who filed, read or exported the case, oldest first; the last thousand.")


def whole(case: Case) -> dict[str, Any]:
    """The content of `CaseExported`. The evidence is as it was stored, whatever later versions would have made of it."""
    texts = {"reason": case.reason, "metadata": case.metadata, "audio": case.audio, "evidence": case.evidence}
    return {"status": "filed", **_head(case), **texts}


class ReportFilter(BaseModel):
    """Which cases are meant."""

    model_config = ConfigDict(extra="ignore")
    decision: Decision | None = Field(default=None, description="Cases of this decision only.")
    session_id: SessionId | None = Field(default=None, description="Cases about this session only.")
    since: Time | None = Field(default=None, alias="from", description="Filed at this time or later: RFC 3339; without an offset it is UTC.")
    until: Time | None = Field(default=None, alias="to", description="Filed before this time.")

    def filter(self) -> Filter:
        return Filter(self.decision, self.session_id, _seconds(self.since), _seconds(self.until))


class ReportPage(ReportFilter):
    cursor: str | None = Field(default=None, description="`next_cursor` of the page before.", max_length=200)
    limit: int = Field(default=50, description="Cases on a page.", ge=1, le=200)


class ListExport(ReportFilter):
    format: ListFormat = Field(default="jsonl", description="`jsonl`: a case a line; `csv`: a row a case; `html`: to print.")


class CaseExport(BaseModel):
    format: CaseFormat = Field(default="json", description="`html` is to print.")


def _head(case: Case) -> Mapping[str, Any]:
    return {
        "case_id": case.id, "session_id": case.session_id, "decision": case.decision, "filed_by": case.filed_by,
        "created_at": iso(case.created_at), "expires_at": iso(case.expires_at),
    }  # fmt: skip


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
