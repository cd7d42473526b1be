"""`GET /openapi.json`, `/asyncapi.json` and `/docs`: made of the route table when first asked for, then kept. Nothing comes from another server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.core.windows import MIN_HOP_SECONDS
from app.service.services import Services
from app.web import pages
from app.web.errors import mounted_at
from app.web.table import Channel, Endpoint


class Documents:
    """The documents of one table, each made once for an application: they say its limits and what its model takes."""

    def __init__(self, endpoints: Sequence[Endpoint], channels: Sequence[Channel]) -> None:
        self._endpoints, self._channels = endpoints, channels
        self._making = threading.Lock()

    async def openapi(self, request: Request) -> Response:
        """GET /openapi.json."""
        return JSONResponse(await asyncio.to_thread(self._document, "openapi", request))

    async def asyncapi(self, request: Request) -> Response:
        """GET /asyncapi.json."""
        return JSONResponse(await asyncio.to_thread(self._document, "asyncapi", request))

    async def page(self, request: Request) -> Response:
        """GET /docs."""
        html = await asyncio.to_thread(self._document, "page", request)
        return HTMLResponse(html, headers={**pages.headers("'none'"), "Vary": "Host"})

    def _document(self, name: str, request: Request) -> Any:
        with self._making:
            if name == "page":
                return self._page(request)
            return self._kept(name, request)

    def _kept(self, name: str, request: Request) -> Any:
        state = request.app.state
        if not hasattr(state, "documents"):
            state.documents = {}
        if name not in state.documents:
            state.documents[name] = self._make(name, request)
        return state.documents[name]

    def _page(self, request: Request) -> str:
        from app.web import docs_page

        html = self._kept("html", request)
        host = request.headers.get("host", "")
        return docs_page.at(html, f"{request.url.scheme}://{host}{mounted_at(request)}") if pages.HOST.fullmatch(host) else html

    def _make(self, name: str, request: Request) -> Any:
        from app.web import asyncapi, docs_page, openapi

        services: Services = request.app.state.services
        if name == "openapi":
            return openapi.openapi(request.app, self._endpoints, tuned(services), limits(services))
        if name == "asyncapi":
            return asyncapi.asyncapi(self._channels, tuned(services))
        shown = docs_page.page(self._kept("openapi", request), self._kept("asyncapi", request), self._endpoints, self._channels)
        return request.app.state.templates.get_template("docs.html").render(**shown)


def tuned(services: Services) -> dict[str, dict[str, Any]]:
    """What this server's model makes of some fields."""
    model = services.detector.model
    return {"hop_seconds": {"minimum": MIN_HOP_SECONDS, "maximum": model.layout.window / model.layout.rate}, "profile": {"enum": list(model.points)}}


def limits(services: Services) -> dict[str, str]:
    settings = services.settings
    return {
        "one file": f"{settings.max_upload_bytes / (1 << 20):g} MiB and {settings.max_audio_seconds / 60:g} minutes",
        "one live session": f"{settings.max_session_seconds / 3600:g} hours, {settings.idle_timeout_seconds:g} s of silence on the socket",
        "requests": f"{settings.key_requests_per_minute or 'any number'} a minute a key",
        "live streams": f"{settings.key_streams or 'any number'} at once a key",
        "audio": f"{settings.key_audio_seconds_per_day / 3600:g} hours a day a key" if settings.key_audio_seconds_per_day else "any amount",
    }
