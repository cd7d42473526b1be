"""The route table: what there is, who may use it, in which shape it refuses. `routes` makes Starlette's routes of it."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from app.assets import asset_dir
from app.web import compat, health, pages, stream, upload
from app.web.guard import guarded
from app.web.table import Channel, Endpoint

ENDPOINTS: list[Endpoint] = [
    Endpoint("GET", "/", pages.home, None, allowance=""),
    Endpoint("POST", "/v1/detect", upload.detect, "detect"),
    Endpoint("POST", "/analyze", compat.analyze, "detect", refuse=compat.refusal),
    Endpoint("GET", "/livez", health.livez, None, allowance=""),
    Endpoint("GET", "/readyz", health.readyz, None, allowance=""),
]
CHANNELS: list[Channel] = [
    Channel("/v1/stream", stream.stream, "stream"),
    Channel("/ws", compat.ws, "stream"),
]


def routes() -> list[BaseRoute]:
    return [
        *(Route(each.path, guarded(each), methods=[each.method]) for each in ENDPOINTS),
        *(WebSocketRoute(each.path, each.handler) for each in CHANNELS),
        Mount("/static", pages.Assets(directory=asset_dir("static")), name="static"),
    ]
