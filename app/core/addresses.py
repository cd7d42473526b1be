"""Which IP addresses a server may be sent to by somebody else's word: public ones only, however they are written. Called by `service.egress`.

An address that carries another (IPv4 in IPv6: mapped, compatible, 6to4, NAT64) is judged by that one as well, for that is where a packet ends up.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")
COMPATIBLE = IPv6Network("::/96")
UNICAST = IPv6Network("2000::/3")  # the only global part of IPv6, besides NAT64
# Nobody's web server, whatever this Python's edition of the registries says: protocol assignments, documentation, relays, Azure's host agent.
NEVER: tuple[Network, ...] = tuple(
    ip_network(each) for each in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "2001::/23", "2001:db8::/32", "3fff::/20")
)


def is_public(address: Address, allowed: Iterable[Network] = ()) -> bool:
    """Whether it may be connected to: it is on the public internet, or in one of the networks that are `allowed` all the same."""
    carried = _carried(address)
    if any(_in(each, network) for network in allowed for each in (address, carried) if each is not None):
        return True
    if carried is not None:
        return address not in COMPATIBLE and is_public(carried)
    if not address.is_global or address.is_multicast or address.is_reserved or any(_in(address, network) for network in NEVER):
        return False
    return isinstance(address, IPv4Address) or address in UNICAST


def _carried(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in NAT64 or address in COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def _in(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
