"""Cases as files: JSON, JSON lines, CSV, and HTML to print. All are downloads of things that strangers wrote: nothing in them may run anywhere."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import ChainableUndefined, Environment, Template
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.service import report_sheet
from app.service.records import iso
from app.service.reports import Case
from app.web.report_models import whole

TYPES = {"json": "application/json", "jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8", "html": "text/html; charset=utf-8"}
POLICY = "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
PRIVATE = {
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
}  # fmt: skip


def file_of(request: Request, case: Case, events: Sequence[Mapping[str, Any]], wanted: str) -> Response:
    """One case."""
    nonce = secrets.token_urlsafe(16)
    if wanted == "json":
        text = json.dumps({**whole(case), "events": list(events)}, ensure_ascii=False, indent=1)
    elif wanted == "csv":
        text = report_sheet.header() + report_sheet.line(case)
    else:
        page = _Page(_template(request), f"Suspicious-activity report {case.id}", nonce)
        text = page.head() + page.case(case, events) + page.foot()
    return Response(text, media_type=TYPES[wanted], headers=_headers(case.id, wanted, nonce))


def files_of(request: Request, first: Case | None, others: AsyncIterator[Case], wanted: str) -> Response:
    """Any number of cases, made while they are sent."""
    nonce = secrets.token_urlsafe(16)
    page = _Page(_template(request), "Suspicious-activity reports", nonce)

    def piece(case: Case) -> str:
        if wanted == "csv":
            return report_sheet.line(case)
        if wanted == "html":
            return page.case(case, ())
        return json.dumps(whole(case), ensure_ascii=False, separators=(",", ":")) + "\n"

    async def text() -> AsyncIterator[str]:
        if wanted == "csv":
            yield report_sheet.header()
        elif wanted == "html":
            yield page.head()
        if first is not None:
            yield piece(first)
        async for case in others:
            yield piece(case)
        if wanted == "html":
            yield page.foot()

    return StreamingResponse(text(), media_type=TYPES[wanted], headers=_headers("reports", wanted, nonce))


class _Page:
    """The printable page, in pieces."""

    def __init__(self, template: Template, title: str, nonce: str) -> None:
        self._template, self._title, self._nonce = template, title, nonce

    def head(self) -> str:
        return self._template.render(part="head", title=self._title, nonce=self._nonce, exported_at=iso(time.time()))

    def case(self, case: Case, events: Sequence[Mapping[str, Any]]) -> str:
        times = {"created_at": iso(case.created_at), "expires_at": iso(case.expires_at)}
        metadata = json.dumps(case.metadata, ensure_ascii=False, indent=1) if case.metadata else ""
        return self._template.render(part="case", case=case, times=times, metadata=metadata, events=events)

    def foot(self) -> str:
        return self._template.render(part="foot")


def _template(request: Request) -> Template:
    return _lenient(request.app.state.templates).get_template("report_case.html")


@lru_cache(maxsize=4)
def _lenient(environment: Environment) -> Environment:
    """Evidence is as old as its case: what a former version did not record is left blank."""
    return environment.overlay(undefined=ChainableUndefined)


def _headers(name: str, wanted: str, nonce: str) -> dict[str, str]:
    headers = {**PRIVATE, "Content-Disposition": f'attachment; filename="{name}.{wanted}"'}
    return {**headers, "Content-Security-Policy": POLICY.format(nonce=nonce)} if wanted == "html" else headers
