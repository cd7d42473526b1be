"""`/v1/webhooks`: an owner registers addresses that hear of its sessions (Standard Webhooks). The secret is told once, when one is made.

Scope `stream`: whoever may open sessions may hear of them, and only of its owner's; browser tokens may not.
"""

from __future__ import annotations

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.core.errors import ScopeMissing
from app.core.hooks import Event
from app.service.access import Principal
from app.service.records import iso
from app.service.services import Services
from app.store import webhook_rows
from app.web.body import Body, read_json

MAX_BODY_BYTES = 8192


class WebhookBody(Body):
    """What `POST /v1/webhooks` takes."""

    url: str = Field(description="Where to send events: https, on the public internet.", min_length=1, max_length=2048)
    events: list[Event] = Field(description="What to hear of.", min_length=1, max_length=16)


class WebhookInfo(BaseModel):
    """A webhook as its owner sees it; the secret is shown only when it is made."""

    id: str
    url: str
    events: list[Event]
    enabled: bool = Field(description="False when it failed for days or answered 410; a test that is taken switches it on again.")
    created_at: str
    last_at: str | None = Field(description="When it was last tried.")
    last_status: int | None = Field(description="The HTTP status it answered then; 0 when there was no answer.")
    failing_since: str | None = Field(description="The first failure that no success has followed.")

    @classmethod
    def of(cls, row: webhook_rows.Webhook) -> WebhookInfo:
        return cls(
            id=row.id, url=row.url, events=list(row.events), enabled=row.enabled, created_at=iso(row.created_at) or "",  # type: ignore[arg-type]
            last_at=iso(row.last_at), last_status=row.last_status, failing_since=iso(row.failing_since),
        )  # fmt: skip


class WebhookMade(WebhookInfo):
    secret: str = Field(description="`whsec_` and base64: what the signatures are made with. It is not shown again.")


class WebhookList(BaseModel):
    webhooks: list[WebhookInfo]


class WebhookTested(BaseModel):
    delivered: bool
    status: int = Field(description="The HTTP status that came back; 0 when none did.")
    problem: str | None = Field(description="Why it was not delivered.")


async def create(request: Request) -> Response:
    """POST /v1/webhooks."""
    owner = _owner(request)
    asked = await read_json(request, MAX_BODY_BYTES, WebhookBody)
    made = await _services(request).webhooks.register(owner, asked.url, asked.events)
    content = WebhookMade(**WebhookInfo.of(made).model_dump(), secret=made.secret)
    return JSONResponse(content.model_dump(), 201, {"Cache-Control": "no-store"})


async def listed(request: Request) -> Response:
    """GET /v1/webhooks."""
    rows = await _services(request).webhooks.of_owner(_owner(request))
    return JSONResponse(WebhookList(webhooks=[WebhookInfo.of(row) for row in rows]).model_dump())


async def delete(request: Request) -> Response:
    """DELETE /v1/webhooks/{id}."""
    await _services(request).webhooks.remove(_owner(request), request.path_params["id"])
    return Response(status_code=204)


async def test(request: Request) -> Response:
    """POST /v1/webhooks/{id}/test."""
    reply = await _services(request).webhooks.test(_owner(request), request.path_params["id"])
    return JSONResponse(WebhookTested(delivered=reply.taken, status=reply.status, problem=reply.problem or None).model_dump())


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _owner(request: Request) -> str:
    principal: Principal = request.state.principal
    if principal.by_token:  # it opens streams for one page, and must not show that page what the others say
        raise ScopeMissing("A token cannot manage webhooks; send the key.")
    return principal.owner
