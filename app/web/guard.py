"""What stands before every handler: who asks, how much they may, and the shape their refusals have. Called by `routes`."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import Internal, PeerError, VoxproofError
from app.service.services import Services
from app.web.caller import caller_of
from app.web.errors import request_id
from app.web.query import check_query
from app.web.table import Endpoint, Handler

log = logging.getLogger(__name__)


def guarded(endpoint: Endpoint) -> Handler:
    """The handler behind admission and limits; whatever it raises is answered in its own contract's shape."""

    async def handle(request: Request) -> Response:
        services: Services = request.app.state.services
        headers: Mapping[str, str] = {}
        try:
            caller = caller_of(request)
            request.state.address = caller.address  # for the log, also of who is refused
            try:
                principal = await services.access.admit(caller, endpoint.scope)
            except PeerError:
                if endpoint.allowance:  # wrong keys count against their address
                    standing = await services.quotas.stranger(caller.address, endpoint.allowance)
                    headers = standing.headers
                    standing.check()
                raise
            request.state.principal = principal
            if endpoint.allowance:
                standing = await services.quotas.request(principal, endpoint.allowance)
                headers = standing.headers
                standing.check()
            check_query(endpoint, request)
            response = await endpoint.handler(request)
        except VoxproofError as exc:
            if exc.code == Internal.code:
                log.warning("request %s: %s", request_id(request), exc.message)
            request.state.error_code = exc.code
            response = endpoint.refuse(request, exc)
        except Exception:
            log.exception("request %s failed", request_id(request))
            request.state.error_code = Internal.code
            response = endpoint.refuse(request, Internal())
        response.headers.update(headers)
        return response

    return handle
