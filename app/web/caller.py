"""An HTTP request or a WebSocket's handshake -> the `Caller` behind it: address, secrets, and whether a proxy or a foreign page was involved.

Headers of a proxy are believed from `trusted_proxies` only. From anybody else they still prove one thing: that a proxy was there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection

from app.core.addresses import Network
from app.service.access import Caller
from app.service.addresses import is_within
from app.service.tokens import packed, unpacked
from app.settings import Settings

# Any X-Forwarded-* counts too. What only some proxies send is listed as well: a wrong guess here opens the server to the world.
PROXY_HEADERS = frozenset(
    b"forwarded via x-real-ip x-client-ip x-cluster-client-ip x-original-host x-original-forwarded-for true-client-ip cf-connecting-ip "
    b"fly-client-ip fastly-client-ip x-envoy-external-address x-amzn-trace-id cdn-loop".split()
)
TOKEN_PROTOCOL = "token."
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]+):\d+")  # an address with its port, as some proxies write it


def caller_of(connection: HTTPConnection) -> Caller:
    """Works for requests and sockets alike; a socket's token may also come in its subprotocol or query. Never raises."""
    settings: Settings = connection.app.state.services.settings
    scope = connection.scope
    peer = connection.client.host if connection.client else ""
    keys: set[str] = set()
    host, origin = "", None
    forwarded: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        if name == b"host":
            host = value.decode("latin-1")
        elif name == b"authorization":
            kind, _, rest = value.decode("latin-1").partition(" ")
            if kind.lower() == "bearer" and rest.strip():
                keys.add(rest.strip())
        elif name == b"x-api-key":
            if value.strip():
                keys.add(value.decode("latin-1").strip())
        elif name == b"origin":
            origin = value.decode("latin-1")
        elif name in PROXY_HEADERS or name.startswith(b"x-forwarded-"):
            forwarded.setdefault(name, []).append(value.decode("latin-1"))
    address, scheme, own_host, trusted = peer, "", host, False
    if settings.trusted_proxies and is_within(peer, settings.trusted_proxies):
        trusted = True
        address = _client(forwarded.get(b"x-forwarded-for", []), peer, settings.trusted_proxies)
        scheme = _last(forwarded.get(b"x-forwarded-proto", [])).lower()
        own_host = _last(forwarded.get(b"x-forwarded-host", [])) or host
    return Caller(
        address=address,
        forwarded=trusted or bool(forwarded),
        secret=next(iter(keys), None),
        token=_token(connection) if scope["type"] == "websocket" else None,
        host=host,
        origin=origin,
        foreign=origin is not None and not _is_own(origin, scheme, own_host),
        contradictory=len(keys) > 1,
    )


def _is_own(origin: str, scheme: str, host: str) -> bool:
    """`scheme` is "" when it is not known: a proxy that ends TLS need not say so."""
    return any(origin == f"{each}://{host.removesuffix(port)}" for each, port in DEFAULT_PORTS.items() if scheme in ("", each))


def _client(forwarded: list[str], peer: str, trusted: Sequence[Network]) -> str:
    """The rightmost address no trusted proxy has: what stands left of it, anybody may have written."""
    address = peer
    for part in reversed(",".join(forwarded).split(",")):
        address = _bare(part.strip()) or address
        if not is_within(address, trusted):
            break
    return address


def _bare(text: str) -> str:
    found = _PORT.fullmatch(text)
    return (found[1] if found else text).strip("[]")[:64]


def _last(values: list[str]) -> str:
    """What the nearest proxy says."""
    return values[-1].rpartition(",")[2].strip() if values else ""


def subprotocol_of(token: str) -> str:
    """A token as the name of a subprotocol: what a browser can send when it opens a socket, and no log shows."""
    return TOKEN_PROTOCOL + packed(token.encode())


def _token(connection: HTTPConnection) -> str | None:
    for offered in connection.scope.get("subprotocols", []):
        if offered.startswith(TOKEN_PROTOCOL):
            try:
                return unpacked(offered.removeprefix(TOKEN_PROTOCOL)).decode("latin-1")
            except ValueError:
                return ""  # it is one, and not valid
    query = connection.scope.get("query_string", b"")
    if b"token=" not in query:
        return None
    return next((value for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if name == "token"), None)
