"""Errors -> HTTP answers. One border: every exception of a route becomes problem+json here, with the code and status of `app.status`.

The older contracts keep their own shapes and make them in `compat`.
"""

from __future__ import annotations

import logging
import secrets
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.core.errors import Internal, MethodNotAllowed, NotFound, PeerError, VoxproofError
from app.status import STATUS

log = logging.getLogger(__name__)


def request_id(request: Request) -> str:
    """One id a request, made on first use: it goes into answers and logs."""
    if not hasattr(request.state, "request_id"):
        request.state.request_id = secrets.token_hex(8)
    return str(request.state.request_id)


def problem(request: Request, exc: VoxproofError) -> Response:
    """RFC 9457 problem details."""
    status = STATUS[exc.code]
    content = {
        "type": f"urn:voxproof:error:{exc.code}",
        "title": HTTPStatus(status.http).phrase,
        "status": status.http,
        "detail": exc.message,
        "code": exc.code,
        "retryable": status.retryable,
        "request_id": request_id(request),
    }
    if exc.field is not None:
        content["field"] = exc.field
    if exc.retry_after_ms is not None:
        content["retry_after_ms"] = exc.retry_after_ms
    return JSONResponse(content, status.http, headers_of(exc), media_type="application/problem+json")


def headers_of(exc: VoxproofError) -> dict[str, str]:
    """What an error says in its headers, whatever the shape of its body."""
    headers = {}
    if exc.retry_after_ms is not None:
        headers["Retry-After"] = str(-(-exc.retry_after_ms // 1000))
    if STATUS[exc.code].http == HTTPStatus.REQUEST_TIMEOUT:
        headers["Connection"] = "close"  # the rest of the body may never come
    return headers


async def on_voxproof_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, VoxproofError)
    if not isinstance(exc, PeerError):
        log.warning("%s %s: %s (%s)", request.method, request.url.path, exc.code, exc.message)
    return problem(request, exc)


async def on_http_exception(request: Request, exc: Exception) -> Response:
    """Starlette's own refusals (no route, wrong method) in our shape."""
    assert isinstance(exc, HTTPException)
    known: dict[int, VoxproofError] = {404: NotFound(), 405: MethodNotAllowed()}
    if exc.status_code in known:
        answer = problem(request, known[exc.status_code])
        answer.headers.update(exc.headers or {})
        return answer
    return JSONResponse(
        {"type": "about:blank", "title": HTTPStatus(exc.status_code).phrase, "status": exc.status_code, "detail": exc.detail},
        exc.status_code, exc.headers, media_type="application/problem+json",
    )  # fmt: skip


async def on_bug(request: Request, exc: Exception) -> Response:
    """Anything else is our bug: the log has the trace, the peer the request id."""
    log.error("request %s failed", request_id(request), exc_info=exc)
    return problem(request, Internal())
