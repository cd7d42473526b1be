"""Who asks, and whether they may. A transport gathers a `Caller` from a request; `Access.admit` makes a `Principal` of it or refuses.

With no keys configured only loopback peers are served, and only requests that no proxy has touched; with keys, everything but the open routes
needs one. Called for each request and each socket, before anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from app.core.errors import ScopeMissing

Scope = Literal["detect", "stream", "tasks", "enroll", "reports", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

LOCAL = "local"


@dataclass(frozen=True)
class Caller:
    """What a request says of its sender. Secrets stay in here: they are never logged."""

    address: str  # the peer's, or the client's as a trusted proxy names it
    forwarded: bool = False  # it carries a Forwarded or X-Forwarded-* header of a proxy that is not trusted
    secret: str | None = None  # Bearer or X-API-Key
    token: str | None = None  # short-lived: subprotocol, query or start message
    host: str = ""


@dataclass(frozen=True)
class Principal:
    """Who was admitted. `owner` is what stored things belong to; two keys of one rotation share it."""

    owner: str = LOCAL
    key_id: str | None = None
    scopes: frozenset[str] = frozenset(SCOPES)
    address: str = ""
    expires_at: float | None = None  # seconds since the epoch; live streams end then

    def require(self, scope: Scope) -> None:
        """Raises ScopeMissing."""
        if scope not in self.scopes:
            raise ScopeMissing(f"This key lacks the scope '{scope}'.")


class Access:
    async def admit(self, caller: Caller, scope: Scope | None) -> Principal:
        """The principal behind a request for something that needs `scope` (None: open to all, and nothing is checked).

        Raises LocalOnly, Unauthorized, AuthorisationExpired, ScopeMissing, RateLimited (too many wrong keys from one address).
        """
        return Principal(address=caller.address)
