"""`POST /v1/detect`: one file in (multipart, raw body or base64 JSON), one result out. Reading the body, with its limits, is here for all uploads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from app.core import wire
from app.core.b64 import decode_base64
from app.core.errors import BadMessage, EmptyAudio, UploadTooLarge, UploadTooSlow
from app.service.services import Services, answer
from app.web.body import limited, parsed
from app.web.contract import AudioJson
from app.web.errors import request_id

FORM_OVERHEAD_BYTES = 64 << 10  # boundaries, headers and small fields around the file
MAX_FIELDS = 16


async def detect(request: Request) -> Response:
    """POST /v1/detect."""
    services: Services = request.app.state.services
    config = wire.config_from_query(request.query_params)
    with services.uploads.enter():
        data = await read_audio(request, services.settings.max_upload_bytes, services.settings.max_upload_seconds)
        result = await services.check(data, config, principal=request.state.principal)
    content = await asyncio.to_thread(answer, result, data)  # it hashes the file
    await services.records.finished(request.state.principal.owner, result.done.session_id, "file", content)
    return JSONResponse({**content, "request_id": request_id(request)})


async def read_audio(request: Request, max_bytes: int, max_seconds: float) -> bytes:
    """The audio file in a request's body. UploadTooLarge as soon as that is known, UploadTooSlow, EmptyAudio, BadMessage, BadJson, BadBase64."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        async with asyncio.timeout(max_seconds):
            if kind == "multipart/form-data":
                data = await _from_form(limited(request, max_bytes + FORM_OVERHEAD_BYTES, max_bytes), max_bytes)
            elif kind == "application/json":
                body = await limited(request, max_bytes * 4 // 3 + FORM_OVERHEAD_BYTES, max_bytes).body()
                data = await asyncio.to_thread(_from_json, body)  # half a second for 50 MB, which live streams would wait for
            else:
                data = await limited(request, max_bytes, max_bytes).body()
    except TimeoutError:
        raise UploadTooSlow(f"The upload took longer than {max_seconds:g} s.") from None
    except ClientDisconnect:
        raise BadMessage("The upload ended before its body did.") from None
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    if not data:
        raise EmptyAudio()
    return data


async def _from_form(request: Request, max_bytes: int) -> bytes:
    async with read_form(request, max_bytes, max_files=1) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadMessage("The form needs the audio in a file field named 'file'.", field="file")
        return await file.read()


@asynccontextmanager
async def read_form(request: Request, max_bytes: int, *, max_files: int) -> AsyncIterator[FormData]:
    """A multipart form in memory: nothing is stored, and names of files are only names. Raises BadMessage."""
    parser = MultiPartParser(request.headers, request.stream(), max_files=max_files, max_fields=MAX_FIELDS)
    parser.spool_max_size = max_bytes + 1  # never onto a disk
    try:
        form = await parser.parse()
    except MultiPartException as exc:
        raise BadMessage(f"The form cannot be read: {exc.message}") from None
    except UnicodeError:  # it declares one of Python's odd charsets: `undefined`, `punycode`
        raise BadMessage("The form cannot be read: its text is not in the charset it declares.") from None
    try:
        yield form
    finally:
        await form.close()


def _from_json(body: bytes) -> bytes:
    return decode_base64(parsed(body, AudioJson).audio_base64, field="audio_base64")


def _too_large(max_bytes: int) -> UploadTooLarge:
    return UploadTooLarge(f"An upload may have {max_bytes} bytes.")
