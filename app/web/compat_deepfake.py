"""`POST /v1/voice/deepfake` of seed 000, which the Sonotheia client calls: multipart `audio` and a JSON text `metadata`, its labels and field names.

The session it answers for is kept (`GET /v1/sessions/{id}`), so that a report made of it later has its evidence: verdict, ranges and the file's
hash, never the audio. `session_id` is the one of `metadata`, or a new one.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Json
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from app.core.errors import BadField, BadMessage, EmptyAudio, NoSpeech, UploadTooLarge, UploadTooSlow, VoxproofError, WrongContentType
from app.core.verdict import VerdictName
from app.service.access import Principal
from app.service.services import OLDER_CONFIG, Services
from app.status import STATUS
from app.web.body import limited, parse_json, validated
from app.web.contract import OlderAnswer
from app.web.errors import headers_of
from app.web.upload import FORM_OVERHEAD_BYTES, read_form

MAX_METADATA_BYTES = 4096  # PROTOCOL.md
Action = Literal["allow", "review", "deny"]
ACTIONS: dict[VerdictName, Action] = {"bonafide": "allow", "uncertain": "review", "spoof": "deny"}


class Metadata(BaseModel):
    """What `metadata` may say; other fields are kept with the session as they are."""

    model_config = ConfigDict(extra="allow", strict=True)
    session_id: str | None = Field(default=None, min_length=1, max_length=128, pattern=r"^[!-~]+$", description="One is made when there is none.")


class DeepfakeForm(BaseModel):
    """What `POST /v1/voice/deepfake` takes."""

    audio: bytes = Field(description="The audio file, of any kind we read.")
    metadata: Json[Metadata] | None = Field(default=None, description="A JSON object of 4 KiB at most; `session_id` names the session.")


class DeepfakeAnswer(BaseModel):
    score: float = Field(description="P(synthetic) at equal priors.", ge=0, le=1)
    label: Literal["likely_real", "likely_synthetic"] = Field(description="By the sign of the log-likelihood ratio.")
    latency_ms: int = Field(ge=0)
    session_id: str
    recommended_action: Action = Field(description="By the verdict: allow for bonafide, review for uncertain, deny for spoof.")


async def deepfake(request: Request) -> Response:
    """POST /v1/voice/deepfake."""
    began = time.monotonic()
    services: Services = request.app.state.services
    principal: Principal = request.state.principal
    with services.uploads.enter():
        data, metadata = await _read(request, services)
        result = await services.check(data, OLDER_CONFIG, principal=principal)
    done = result.done
    if done.llr is None or done.score is None:
        raise NoSpeech()
    session_id = metadata.session_id or secrets.token_hex(16)
    kept = {**result.content(), "session_id": session_id, "sha256": await asyncio.to_thread(_sha256, data), "metadata": metadata.model_dump()}
    await services.records.finished(principal.owner, session_id, "deepfake", kept)
    answer = DeepfakeAnswer(
        score=done.score,
        label="likely_synthetic" if done.llr > 0 else "likely_real",
        latency_ms=round((time.monotonic() - began) * 1000),
        session_id=session_id,
        recommended_action=ACTIONS.get(done.verdict, "review"),
    )
    return JSONResponse(answer.model_dump())


def refusal(request: Request, exc: VoxproofError) -> Response:
    content = OlderAnswer(detail=exc.message, error=exc.message, code=exc.code)
    return JSONResponse(content.model_dump(), STATUS[exc.code].http, headers_of(exc))


async def _read(request: Request, services: Services) -> tuple[bytes, Metadata]:
    """The two parts of the form. Raises WrongContentType, UploadTooLarge, UploadTooSlow, BadMessage, BadJson, BadField, EmptyAudio."""
    settings = services.settings
    most, seconds = settings.max_upload_bytes, settings.max_upload_seconds
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise WrongContentType("Send multipart/form-data with a file 'audio' and, if you like, a JSON text 'metadata'.")
    try:
        async with asyncio.timeout(seconds), read_form(limited(request, most + FORM_OVERHEAD_BYTES, most), most, max_files=2) as form:
            metadata = await _metadata(form)
            file = form.get("audio")
            if not isinstance(file, UploadFile):
                raise BadMessage("The form needs the audio in a file field named 'audio'.", field="audio")
            data = await file.read()
    except TimeoutError:
        raise UploadTooSlow(f"The upload took longer than {seconds:g} s.") from None
    except ClientDisconnect:
        raise BadMessage("The upload ended before its body did.") from None
    if len(data) > most:
        raise UploadTooLarge(f"An upload may have {most} bytes.")
    if not data:
        raise EmptyAudio()
    return data, metadata


async def _metadata(form: FormData) -> Metadata:
    value = form.get("metadata")
    text = await value.read() if isinstance(value, UploadFile) else (value or "").encode(errors="surrogateescape")
    if not text.strip():
        return Metadata()
    if len(text) > MAX_METADATA_BYTES:
        raise BadField(f"metadata may have {MAX_METADATA_BYTES} bytes.", field="metadata")
    content: Any = parse_json(text)
    if not isinstance(content, dict):
        raise BadField("metadata must be a JSON object.", field="metadata")
    try:
        return validated(content, Metadata)
    except BadField as exc:
        raise BadField(f"metadata.{exc.message}", field=f"metadata.{exc.field}") from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
