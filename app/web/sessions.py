"""`GET /v1/sessions/{session_id}`: what a running or finished session came to, told to its owner only."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.core.errors import ScopeMissing, UnknownSession
from app.core.messages import RangeResult, Segments
from app.core.verdict import State, VerdictName
from app.service.access import Principal
from app.service.services import Services
from app.web.table import About


class SessionPath(BaseModel):
    session_id: str = Field(description="From `ready`, from an answer, or the one you chose.", min_length=1, max_length=128)


class SessionChannel(BaseModel):
    channel: int
    label: str | None
    verdict: VerdictName
    score: float | None
    llr: float | None
    speech_ms: int
    segments: Segments
    state: State | None = Field(description="Of the running verdict; null once it is final.")


class EarlierSession(BaseModel):
    kind: str
    state: str
    started_at: str | None
    ended_at: str | None
    verdict: VerdictName
    score: float | None
    llr: float | None
    duration_ms: int
    sha256: str | None


class SessionError(BaseModel):
    code: str
    message: str


class SessionAnswer(BaseModel):
    """Times of the clock are RFC 3339, in UTC; others are ms of audio."""

    session_id: str
    kind: str = Field(description="`live`, `file`, or the contract it came by.")
    state: Literal["running", "finished", "failed", "broken", "lost"] = Field(
        description="`broken`: the connection ended and nobody resumed it. `lost`: its server has not been heard of for a minute."
    )
    started_at: str
    updated_at: str
    ended_at: str | None
    expires_at: str = Field(description="The record is gone then.")
    verdict: VerdictName
    score: float | None
    llr: float | None
    speech_ms: int
    duration_ms: int
    dropped_ms: int
    channels: list[SessionChannel]
    spoof_ranges: list[RangeResult]
    segments_total: int
    segments_left_out: int = Field(description="Segments beyond the number that is kept.")
    segments: list[dict[str, Any]] = Field(description="As they were sent.")
    warnings: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    error: SessionError | None
    audio: dict[str, Any] = Field(description="Format, and `sha256` of the file, or of the samples as they were received.")
    config: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    model: dict[str, Any] = Field(description="Name, version and sha256 of the detector.")
    earlier: list[EarlierSession] = Field(description="Sessions before this one for which the same id was chosen, the latest last.")


async def session(request: Request) -> Response:
    """GET /v1/sessions/{session_id}."""
    services: Services = request.app.state.services
    principal: Principal = request.state.principal
    if not principal.scopes & {"stream", "detect"}:
        raise ScopeMissing("This needs the scope 'stream' or 'detect'.")
    found = await services.records.get(principal.owner, request.path_params["session_id"])
    if found is None:
        raise UnknownSession("There is no session of this id.")
    return await asyncio.to_thread(_answer, found)  # two hours of segments are a megabyte


def _answer(found: dict[str, Any]) -> Response:
    return JSONResponse(SessionAnswer.model_validate(found).model_dump(exclude_unset=True), headers={"Cache-Control": "no-store"})


ABOUT = About(
    "Ask for a session",
    "The running verdict of a live session, or the final one of a session or a file, with its segments, hashes and warnings; for a day, by default. "
    "It is told to keys of the owner whose key opened the session, with the scope `stream` or `detect`; all others hear that there is none.",
    tag="sessions", path=SessionPath, answer=SessionAnswer, errors=(UnknownSession,),
)  # fmt: skip
