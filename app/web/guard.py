"""What stands before every handler: who asks, how much they may, and the shape their refusals have. Called by `routes`."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from app.core.errors import Internal, VoxproofError
from app.service.access import Caller
from app.service.services import Services
from app.web.errors import request_id
from app.web.table import Endpoint, Handler

log = logging.getLogger(__name__)


def guarded(endpoint: Endpoint) -> Handler:
    """The handler behind admission and limits; whatever it raises is answered in its own contract's shape."""

    async def handle(request: Request) -> Response:
        services: Services = request.app.state.services
        headers: Mapping[str, str] = {}
        try:
            principal = await services.access.admit(caller_of(request), endpoint.scope)
            request.state.principal = principal
            if endpoint.allowance:
                headers = (await services.quotas.request(principal, endpoint.allowance)).headers
            response = await endpoint.handler(request)
        except VoxproofError as exc:
            if exc.code == Internal.code:
                log.warning("request %s: %s", request_id(request), exc.message)
            response = endpoint.refuse(request, exc)
        except Exception:
            log.exception("request %s failed", request_id(request))
            response = endpoint.refuse(request, Internal())
        response.headers.update(headers)
        return response

    return handle


def caller_of(connection: HTTPConnection) -> Caller:
    """Works for requests and sockets alike."""
    return Caller(address=connection.client.host if connection.client else "")
