"""What a request says of its sender: its keys and tokens, its address behind trusted proxies, and whether a foreign page sent it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from app.service.access import Caller
from app.settings import Settings
from app.web.caller import caller_of, subprotocol_of

TRUSTED = ["10.0.0.0/8", "127.0.0.1", "fd00::/8"]


def caller(
    *headers: tuple[str, str], peer: str = "203.0.113.9", trusted: list[str] | None = None, kind: str = "http", query: str = "", offered: Any = ()
) -> Caller:
    settings = Settings(_env_file=None, trusted_proxies=trusted or [])  # type: ignore[call-arg,arg-type]
    app = SimpleNamespace(state=SimpleNamespace(services=SimpleNamespace(settings=settings)))
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    scope = {"type": kind, "headers": raw, "client": (peer, 1), "app": app, "query_string": query.encode(), "subprotocols": list(offered)}
    return caller_of(HTTPConnection(scope))


@pytest.mark.parametrize(
    ("headers", "secret", "contradictory"),
    [
        ((), None, False),
        ((("Authorization", "Bearer abc"),), "abc", False),
        ((("authorization", "bEARER   abc "),), "abc", False),
        ((("X-API-Key", " abc "),), "abc", False),
        ((("X-API-Key", "abc"), ("Authorization", "Bearer abc")), "abc", False),
        ((("X-API-Key", "abc"), ("Authorization", "Basic dTpw")), "abc", False),
        ((("Authorization", "Basic dTpw"),), None, False),
        ((("Authorization", "Bearer "),), None, False),
        ((("X-API-Key", ""),), None, False),
        ((("Authorization", "abc"),), None, False),
        ((("X-API-Key", "abc"), ("Authorization", "Bearer abd")), ..., True),
        ((("X-API-Key", "abc"), ("X-API-Key", "abd")), ..., True),
        ((("Authorization", "Bearer abc"), ("Authorization", "Bearer abd")), ..., True),
    ],
)
def test_keys(headers: Any, secret: Any, contradictory: bool) -> None:
    found = caller(*headers)
    assert found.contradictory is contradictory and (secret is ... or found.secret == secret)
    assert "abc" not in repr(found)


def test_tokens_of_sockets() -> None:
    token = "vpt_abc.def"
    assert caller(kind="websocket", query="encoding=mulaw&token=vpt_abc.def").token == token
    assert caller(kind="websocket", query="token=vpt%5Fabc.def").token == token
    assert caller(kind="websocket", offered=["voxproof.v1", subprotocol_of(token)]).token == token
    assert caller(kind="websocket", offered=[subprotocol_of(token)], query="token=other").token == token, "the subprotocol comes first"
    assert caller(kind="websocket", offered=["voxproof.v1", "token.!"]).token == "", "it is one, and not valid"
    assert caller(kind="websocket", query="token=").token == "" and caller(kind="websocket", query="nottoken=x").token is None
    assert caller(query="token=vpt_abc.def").token is None, "addresses of requests carry none"


PROXY = ["Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Anything", "CF-Connecting-IP"]


@pytest.mark.parametrize("name", PROXY)
@pytest.mark.parametrize("value", ["127.0.0.1", "", "for=127.0.0.1"])
def test_a_header_of_a_proxy_shows_it_and_is_not_believed(name: str, value: str) -> None:
    found = caller((name, value), peer="127.0.0.1")
    assert found.forwarded and found.address == "127.0.0.1"
    assert caller((name, "198.51.100.1"), trusted=TRUSTED).address == "203.0.113.9"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (["198.51.100.1"], "198.51.100.1"),
        (["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # anybody may have written what stands further left
        (["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        (["198.51.100.1, 10.1.1.1, 127.0.0.1"], "198.51.100.1"),
        (["198.51.100.1:4711"], "198.51.100.1"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["10.9.9.9, 10.1.1.1"], "10.9.9.9"),  # a client inside
        (["127.0.0.1"], "127.0.0.1"),
        (["127.0.0.1, unknown"], "unknown"),
        (["", " , "], "10.0.0.2"),
        ([], "10.0.0.2"),
    ],
)
def test_a_trusted_proxy_names_the_client(forwarded: list[str], address: str) -> None:
    found = caller(*(("X-Forwarded-For", each) for each in forwarded), peer="10.0.0.2", trusted=TRUSTED)
    assert found.address == address and found.forwarded, "a proxy is a proxy, whatever it says"


@pytest.mark.parametrize(
    ("origin", "more", "foreign"),
    [
        (None, {}, False),
        ("https://vox.example", {}, False),
        ("http://vox.example", {}, False),  # nobody says whether TLS ended before us
        ("https://vox.example:8443", {}, True),
        ("https://evil.example", {}, True),
        ("https://vox.example.evil.example", {}, True),
        ("null", {}, True),
        ("", {}, True),
        ("https://vox.example", {"X-Forwarded-Proto": "https"}, False),
        ("http://vox.example", {"X-Forwarded-Proto": "https"}, True),
        ("https://vox.example", {"X-Forwarded-Proto": "http, https"}, False),
        ("https://outside.example", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "outside.example"}, False),
        ("https://outside.example", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "outside.example:443"}, False),
        ("https://vox.example", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "outside.example"}, True),
    ],
)
def test_a_page_is_ours_by_the_address_it_was_asked_at(origin: str | None, more: dict[str, str], foreign: bool) -> None:
    headers = [("Host", "vox.example"), *more.items(), *([] if origin is None else [("Origin", origin)])]
    assert caller(*headers, peer="10.0.0.2", trusted=TRUSTED).foreign is foreign


def test_headers_of_an_untrusted_proxy_do_not_make_a_page_ours() -> None:
    headers = [("Host", "127.0.0.1:8000"), ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https"), ("Origin", "https://evil.example")]
    assert caller(*headers).foreign


@pytest.mark.parametrize("bad", ["nonsense", "10.0.0.1/8", "*"])
def test_a_setting_that_is_no_network_is_refused_at_start(bad: str) -> None:
    with pytest.raises(ValueError):
        Settings(_env_file=None, trusted_proxies=[bad])  # type: ignore[call-arg,list-item]
