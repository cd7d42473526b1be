"""The older contract of seed 002: `POST /detect` and `GET /health`, to the letter: seven fields, its statuses, its texts.

It was a FastAPI application on pydantic 1, and its clients read `detail`: a sentence, or for a body that does not fit a list of `{loc, msg, type}`.
So ours validates with one model and says its complaints in those words. What it did with odd bodies holds as well: of a field that comes
twice the last counts, unknown fields are ignored, a body without a content type is JSON. Line breaks inside the base64 text are fine, even raw
ones, which JSON forbids: the seed's own curl example sends them wherever `base64` wraps its lines.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app import __version__
from app.core.b64 import decode_base64
from app.core.errors import AudioTooLong, AuthorisationExpired, BadBase64, ScopeMissing, Unauthorized, UploadTooLarge, VoxproofError
from app.service.records import iso
from app.service.services import OLDER_CONFIG, Services, TwoClass
from app.status import DETECT_HTTP, STATUS
from app.web.body import read_body
from app.web.errors import headers_of

Language = Literal["tamil", "english", "hindi", "malayalam", "telugu"]

LEAST_SECONDS = 1.0
OVERHEAD_BYTES = 64 << 10
# Four characters for three bytes; each line of 76 may end in `\r\n`, which JSON writes with four.
WRAPPED = 4 / 3 * 80 / 76

INVALID_KEY = "Invalid API Key"
UNREADABLE = "There was an error parsing the body"

# pydantic 2's name of a complaint -> pydantic 1's words for it
WORDS: Mapping[str, tuple[str, str]] = {
    "missing": ("field required", "value_error.missing"),
    "literal_error": ("unexpected value; permitted: {permitted}", "value_error.const"),
    "none": ("none is not an allowed value", "type_error.none.not_allowed"),
    "model_type": ("value is not a valid dict", "type_error.dict"),
}
NO_TEXT = ("str type expected", "type_error.str")


class DetectBody(BaseModel):
    """What `POST /detect` takes."""

    audio_base64: str = Field(description="The audio file (MP3, or any other kind we read) in base64; a data-URL and line breaks are fine.")
    language: Language = Field(description="The language spoken; it is answered again and changes nothing, since the detector knows no languages.")


class DetectAnswer(BaseModel):
    """What it answers: these seven fields."""

    prediction: Literal["AI_GENERATED", "HUMAN"] = Field(description="By the sign of the log-likelihood ratio: this contract knows no `uncertain`.")
    confidence: float = Field(description="P(that prediction) at equal priors.", ge=0.5, le=1)
    language: Language
    processing_time_ms: float = Field(ge=0)
    timestamp: str = Field(description="UTC, with milliseconds.", pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
    audio_duration_seconds: float
    model_version: str


class Complaint(BaseModel):
    """One thing that is wrong with a body."""

    loc: list[str | int]
    msg: str
    type: str


class Refusal(BaseModel):
    """An error of this contract."""

    detail: str | list[Complaint]


class Health(BaseModel):
    status: Literal["healthy"] = "healthy"
    timestamp: str
    version: str


class _Unfit(Exception):
    """The body is not what the model says; `complaints` are its answer."""

    def __init__(self, complaints: list[Complaint]) -> None:
        self.complaints = complaints


async def detect(request: Request) -> Response:
    """POST /detect."""
    began = time.monotonic()
    services: Services = request.app.state.services
    settings = services.settings
    with services.uploads.enter():
        most = int(settings.compat_max_bytes * WRAPPED) + OVERHEAD_BYTES
        body = await read_body(request, most)
        try:
            language, data = await asyncio.to_thread(_read, body, request.headers.get("content-type"))
        except _Unfit as exc:
            return _answer(422, Refusal(detail=exc.complaints))
        except (ValueError, RecursionError):  # not UTF-8, nested too deeply, a number of thousands of digits
            return _answer(400, Refusal(detail=UNREADABLE))
        if len(data) > settings.compat_max_bytes:
            raise UploadTooLarge()
        try:
            # The text says the length to a tenth of a second, so that is what is judged: an MP3 of a minute is a few milliseconds longer.
            result = await services.check(
                data, OLDER_CONFIG, max_seconds=settings.compat_max_seconds + 0.05, principal=request.state.principal
            )
            seconds = result.done.duration_ms / 1000
        except AudioTooLong:
            return _wrong_length(settings.compat_max_seconds, await _seconds_of(services, data))
    if round(seconds, 1) < LEAST_SECONDS:
        return _wrong_length(settings.compat_max_seconds, f"{seconds:.1f}s")
    judged = TwoClass.of(result)
    return _answer(
        200,
        DetectAnswer(
            prediction="AI_GENERATED" if judged.raw_score > 0 else "HUMAN",
            confidence=judged.confidence,
            language=language,
            processing_time_ms=round((time.monotonic() - began) * 1000, 2),
            timestamp=_now(),
            audio_duration_seconds=seconds,
            model_version=services.detector.model.info.version,
        ),
    )


async def health(request: Request) -> Response:
    """GET /health."""
    return _answer(200, Health(timestamp=_now(), version=__version__))


def refusal(request: Request, exc: VoxproofError) -> Response:
    """An error of ours as this contract says it."""
    detail = exc.message
    if exc.code in (Unauthorized.code, AuthorisationExpired.code, ScopeMissing.code):
        detail = INVALID_KEY
    elif exc.code == UploadTooLarge.code:
        most = request.app.state.services.settings.compat_max_bytes
        detail = f"Audio file exceeds the size limit of {most / (1 << 20):g} MB"
    return _answer(DETECT_HTTP.get(exc.code, STATUS[exc.code].http), Refusal(detail=detail), headers_of(exc))


def _read(body: bytes, content_type: str | None) -> tuple[Language, bytes]:
    """Language and audio. Raises _Unfit, ValueError and RecursionError."""
    if not body:
        raise _Unfit([Complaint(loc=["body"], msg=WORDS["missing"][0], type=WORDS["missing"][1])])
    content: Any = body  # of another type it is bytes, and no dict
    if content_type is None or _is_json(content_type):
        try:
            content = json.loads(body, strict=False)
        except json.JSONDecodeError as exc:
            raise _Unfit([Complaint(loc=["body", exc.pos], msg=str(exc), type="value_error.jsondecode")]) from None
    try:
        asked = DetectBody.model_validate(content)
    except ValidationError as exc:
        raise _Unfit([_in_older_words(each) for each in exc.errors(include_url=False)]) from None
    try:
        data = decode_base64(asked.audio_base64, field="audio_base64")
    except BadBase64:
        data = b""
    if not data:  # no audio in base64 is none either
        raise _Unfit([Complaint(loc=["body", "audio_base64"], msg="Invalid base64 encoding", type="value_error")])
    return asked.language, data


def _is_json(content_type: str) -> bool:
    main, _, sub = content_type.partition(";")[0].strip().lower().partition("/")
    return main == "application" and (sub == "json" or sub.endswith("+json"))


def _in_older_words(error: Any) -> Complaint:
    kind = "none" if error["loc"] and error["type"] != "missing" and error["input"] is None else error["type"]
    message, name = WORDS.get(kind, NO_TEXT)
    permitted = ", ".join(f"'{each}'" for each in Language.__args__)  # type: ignore[attr-defined]
    return Complaint(loc=["body", *error["loc"]], msg=message.format(permitted=permitted), type=name)


async def _seconds_of(services: Services, data: bytes) -> str:
    try:
        return f"{await services.seconds_of(data):.1f}s"
    except AudioTooLong:
        return f"more than {services.settings.max_audio_seconds:.1f}s"


def _wrong_length(most_seconds: float, got: str) -> Response:
    return _answer(400, Refusal(detail=f"Audio duration must be between {LEAST_SECONDS:g}-{most_seconds:g} seconds. Got {got}"))


def _now() -> str:
    return iso(time.time()) or ""


def _answer(status: int, content: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(content.model_dump(), status, headers)
