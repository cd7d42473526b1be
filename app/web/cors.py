"""Cross-origin answers for pages of `cors_origins`, on /v1 and nowhere else: the page and the older contracts stay with their own origin.

No credentials: a browser never adds a key by itself, so a page can use only one that it was given. Put around the application by `main`,
only when the setting names an origin.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.service.quotas import EXPOSED

METHODS = ("GET", "POST", "DELETE")
SENT = ("Authorization", "X-API-Key", "Content-Type", "Idempotency-Key", "X-Request-ID")


class Cors:
    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._plain = app
        self._shared = CORSMiddleware(
            app, allow_origins=origins, allow_methods=METHODS, allow_headers=SENT, expose_headers=(*EXPOSED, "X-Request-ID", "WWW-Authenticate")
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shared = scope["type"] == "http" and scope["path"].startswith("/v1/")
        await (self._shared if shared else self._plain)(scope, receive, send)
