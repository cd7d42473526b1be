"""Errors -> HTTP answers. One border: every exception of a route becomes problem+json here, with the code and status of `app.status`.

The older contracts keep their own shapes and make them in `compat`.
"""

from __future__ import annotations

import logging
import secrets
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.core.errors import Internal, MethodNotAllowed, NotFound, PeerError, VoxproofError
from app.status import STATUS

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"


def request_id(request: Request) -> str:
    """One id a request, made on first use: it goes into answers and logs."""
    if not hasattr(request.state, "request_id"):
        request.state.request_id = secrets.token_hex(8)
    return str(request.state.request_id)


class Problem(BaseModel):
    """RFC 9457 problem details, with the code of the errors table."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="Where this code is explained: a reference relative to this server.", json_schema_extra={"format": "uri-reference"})
    title: str = Field(description="The HTTP status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this very request, in one sentence for people.")
    code: str = Field(description="The code, for programs.")
    retryable: bool = Field(description="Trying again, unchanged, may help.")
    request_id: str = Field(description="Names this request in our logs.")
    field: str | None = Field(default=None, description="The field or parameter at fault, dotted; absent where none is.")
    retry_after_ms: int | None = Field(default=None, description="Wait this long before you try again; absent where waiting does not help.")


def mounted_at(request: Request) -> str:
    """The path this application is mounted at; under `/static`, `root_path` is longer."""
    return str(request.scope.get("app_root_path", request.scope.get("root_path", "")))


def problem(request: Request, exc: VoxproofError) -> Response:
    """RFC 9457 problem details."""
    request.state.error_code = exc.code  # for `observe`
    status = STATUS[exc.code]
    content = Problem(
        type=f"{mounted_at(request)}/docs#error-{exc.code}",
        title=HTTPStatus(status.http).phrase,
        status=status.http,
        detail=exc.message,
        code=exc.code,
        retryable=status.retryable,
        request_id=request_id(request),
        field=exc.field,
        retry_after_ms=exc.retry_after_ms,
    )
    return JSONResponse(content.model_dump(exclude_none=True), status.http, headers_of(exc), media_type=PROBLEM)


def headers_of(exc: VoxproofError) -> dict[str, str]:
    """What an error says in its headers, whatever the shape of its body."""
    headers = {}
    if exc.retry_after_ms is not None:
        headers["Retry-After"] = str(-(-exc.retry_after_ms // 1000))
    if STATUS[exc.code].http == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if STATUS[exc.code].http == HTTPStatus.REQUEST_TIMEOUT:
        headers["Connection"] = "close"  # the rest of the body may never come
    return headers


async def on_voxproof_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, VoxproofError)
    if not isinstance(exc, PeerError):
        log.warning("%s %s: %s (%s)", request.method, request.url.path, exc.code, exc.message)
    return problem(request, exc)


async def on_http_exception(request: Request, exc: Exception) -> Response:
    """Starlette's own refusals (no route, static files) in our shape. A path of the table that lacks the method is answered by `resource`."""
    assert isinstance(exc, HTTPException)
    known: dict[int, VoxproofError] = {401: NotFound(), 404: NotFound(), 405: MethodNotAllowed()}  # 401: a static file we may not read
    answer = problem(request, known.get(exc.status_code) or (PeerError() if exc.status_code < 500 else Internal()))
    if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = "GET, HEAD"  # static files, the only ones that come here
    answer.headers.update(exc.headers or {})
    return answer


async def on_bug(request: Request, exc: Exception) -> Response:
    """Anything else is our bug: the log has the trace, the peer the request id."""
    log.error("request %s failed", request_id(request), exc_info=exc)
    return problem(request, Internal())
