"""Network addresses as text: which are this machine's, which belong to one subscriber, which are trusted proxies. Bad text is never trusted."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from app.core.addresses import Address, Network


@lru_cache(4096)
def parsed(text: str) -> Address | None:
    """The address; one of IPv4 in IPv6's clothes is itself, a zone is dropped."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(4096)
def is_loopback(text: str) -> bool:
    address = parsed(text)
    return address is not None and address.is_loopback


@lru_cache(4096)
def block_of(text: str) -> str:
    """What counts as one address: a subscriber of IPv6 has a whole /64."""
    address = parsed(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or text)


def is_within(text: str, networks: Sequence[Network]) -> bool:
    address = parsed(text)
    return address is not None and any(address in network for network in networks)


def host_name(host: str) -> str:
    """`[::1]:8000`, `LOCALHOST:80`, `127.0.0.1` -> the name or address alone, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name = host if host.count(":") > 1 else host.partition(":")[0]
    return name.removesuffix(".").lower()
