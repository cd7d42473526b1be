"""One row a route: path, handler, the scope it needs, the shape of its errors, what the documentation says. `routes` fills the table in.

`guard` turns rows into Starlette routes; `docs` turns them into OpenAPI and AsyncAPI.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from app.core.errors import VoxproofError
from app.service.access import Scope
from app.web.errors import problem

Handler = Callable[[Request], Awaitable[Response]]
Refuse = Callable[[Request, VoxproofError], Response]


@dataclass(frozen=True)
class About:
    """What the documentation says of a route. Models are the pydantic classes that validate."""

    summary: str
    description: str = ""
    tag: str = "native"
    body: Any = None
    answer: Any = None
    status: int = 200
    errors: tuple[type[VoxproofError], ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Endpoint:
    method: str
    path: str
    handler: Handler
    scope: Scope | None  # None: open to all
    about: About | None = None
    refuse: Refuse = problem
    allowance: str = "requests"  # the limits it counts against, a name in `service.quotas`; "" for none


@dataclass(frozen=True)
class Channel:
    """A WebSocket. Its handler admits by itself, since a refusal has to be spoken after the handshake."""

    path: str
    handler: Callable[[WebSocket], Awaitable[None]]
    scope: Scope
    about: About | None = None
