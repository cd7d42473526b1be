"""`/v1/reports/sar`: suspicious-activity reports as seed 000's client files them; reading and exporting them. All of it needs the scope `reports`.

A report is JSON, or the same fields as a form with a file `audio`. Nothing here is cached anywhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from app.core.errors import (
    BadField,
    BadMessage,
    EmptyAudio,
    IdempotencyConflict,
    NotFound,
    ServerFull,
    UnsupportedAudio,
    UploadTooLarge,
    UploadTooSlow,
)
from app.service.access import Principal
from app.service.reports import Filing, Reports, Sound
from app.service.services import Services
from app.settings import Settings
from app.web.body import check_content_type, limited, parse_json, parsed, read_body, validated
from app.web.report_files import file_of, files_of
from app.web.report_models import (
    CaseAnswer,
    CaseBrief,
    CaseExport,
    CaseExported,
    CaseList,
    CasePath,
    ListExport,
    ReportAnswer,
    ReportBody,
    ReportForm,
    ReportHeaders,
    ReportPage,
    whole,
)
from app.web.table import About
from app.web.upload import FORM_OVERHEAD_BYTES, read_form

PATH = "/v1/reports/sar"
PRIVATE = {"Cache-Control": "no-store"}
FIELDS = ("session_id", "decision", "reason", "metadata")  # of the form, beside `audio`


async def file(request: Request) -> Response:
    """POST /v1/reports/sar: 201 for a new case, 200 for one that was filed before."""
    settings = _services(request).settings
    key = validated({name: request.headers[name] for name in ("Idempotency-Key",) if name in request.headers}, ReportHeaders).idempotency_key
    if check_content_type(request, "application/json", "multipart/form-data") == "application/json":
        return await _filed(request, key, parsed(await read_body(request, settings.max_report_bytes), ReportBody), None)
    with _reports(request).recordings.enter():
        return await _filed(request, key, *await _from_form(request, settings))


async def _filed(request: Request, key: str | None, report: ReportBody, sound: Sound | None) -> Response:
    settings = _services(request).settings
    metadata = report.metadata or {}
    if not report.reason.strip() or len(report.reason) > settings.max_report_reason_chars:
        raise BadField(f"reason: give one, of {settings.max_report_reason_chars} characters at most.", field="reason")
    if len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode()) > settings.max_report_metadata_bytes:
        raise BadField(f"metadata: it may have {settings.max_report_metadata_bytes} bytes.", field="metadata")
    filing = Filing(report.session_id, report.decision, report.reason, metadata)
    case, new = await _reports(request).file(_principal(request), filing, sound, key)
    headers = {**PRIVATE, "Location": f"{request.scope.get('root_path', '')}{PATH}/{case.id}"}
    return JSONResponse(ReportAnswer(case_id=case.id, session_id=case.session_id).model_dump(), 201 if new else 200, headers)


async def listed(request: Request) -> Response:
    """GET /v1/reports/sar."""
    asked = validated(dict(request.query_params), ReportPage)
    found, cursor = await _reports(request).page(_principal(request), asked.filter(), asked.cursor, asked.limit)
    return JSONResponse(CaseList(cases=[CaseBrief.of(case) for case in found], next_cursor=cursor).model_dump(), headers=PRIVATE)


async def one(request: Request) -> Response:
    """GET /v1/reports/sar/{case_id}."""
    reports = _reports(request)
    case = await reports.open(_principal(request), request.path_params["case_id"], "read")
    return JSONResponse({**whole(case), "events": await reports.events(case)}, headers=PRIVATE)


async def audio(request: Request) -> Response:
    """GET /v1/reports/sar/{case_id}/audio."""
    case_id = request.path_params["case_id"]
    data = await _reports(request).sound(_principal(request), case_id)
    # Whatever it says it is, no browser is to show it.
    headers = {**PRIVATE, "Content-Disposition": f'attachment; filename="{case_id}.audio"', "X-Content-Type-Options": "nosniff"}
    return Response(data, media_type="application/octet-stream", headers=headers)


async def export_one(request: Request) -> Response:
    """GET /v1/reports/sar/{case_id}/export."""
    wanted = validated(dict(request.query_params), CaseExport).format
    reports = _reports(request)
    case = await reports.open(_principal(request), request.path_params["case_id"], "exported", wanted)
    return file_of(request, case, await reports.events(case), wanted)


async def export_all(request: Request) -> Response:
    """GET /v1/reports/sar/export."""
    asked = validated(dict(request.query_params), ListExport)
    cases = _reports(request).every(_principal(request), asked.filter(), asked.format)
    first = await anext(cases, None)  # what fails, fails before there is an answer
    return files_of(request, first, cases, asked.format)


async def _from_form(request: Request, settings: Settings) -> tuple[ReportBody, Sound | None]:
    """Raises UploadTooLarge, UploadTooSlow, BadMessage, BadJson, BadField, EmptyAudio."""
    most, seconds = settings.max_upload_bytes, settings.max_upload_seconds
    body = limited(request, most + settings.max_report_bytes + FORM_OVERHEAD_BYTES, most)
    try:
        async with asyncio.timeout(seconds), read_form(body, most, max_files=1) as form:
            report = _fields(form, settings.max_report_bytes)
            sound = await _sound(form.get("audio"), most)
    except TimeoutError:
        raise UploadTooSlow(f"The upload took longer than {seconds:g} s.") from None
    except ClientDisconnect:
        raise BadMessage("The upload ended before its body did.") from None
    return report, sound


def _fields(form: FormData, most: int) -> ReportBody:
    seen: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name == "audio" and name not in seen:
            seen[name] = None
            continue
        if name not in FIELDS or name in seen or not isinstance(value, str):
            raise BadField("The form has a field that is not known, stands there twice, or is of the wrong kind.", field=name[:64])
        try:
            data = value.encode()
        except UnicodeEncodeError:
            raise BadField("The field is not valid UTF-8.", field=name) from None
        if len(data) > most or "\0" in value:
            raise BadField(f"The field is longer than {most} bytes, or holds a NUL.", field=name)
        seen[name] = parse_json(data) if name == "metadata" and data.strip() else value
    seen.pop("audio", None)
    return validated({name: value for name, value in seen.items() if value != "" or name != "metadata"}, ReportBody)


async def _sound(file: UploadFile | str | None, most: int) -> Sound | None:
    if file is None:
        return None
    if not isinstance(file, UploadFile):
        raise BadField("audio must be a file.", field="audio")
    data = await file.read()
    if len(data) > most:
        raise UploadTooLarge(f"A recording may have {most} bytes.")
    if not data:
        raise EmptyAudio(field="audio")
    return Sound(data, await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest()))


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _reports(request: Request) -> Reports:
    return _services(request).reports


def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


_SAMPLE = {"session_id": "session-123", "decision": "review", "reason": "Suspicious activity detected", "metadata": {"channel": "ivr"}}
_FILED = {"status": "filed", "case_id": "case_5f2b9c0d1e3a4b6c7d8e9f01", "session_id": "session-123"}
_FILES = {"application/json": CaseExported, "text/csv": str, "text/html": str}

FILE = About(
    "File a report",
    "Files a suspicious-activity report about a session, with what is known of it now as evidence: verdicts, segments, hashes and the detector's "
    "version. No audio is kept unless you send it, as a file `audio` of a form with the same fields. The same report again gives the same case "
    "(200 instead of 201). A session that is not known here, or is somebody else's, is no reason to refuse a report.",
    tag="reports", headers=ReportHeaders, body={"application/json": ReportBody, "multipart/form-data": ReportForm}, answer=ReportAnswer, status=201,
    answers={200: ReportAnswer}, errors=(IdempotencyConflict, UnsupportedAudio, EmptyAudio, ServerFull), sample=_SAMPLE, shown=_FILED,
)  # fmt: skip
LIST = About("List reports", "Pages of cases, newest first, of the owner of the key.", tag="reports", query=ReportPage, answer=CaseList)
READ = About(
    "Read a report", "A case with its evidence, and who had it in hand. That you read it is written down, too.",
    tag="reports", path=CasePath, answer=CaseAnswer, errors=(NotFound,),
)  # fmt: skip
AUDIO = About(
    "Get a report's recording", tag="reports", path=CasePath, answer={"application/octet-stream": bytes}, errors=(NotFound,),
)  # fmt: skip
EXPORT = About(
    "Export a report", "As JSON, a CSV row, or a page to print.", tag="reports", path=CasePath, query=CaseExport, answer=_FILES, errors=(NotFound,),
)  # fmt: skip
EXPORT_ALL = About(
    "Export reports", "All cases that the filter lets through, newest first. In CSV, texts that a spreadsheet would run have an apostrophe in front.",
    tag="reports", query=ListExport, answer={"application/jsonl": str, "text/csv": str, "text/html": str},
)  # fmt: skip
