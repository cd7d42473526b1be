"""`GET /metrics`: what Prometheus reads, for administrators, for this machine where there are no keys, or for all if a setting says so."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from app.service.services import Services
from app.web.caller import caller_of

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


async def metrics(request: Request) -> Response:
    services: Services = request.app.state.services
    if not services.settings.metrics_public:
        await services.access.admit(caller_of(request), "admin")
    services.metrics.refresh()
    wanted = [each.partition(";")[0].strip().lower() for each in request.headers.get("accept", "").split(",")]
    openmetrics = "application/openmetrics-text" in wanted
    content = await asyncio.to_thread(services.metrics.text, openmetrics=openmetrics)
    return Response(content, headers={"Content-Type": OPENMETRICS if openmetrics else TEXT, "Cache-Control": "no-store"})
