"""JSON bodies of the native routes, read strictly: `read_json(request, max_bytes, Model)` gives the model or raises what is wrong with the body.

In this order: wrong content type (415), larger than `max_bytes` (413), too slow (408), not UTF-8, not JSON, a name twice, or nested too deeply
(400), not what the model says (422, `field` names the place). Models derive from `Body`, which forbids unknown fields and conversions.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from math import isfinite
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from app.core.errors import BadField, BadJson, BadMessage, BadUtf8, UploadTooLarge, UploadTooSlow, WrongContentType
from app.service.services import Services

MAX_DEPTH = 32  # levels of arrays and objects; what is stored or answered again must not exhaust a stack later


class Body(BaseModel):
    """Base of what a client sends as JSON."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


B = TypeVar("B", bound=BaseModel)


async def read_json(request: Request, max_bytes: int, model: type[B]) -> B:
    """The validated body of a request."""
    check_content_type(request, "application/json")
    return parsed(await read_body(request, max_bytes), model)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body, of `max_bytes` at most. Raises UploadTooLarge as soon as that is known, UploadTooSlow, BadMessage."""
    services: Services = request.app.state.services
    max_seconds = services.settings.max_upload_seconds
    try:
        async with asyncio.timeout(max_seconds):
            return await limited(request, max_bytes, max_bytes).body()
    except TimeoutError:
        raise UploadTooSlow(f"The body took longer than {max_seconds:g} s.") from None
    except ClientDisconnect:
        raise BadMessage("The connection ended before its body did.") from None


def check_content_type(request: Request, *wanted: str) -> str:
    """The type without its parameters, one of `wanted`. Raises WrongContentType."""
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = next((value.strip(' "') for name, _, value in (p.partition("=") for p in parameters.split(";")) if name.strip() == "charset"), "")
    kind = kind.strip()
    if kind not in wanted:
        raise WrongContentType(f"The body must be {' or '.join(wanted)}.")
    if kind == "application/json" and charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise WrongContentType("JSON is sent in UTF-8.")
    return kind


def parsed(data: bytes, model: type[B]) -> B:
    """JSON bytes as a model. Raises BadUtf8, BadJson, BadMessage, BadField."""
    content = parse_json(data)
    if not isinstance(content, dict):
        raise BadMessage("The body must be a JSON object.")
    return validated(content, model)


def validated(content: Any, model: type[B]) -> B:
    """Raises BadField, which names the first field at fault; values are not repeated, for they may be secrets."""
    try:
        return model.model_validate(content)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part)[:64] for part in first["loc"])[:200]
        raise BadField(f"{field or 'The body'}: {first['msg']}.", field=field or None) from None


def parse_json(data: bytes) -> Any:
    """JSON as RFC 8259 has it and nothing more: no NaN, no name twice, no unpaired surrogates, no NUL (which databases refuse), bounded depth."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BadUtf8("The body is not valid UTF-8.") from None
    try:
        content: Any = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as exc:  # JSONDecodeError is one; so is an integer of thousands of digits
        raise BadJson(str(exc) if isinstance(exc, _Refused) else "The body is not valid JSON.") from None
    _check(content)
    return content


class _Refused(ValueError):
    """JSON that some readers take and we do not."""


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise _Refused("The body has a field twice.")
    return content


def _no_number(literal: str) -> Any:
    raise _Refused("NaN and Infinity are not JSON.")


def _finite(text: str) -> float | int:
    """JSON knows one kind of number: 60.0 is 60, wherever a whole one is asked for."""
    value = float(text)
    if not isfinite(value):
        raise _Refused("A number in the body is too large.")
    return int(value) if value.is_integer() and abs(value) <= 1 << 53 else value


def _check(content: Any) -> None:
    todo = [(content, 1)]
    while todo:
        item, depth = todo.pop()
        if isinstance(item, str):
            if "\0" in item or not (item.isascii() or _encodable(item)):
                raise BadJson("A text in the body holds characters that cannot be stored.")
        elif isinstance(item, dict | list):
            if depth > MAX_DEPTH:
                raise _too_deep()
            todo += [(part, depth + 1) for part in (item if isinstance(item, list) else (*item, *item.values()))]


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep() -> BadJson:
    return BadJson(f"The body is nested deeper than {MAX_DEPTH} levels.")


def limited(request: Request, most: int, told: int) -> Request:
    """The same request, whose body cannot be longer than `most` bytes: it is refused by its header, or while it is read."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise UploadTooLarge(f"The body may have {told} bytes.")
    receive: Receive = request.receive
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise UploadTooLarge(f"The body may have {told} bytes.")
        return message

    return Request(request.scope, counted)
