"""Around every request and socket: its id, its time in the metrics, its span, its line in the log. Starlette's middleware, so that what no route
answers is seen too. Paths and queries stay out: a route is named by its template, and whatever matches none is `other`.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import logs
from app.service.services import Services
from app.traces import Span, Traces

OTHER = "other"
CONFIDENTIAL = "/v1/reports/"  # that somebody of that scope was here stands in the case itself, and nowhere else, so nothing is traced
PROBES = {"/livez", "/readyz", "/startupz", "/metrics", "/health"}
GIVEN_UP = 499  # the client left before there was an answer; nginx's number for it
REQUEST_ID = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

log = logging.getLogger("app.web.access")


class Observed:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        services: Services = scope["app"].state.services
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        asked = headers.get(REQUEST_ID, "")
        state["request_id"] = asked if _ID.fullmatch(asked) else secrets.token_hex(8)
        logs.bind(request_id=state["request_id"])
        serve = _Request if scope["type"] == "http" else _Socket
        watched = serve(services, scope)
        traces = Traces() if scope["path"].startswith(CONFIDENTIAL) else services.traces
        with traces.span(watched.method, headers, serves=True) as span:
            try:
                await self._app(scope, watched.receiving(receive), watched.sending(send))
            except Exception:
                watched.failed()
                raise
            finally:
                watched.over(span)


class _Watched:
    def __init__(self, services: Services, scope: Scope) -> None:
        self._services, self._scope, self._began = services, scope, time.monotonic()
        self.method = str(scope.get("method", "GET"))
        self.status = 0

    @property
    def route(self) -> str:
        return str(getattr(self._scope.get("route"), "path", "")) or OTHER

    @property
    def confidential(self) -> bool:
        """Whether not even a number may tell of it. A request that was not admitted is counted and logged as any other."""
        return self.route.startswith(CONFIDENTIAL) and "principal" in self._scope["state"]

    def receiving(self, receive: Receive) -> Receive:
        return receive

    def sending(self, send: Send) -> Send:
        async def seen(message: Message) -> None:
            self.sent(message)
            await send(message)

        return seen

    def failed(self) -> None:
        """A bug: whoever stands further out answers, or closes."""
        self.status = self.status or 500

    def sent(self, message: Message) -> None:
        raise NotImplementedError

    def over(self, span: Span | None) -> None:
        raise NotImplementedError

    def _start(self, message: Message) -> None:
        self.status = int(message["status"])
        headers = MutableHeaders(scope=message)
        headers.setdefault(REQUEST_ID, self._scope["state"]["request_id"])
        if self._services.draining:
            headers["Connection"] = "close"  # the next request finds another server

    def _count(self, seconds: float) -> None:
        self._services.metrics.request(self.route, self.method, self.status, seconds)
        if code := self._scope["state"].get("error_code"):
            self._services.metrics.error("http", code)

    def _line(self, text: str, facts: Mapping[str, Any]) -> None:
        level = logging.DEBUG if self.route in PROBES else logging.INFO
        if not log.isEnabledFor(level):
            return
        state, principal = self._scope["state"], self._scope["state"].get("principal")
        client = self._scope.get("client")
        whole = {
            "method": self.method, "route": self.route, **facts, "duration_ms": round((time.monotonic() - self._began) * 1000, 1),
            "code": state.get("error_code"), "address": state.get("address") or (client[0] if client else None),
            "owner": getattr(principal, "owner", None) or None, "key_id": getattr(principal, "key_id", None),
        }  # fmt: skip
        log.log(level, text, extra={name: value for name, value in whole.items() if value is not None})


class _Request(_Watched):
    def sent(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start(message)

    def over(self, span: Span | None) -> None:
        self.status = self.status or GIVEN_UP
        if self.confidential:
            return
        self._count(time.monotonic() - self._began)
        if span is not None:
            span.say(
                f"{self.method} {self.route}",
                {"http.request.method": self.method, "http.route": self.route, "http.response.status_code": self.status},
                failed=self.status >= 500,
            )
        self._line("request", {"status": self.status})


class _Socket(_Watched):
    """`close_code` is whoever's came first: ours, or the peer's."""

    def __init__(self, services: Services, scope: Scope) -> None:
        super().__init__(services, scope)
        self.accepted = False
        self.close_code = 0

    def receiving(self, receive: Receive) -> Receive:
        async def seen() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.close_code = self.close_code or int(message.get("code") or 1005)
            return message

        return seen

    def sent(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self.accepted = True
        elif kind == "websocket.close":
            self.close_code = self.close_code or int(message.get("code") or 1000)
        elif kind == "websocket.http.response.start":
            self._start(message)

    def over(self, span: Span | None) -> None:
        name = f"WS {self.route}"
        if not self.accepted:  # refused before the upgrade
            self.status = self.status or 403
            self._count(time.monotonic() - self._began)
            facts = {"status": self.status}
        else:
            self.close_code = self.close_code or 1006
            self._services.metrics.socket_closed(self.route, self.close_code)
            facts = {"close_code": self.close_code}
        if span is not None:
            span.say(name, {"http.route": self.route, **facts}, failed=self.close_code == 1011)
        self._line("socket closed" if self.accepted else "request", facts)
