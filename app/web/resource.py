"""One path of the table with all its methods: picks the row, says `Allow`, refuses other methods in the path's own shape. Made by `routes`."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.errors import MethodNotAllowed, UpgradeRequired
from app.web.errors import problem
from app.web.guard import guarded
from app.web.table import Endpoint


class Resource:
    """The ASGI application behind a path."""

    def __init__(self, rows: Sequence[Endpoint]) -> None:
        self.rows = tuple(rows)
        self._handlers = {row.method: guarded(row) for row in rows}
        if "GET" in self._handlers:
            self._handlers["HEAD"] = self._handlers["GET"]
        self.allow = ", ".join(sorted({*self._handlers, "OPTIONS"}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        handler = self._handlers.get(request.method)
        if handler is not None:
            response = await handler(request)
        elif request.method == "OPTIONS":
            response = Response(status_code=204, headers={"Allow": self.allow})
        else:
            response = self.rows[0].refuse(request, MethodNotAllowed())
            response.headers["Allow"] = self.allow
        await response(scope, receive, send)


async def upgrade(request: Request) -> Response:
    """The answer to a plain request where a WebSocket is spoken."""
    response = problem(request, UpgradeRequired())
    response.headers["Upgrade"] = "websocket"
    return response
