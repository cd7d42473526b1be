"""Posting to an address somebody named: which URLs are taken, where the connection really goes, and what comes back of it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.core.errors import ForbiddenAddress
from app.service.egress import Egress, look_up

NAMES = {
    "hooks.example": ["93.184.216.34"],
    "two.example": ["93.184.216.34", "2606:4700:4700::1111"],
    "mixed.example": ["93.184.216.34", "10.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "scoped.example": ["fe80::1%eth0"],
    "nowhere.example": [],
}


async def resolve(host: str, port: int) -> Sequence[str]:
    if host in NAMES:
        return NAMES[host]
    try:
        return await look_up(host, port)  # addresses, in all the ways they can be written: no question leaves this machine
    except socket.gaierror:
        return []


class Recorded:
    """A transport that notes requests and answers them from a list."""

    def __init__(self, *answers: Any) -> None:
        self.requests: list[httpx2.Request] = []
        self._answers = list(answers) or [httpx2.Response(204)]

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]


def egress(recorded: Recorded | None = None, *, allow_http: bool = False, allowed: Sequence[str] = (), timeout_s: float = 5.0, **more: Any) -> Egress:
    transport = httpx2.MockTransport(recorded or Recorded())
    networks = [ip_network(each) for each in allowed]
    return Egress(allow_http=allow_http, allowed=networks, timeout_s=timeout_s, transport=transport, **{"resolve": resolve, **more})


REFUSED = [
    "http://hooks.example/", "ftp://hooks.example/", "file:///etc/passwd", "gopher://hooks.example/", "//hooks.example/", "hooks.example", "",
    "https://", "https:///path", "https://user@hooks.example/", "https://user:secret@hooks.example/", "https://hooks.example@10.0.0.1/",
    "https://hooks.example/#part", "https://hooks.example:0/", "https://hooks.example:99999/", "https://hooks.example:x/", "https://höoks.example/",
    "https://hooks.example/ü", "https://hooks.example/\r\nX: y", "https://hooks.example\t/", "https://hooks.example\\@10.0.0.1/",
    "https://[::1", "https://a b/", "https://hooks..example/", "https://" + "x" * 300 + "/",
    "https://hooks%2eexample/", "https://[fe80::1%25eth0]/", "https://hooks.example/" + "x" * 2048,
    "https://127.0.0.1/", "https://localhost/", "https://127.1/", "https://0x7f.1/", "https://2130706433/", "https://017700000001/", "https://0/",
    "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/",
    "https://metadata.example/", "https://mixed.example/", "https://mapped.example/", "https://scoped.example/", "https://nowhere.example/",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
async def test_refused(url: str) -> None:
    recorded = Recorded()
    guard = egress(recorded)
    with pytest.raises(ForbiddenAddress):
        await guard.check(url)
    reply = await guard.post(url, {}, b"{}")
    assert (reply.status, reply.taken) == (0, False) and reply.problem and not recorded.requests


async def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    recorded = Recorded()
    reply = await egress(recorded).post("https://hooks.example:8443/in/here?key=a%20b&c", {"webhook-id": "m"}, b"{}")
    (request,) = recorded.requests
    assert reply.taken and reply.status == 204
    assert request.url.host == "93.184.216.34" and request.url.port == 8443 and request.url.raw_path == b"/in/here?key=a%20b&c"
    assert request.headers["host"] == "hooks.example:8443" and request.extensions["sni_hostname"] == "hooks.example"
    assert request.headers["webhook-id"] == "m" and request.content == b"{}"


@pytest.mark.parametrize("path", ["", "?", "/%zz", "/%", "//x", "/../x", "/a;b=c?d=%&e", "/\'$!*(),"])
async def test_odd_paths_are_somebodys_paths(path: str) -> None:
    recorded = Recorded()
    assert (await egress(recorded).post("https://hooks.example" + path, {}, b"{}")).taken
    assert recorded.requests[0].url.host == "93.184.216.34"


async def test_a_name_that_changes_its_mind_is_asked_anew_and_judged_anew() -> None:
    """DNS rebinding: public when it was registered, ours when it is used."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    recorded = Recorded()

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    guard = egress(recorded, resolve=rebinding)
    await guard.check("https://hooks.example/")
    assert (await guard.post("https://hooks.example/", {}, b"{}")).status == 0
    assert not recorded.requests and not answers


