"""`POST /v1/tokens`: a page's server, or the page itself with a key that was typed in, gets a short-lived token to open streams with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.service.services import Services
from app.service.tokens import DEFAULT_SECONDS, MAX_SECONDS, MIN_SECONDS
from app.web.body import Body, read_json
from app.web.caller import subprotocol_of
from app.web.table import About

MAX_BODY_BYTES = 4096


class TokenOrder(Body):
    expires_in_seconds: Annotated[int, Field(ge=MIN_SECONDS, le=MAX_SECONDS)] = Field(
        default=DEFAULT_SECONDS, description="How long it opens streams. What it has opened goes on after it."
    )
    scopes: Annotated[list[Literal["detect", "stream"]], Field(min_length=1, max_length=2)] | None = Field(
        default=None, description="What it may be used for; by default all that the key may, of these."
    )


class TokenAnswer(BaseModel):
    token: str = Field(description="Not stored, and not shown again.")
    token_type: Literal["Bearer"] = "Bearer"
    expires_at: str = Field(description="RFC 3339, in UTC.", json_schema_extra={"format": "date-time"})
    expires_in_seconds: int
    scopes: list[Literal["detect", "stream"]]
    subprotocol: str = Field(description="What to offer beside `voxproof.v1` when you open a WebSocket.")


async def create(request: Request) -> Response:
    """POST /v1/tokens."""
    services: Services = request.app.state.services
    order = await read_json(request, MAX_BODY_BYTES, TokenOrder)
    token, expires_at, scopes = await services.access.mint(request.state.principal, order.scopes, order.expires_in_seconds)
    answer = {
        "token": token,
        "token_type": "Bearer",
        "expires_at": datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "expires_in_seconds": order.expires_in_seconds,
        "scopes": sorted(scopes),
        "subprotocol": subprotocol_of(token),
    }
    return JSONResponse(answer, 201, {"Cache-Control": "no-store"})


ABOUT = About(
    "Make a browser token",
    "A page must not hold a key: let your server make a token with its key, for the page that asks it, and give that to the page. It opens streams, "
    "by the subprotocol pair `voxproof.v1` and `subprotocol` of the answer, by `?token=`, or by `token` in `start`; over HTTP it goes where a key "
    "goes. It ends by itself, and with its key; a stream it has opened goes on. A token makes no other token.",
    tag="tokens",
    body=TokenOrder,
    answer=TokenAnswer,
    status=201,
    sample={"expires_in_seconds": 60, "scopes": ["stream"]},
    shown={
        "token": "vpt_eyJrIjoi….c2lnbmF0dXJl", "token_type": "Bearer", "expires_at": "2026-01-31T12:00:00Z", "expires_in_seconds": 60,
        "scopes": ["stream"], "subprotocol": "token.dnB0X2V5SnJJam9p…",
    },
)  # fmt: skip
