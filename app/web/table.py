"""One row a route: path, handler, the scope it needs, the shape of its errors, what the documentation says. `routes` fills the table in.

`guard` turns rows into Starlette routes; `docs` turns them into OpenAPI and AsyncAPI.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from app.core.errors import VoxproofError
from app.service.access import Need, Scope
from app.web.errors import problem

Handler = Callable[[Request], Awaitable[Response]]
Refuse = Callable[[Request, VoxproofError], Response]


@dataclass(frozen=True)
class About:
    """What the documentation says of a route, beside what the row itself says. Models are the pydantic classes that validate, never copies.

    `body` and `answer` are a model (JSON), a dict of content type -> model (`bytes` for anything that is no JSON, `str` for text), or None for
    no body. What admission, limits and the body's reader raise is added by itself, with the statuses and shapes the row's `refuse` gives them:
    `errors` names only what the handler raises.
    """

    summary: str
    description: str = ""  # CommonMark: paragraphs and `code`
    tag: str = "native"  # a key of `about.TAGS`
    path: type[BaseModel] | None = None  # fields: the {parameters} of the path
    query: type[BaseModel] | None = None  # fields: the parameters of the query; others are then refused
    omit: frozenset[str] = frozenset()  # fields of these that are not for this route
    headers: type[BaseModel] | None = None  # fields: the headers it reads, by alias
    body: Any = None
    answer: Any = None
    status: int = 200
    answers: Mapping[int, Any] = field(default_factory=dict)  # further good answers, or refusals of another shape
    errors: tuple[type[VoxproofError], ...] = ()
    refusal: Any = None  # model of the errors' body, where `refuse` is another than `problem`
    examples: tuple[str, ...] = ()  # names of files in web/examples, without their endings
    sample: Any = None  # a body to show, and to send first when the route is tested
    sample_query: str = ""  # "?...", for the example
    shown: Any = None  # an answer to show
    deprecated: bool = False
    extra: dict[str, Any] = field(default_factory=dict)  # merged into the OpenAPI operation


@dataclass(frozen=True)
class Talk:
    """What the documentation says of a WebSocket: `says` are the models of the server's messages, `hears` the client's."""

    summary: str
    description: str = ""
    query: type[BaseModel] | None = None
    says: tuple[type, ...] = ()
    hears: tuple[type, ...] = ()
    binary: str = ""  # what a binary message is, "" when there are none
    errors: tuple[type[VoxproofError], ...] = ()
    examples: tuple[str, ...] = ()
    shown: tuple[tuple[Literal["→", "←"], Any], ...] = ()  # a conversation to show: what the client says, what it hears


@dataclass(frozen=True)
class Endpoint:
    method: str
    path: str
    handler: Handler
    scope: Need  # None: open to all; "any": any key will do
    about: About | None = None
    refuse: Refuse = problem
    allowance: str = "requests"  # the limits it counts against, a name in `service.quotas`; "" for none


@dataclass(frozen=True)
class Channel:
    """A WebSocket. Its handler admits by itself, since a refusal has to be spoken after the handshake."""

    path: str
    handler: Callable[[WebSocket], Awaitable[None]]
    scope: Scope
    about: Talk | None = None