async def test_a_post_asks_once_so_that_no_second_answer_can_differ() -> None:
    asked = 0

    async def counting(host: str, port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        return ["93.184.216.34"] if asked == 1 else ["127.0.0.1"]

    recorded = Recorded()
    assert (await egress(recorded, resolve=counting).post("https://hooks.example/", {}, b"{}")).taken
    assert asked == 1 and recorded.requests[0].url.host == "93.184.216.34"


async def test_the_next_address_is_tried_when_one_cannot_be_reached() -> None:
    recorded = Recorded(httpx2.ConnectError("no route"), httpx2.Response(200))
    assert (await egress(recorded).post("https://two.example/", {}, b"{}")).taken
    assert [request.url.host for request in recorded.requests] == ["93.184.216.34", "2606:4700:4700::1111"]


async def test_a_redirect_is_not_followed() -> None:
    recorded = Recorded(httpx2.Response(302, headers={"location": "http://169.254.169.254/"}))
    reply = await egress(recorded).post("https://hooks.example/", {}, b"{}")
    assert (reply.status, reply.taken) == (302, False) and len(recorded.requests) == 1


@pytest.mark.parametrize(("header", "wanted_s"), [("120", 120.0), ("soon", 0.0), ("-5", 0.0), ("9" * 40, 0.0), ("", 0.0)])
async def test_what_the_receiver_asks_for(header: str, wanted_s: float) -> None:
    reply = await egress(Recorded(httpx2.Response(503, headers={"retry-after": header}))).post("https://hooks.example/", {}, b"{}")
    assert reply.retry_after_s == wanted_s and "503" in reply.problem


@pytest.mark.parametrize("trouble", [httpx2.ConnectError("x"), httpx2.ReadTimeout("x"), httpx2.RemoteProtocolError("x")])
async def test_trouble_is_a_reply(trouble: Exception) -> None:
    reply = await egress(Recorded(trouble)).post("https://hooks.example/", {}, b"{}")
    assert reply.status == 0 and type(trouble).__name__ in reply.problem


async def test_a_name_server_that_never_answers() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    guard = egress(resolve=never, timeout_s=0.01)
    with pytest.raises(ForbiddenAddress):
        await guard.check("https://hooks.example/")
    assert (await guard.post("https://hooks.example/", {}, b"{}")).status == 0


async def test_what_a_setting_allows() -> None:
    recorded = Recorded()
    guard = egress(recorded, allow_http=True, allowed=["127.0.0.0/8"])
    await guard.check("http://localhost:9000/x")
    assert (await guard.post("http://127.0.0.1:9000/x", {}, b"{}")).taken
    assert recorded.requests[0].headers["host"] == "127.0.0.1:9000"
    with pytest.raises(ForbiddenAddress):
        await guard.check("http://10.0.0.1/")


async def test_an_endless_answer_is_not_read() -> None:
    """A real connection: the receiver says 200 and then never stops."""

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"ffff\r\n" + b"x" * 65535 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        guard = Egress(allow_http=True, allowed=[ip_network("127.0.0.0/8")], timeout_s=5)
        assert (await guard.post(f"http://127.0.0.1:{port}/", {}, b"{}")).taken
        await guard.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(("name", "taken"), [("hooks.example", True), ("two.example", False)])
async def test_tls_is_checked_against_the_name_though_the_connection_goes_to_an_address(tmp_path: Path, name: str, taken: bool) -> None:
    """A certificate for hooks.example, at 127.0.0.1: good for that name, for no other, and the server is told which one is meant."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout", str(key)]
    command += ["-out", str(certificate), "-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example"]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    asked: list[str | None] = []
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(certificate))
    ours.load_cert_chain(certificate, key)
    ours.sni_callback = lambda _socket, server_name, _context: asked.append(server_name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"host: " + name.encode() + b":" in head.lower()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async def to_us(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=ours)
    async with server:
        port = server.sockets[0].getsockname()[1]
        transport = httpx2.AsyncHTTPTransport(verify=theirs)
        guard = Egress(allow_http=False, allowed=[ip_network("127.0.0.0/8")], timeout_s=5, resolve=to_us, transport=transport)
        reply = await guard.post(f"https://{name}:{port}/", {}, b"{}")
        await guard.close()
    assert reply.taken == taken and asked == [name]
