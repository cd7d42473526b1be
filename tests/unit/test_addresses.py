"""Where a webhook may be sent: public addresses and nothing else, however they are written."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.addresses import is_public

PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "100.63.255.255", "100.128.0.0", "172.32.0.1", "223.255.255.1"]
PUBLIC_6 = ["2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8", "2002:808:808::1"]
NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9", "169.254.0.1", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16",
]  # fmt: skip
NOT_PUBLIC_6 = [
    "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:53aa:64c:0:fe:f5ff:fffe", "2001:db8::1", "2002:7f00:1::1",
    "2002:a9fe:a9fe::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", [*PUBLIC, *PUBLIC_6])
def test_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", [*NOT_PUBLIC, *NOT_PUBLIC_6])
def test_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_no_way_around(address: IPv4Address) -> None:
    inside = [IPv6Address(f"::ffff:{address}"), IPv6Address(f"64:ff9b::{address}"), IPv6Address(0x2002 << 112 | int(address) << 80)]
    assert {is_public(each) for each in inside} == {is_public(address)}


@given(st.ip_addresses(v=6))
def test_what_is_public_is_global(address: IPv6Address) -> None:
    if is_public(address):
        assert (address.is_global or address.ipv4_mapped) and not address.is_multicast and not address.is_private


def test_a_network_may_be_allowed() -> None:
    allowed = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]
    assert is_public(ip_address("10.1.2.3"), allowed) and is_public(ip_address("fd12::1"), allowed)
    assert is_public(ip_address("::ffff:10.1.2.3"), allowed)
    assert not is_public(ip_address("10.2.0.1"), allowed) and not is_public(ip_address("127.0.0.1"), allowed)
