"""`POST /v1/detect`: one file in (multipart, raw body or base64 JSON), one result out. Reading the body, with its limits, is here for all uploads."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive

from app.core import wire
from app.core.b64 import decode_base64
from app.core.errors import BadJson, BadMessage, EmptyAudio, UploadTooLarge, UploadTooSlow
from app.service.services import Services, answer
from app.web.errors import request_id

FORM_OVERHEAD_BYTES = 64 << 10  # boundaries, headers and small fields around the file
MAX_FIELDS = 16


async def detect(request: Request) -> Response:
    """POST /v1/detect."""
    services: Services = request.app.state.services
    config = wire.config_from_query(request.query_params)
    with services.uploads.enter():
        data = await read_audio(request, services.settings.max_upload_bytes, services.settings.max_upload_seconds)
        result = await services.check(data, config)
    content = await asyncio.to_thread(answer, result, data)  # it hashes the file
    return JSONResponse({**content, "request_id": request_id(request)})


async def read_audio(request: Request, max_bytes: int, max_seconds: float) -> bytes:
    """The audio file in a request's body. UploadTooLarge as soon as that is known, UploadTooSlow, EmptyAudio, BadMessage, BadJson, BadBase64."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        async with asyncio.timeout(max_seconds):
            if kind == "multipart/form-data":
                data = await _from_form(_limited(request, max_bytes + FORM_OVERHEAD_BYTES, max_bytes), max_bytes)
            elif kind == "application/json":
                body = await _limited(request, max_bytes * 4 // 3 + FORM_OVERHEAD_BYTES, max_bytes).body()
                data = await asyncio.to_thread(_from_json, body)  # half a second for 50 MB, which live streams would wait for
            else:
                data = await _limited(request, max_bytes, max_bytes).body()
    except TimeoutError:
        raise UploadTooSlow(f"The upload took longer than {max_seconds:g} s.") from None
    except ClientDisconnect:
        raise BadMessage("The upload ended before its body did.") from None
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    if not data:
        raise EmptyAudio()
    return data


def _limited(request: Request, most: int, told: int) -> Request:
    """The same request, whose body cannot be longer than `most` bytes: it is refused by its header, or while it is read."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_large(told)
    receive: Receive = request.receive
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise _too_large(told)
        return message

    return Request(request.scope, counted)


async def _from_form(request: Request, max_bytes: int) -> bytes:
    parser = MultiPartParser(request.headers, request.stream(), max_files=1, max_fields=MAX_FIELDS)
    parser.spool_max_size = max_bytes + 1  # never onto a disk: nothing is stored
    try:
        form = await parser.parse()
    except MultiPartException as exc:
        raise BadMessage(f"The form cannot be read: {exc.message}") from None
    except UnicodeError:  # it declares one of Python's odd charsets: `undefined`, `punycode`
        raise BadMessage("The form cannot be read: its text is not in the charset it declares.") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadMessage("The form needs the audio in a file field named 'file'.", field="file")
        return await file.read()
    finally:
        await form.close()


def _from_json(body: bytes) -> bytes:
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise BadJson("The body is not valid JSON.") from None
    if not isinstance(content, dict) or not isinstance(content.get("audio_base64"), str):
        raise BadMessage("The body needs a string field 'audio_base64'.", field="audio_base64")
    return decode_base64(content["audio_base64"], field="audio_base64")


def _too_large(max_bytes: int) -> UploadTooLarge:
    return UploadTooLarge(f"An upload may have {max_bytes} bytes.")
