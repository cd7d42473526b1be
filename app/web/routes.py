"""The route table, and nothing else."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from app.assets import asset_dir
from app.web import compat, health, pages, stream, upload


def routes() -> list[BaseRoute]:
    return [
        Route("/", pages.home, methods=["GET"]),
        Route("/v1/detect", upload.detect, methods=["POST"]),
        WebSocketRoute("/v1/stream", stream.stream),
        Route("/analyze", compat.analyze, methods=["POST"]),
        WebSocketRoute("/ws", compat.ws),
        Route("/livez", health.livez, methods=["GET"]),
        Route("/readyz", health.readyz, methods=["GET"]),
        Mount("/static", pages.Assets(directory=asset_dir("static")), name="static"),
    ]
