"""`/livez` (the event loop answers), `/readyz` (it can take work, and what it is doing), `/startupz` (it has started). All open; details are not."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.service.services import Services
from app.web.caller import caller_of

FRESH = {"Cache-Control": "no-store"}


async def livez(request: Request) -> Response:
    return JSONResponse({"status": "ok"}, headers=FRESH)


async def startupz(request: Request) -> Response:
    services: Services = request.app.state.services
    return JSONResponse({"status": "started", "up_seconds": round(services.health.up_s, 1)}, headers=FRESH)


async def readyz(request: Request) -> Response:
    """200 or 503. `?verbose` adds each check, for administrators and, without keys, for this machine."""
    services: Services = request.app.state.services
    verbose = request.query_params.get("verbose", "false").lower() not in ("false", "0", "no", "off")
    if verbose:
        await services.access.admit(caller_of(request), "admin")
    report = await services.health.report()
    info = services.detector.model.info
    content: dict[str, Any] = {
        "status": "ready" if report.ready else "draining" if services.draining else "unavailable",
        "model": {"name": info.name, "version": info.version, "sha256": info.sha256},
        "streams": services.streams.open,
        "parked": services.streams.parked,
    }
    if verbose:
        content["checks"] = {
            name: {"ok": found.ok, "text": found.text, "took_ms": found.took_ms} for name, found in report.findings.items()
        }
    return JSONResponse(content, 200 if report.ready else 503, FRESH)
