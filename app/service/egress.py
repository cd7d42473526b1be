"""POST to an address somebody else named, without being sent where only we may go. Called by `deliveries`; `httpx2` is loaded when first used.

The host's name is looked up here, every address found is judged, and the connection goes to an address that was judged: the name is not asked
again, so that an answer cannot change in between (DNS rebinding). TLS is checked against the name. No redirects, no proxies of the environment, and
of the answer only the status and Retry-After are read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.core.addresses import Network, is_public
from app.core.errors import ForbiddenAddress

if TYPE_CHECKING:
    import httpx2

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

PORTS = {"http": 80, "https": 443}
MAX_URL = 2048
NO_ANSWER = 0
NOT_PUBLIC = "The host of the URL is not known, or not on the public internet."  # one sentence for both: nobody maps our network with it


@dataclass(frozen=True)
class Target:
    """A URL taken apart; `path` has the query too."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What goes into the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True)
class Reply:
    """`status` is 0 when there was no answer; `problem` says why in words."""

    status: int
    problem: str = ""
    retry_after_s: float = 0.0

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


class Egress:
    """`async with Egress(...) as egress: await egress.post(url, headers, body)`"""

    def __init__(
        self, *, allow_http: bool, allowed: Sequence[Network], timeout_s: float, resolve: Resolve | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._allow_http, self._allowed, self._timeout_s = allow_http, tuple(allowed), timeout_s
        self._resolve, self._transport = resolve or look_up, transport
        self._client: httpx2.AsyncClient | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def check(self, url: str) -> None:
        """Raises ForbiddenAddress when we would not post there."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._judged(self._parsed(url))
        except TimeoutError:
            raise ForbiddenAddress(NOT_PUBLIC) from None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """One attempt. Raises nothing: what went wrong is in the reply."""
        import httpx2

        try:
            async with asyncio.timeout(self._timeout_s):
                target = self._parsed(url)
                addresses = await self._judged(target)
                return await self._sent(target, addresses, headers, body)
        except ForbiddenAddress as exc:
            return Reply(NO_ANSWER, exc.message)
        except TimeoutError:
            return Reply(NO_ANSWER, f"No answer within {self._timeout_s:g} s.")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as exc:
            return Reply(NO_ANSWER, f"The connection failed: {type(exc).__name__}.")

    async def _sent(self, target: Target, addresses: Sequence[str], headers: Mapping[str, str], body: bytes) -> Reply:
        import httpx2

        client = self._opened()
        for at, address in enumerate(addresses):
            host = f"[{address}]" if ":" in address else address
            request = client.build_request(
                "POST", f"{target.scheme}://{host}:{target.port}{target.path}", content=body,
                headers={"user-agent": "Voxproof", **headers, "host": target.authority}, extensions={"sni_hostname": target.host},
            )  # fmt: skip
            try:
                response = await client.send(request, stream=True)
            except httpx2.ConnectError:
                if at == len(addresses) - 1:
                    raise
                continue
            try:
                problem = "" if response.is_success else f"It answered {response.status_code}."
                return Reply(response.status_code, problem, _retry_after(response.headers))
            finally:
                await response.aclose()  # unread: whatever it says, there is nothing in it for us
        raise AssertionError("a name has at least one address")

    def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            import httpx2

            limits = httpx2.Limits(max_connections=100, max_keepalive_connections=0)  # a kept connection would be one to an address judged long ago
            self._client = httpx2.AsyncClient(
                transport=self._transport, limits=limits, timeout=self._timeout_s, follow_redirects=False, trust_env=False
            )
        return self._client

    def _parsed(self, url: str) -> Target:
        try:
            if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or set(url) & set(' "<>\\^`{|}'):
                raise ValueError
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname or ""
        except ValueError:
            raise ForbiddenAddress("This is not a URL; names that are not ASCII are written in punycode.") from None
        if parts.scheme not in PORTS:
            raise ForbiddenAddress("Only https URLs are taken.")
        if parts.scheme == "http" and not self._allow_http:
            raise ForbiddenAddress("Only https URLs are taken.")
        if not host or "%" in host or parts.username is not None or parts.password is not None or parts.fragment or port == 0:
            raise ForbiddenAddress("The URL must name a host, and neither user nor password nor fragment.")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme, host, port or PORTS[parts.scheme], path)

    async def _judged(self, target: Target) -> Sequence[str]:
        """The host's addresses, all of them public: one that is not condemns the name."""
        try:
            found = list(dict.fromkeys(await self._resolve(target.host, target.port)))
        except (OSError, UnicodeError):
            found = []
        if not found or any("%" in each or not is_public(ip_address(each), self._allowed) for each in found):
            raise ForbiddenAddress(NOT_PUBLIC)
        return found


async def look_up(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _retry_after(headers: Mapping[str, str]) -> float:
    value = headers.get("retry-after", "")
    return float(value) if value.isdigit() and len(value) < 9 else 0.0
