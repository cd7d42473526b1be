"""`/livez` (the process answers) and `/readyz` (it can take work, and what it is doing)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.service.services import Services


async def livez(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    services: Services = request.app.state.services
    info = services.detector.model.info
    content = {
        "status": "ready",
        "model": {"name": info.name, "version": info.version, "sha256": info.sha256},
        "streams": services.streams.open,
        "parked": services.streams.parked,
    }
    return JSONResponse(content)
