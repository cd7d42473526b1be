"""Webhooks through a real server: registered, told of a live stream, tried again after failures, never sent to addresses of ours.

The receiver is a small HTTP server in this process, which the tested server may reach because a setting allows the loopback network.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook

from tests.integration.material import encoded
from tests.integration.server import Server
from tests.integration.servers_of_others import RedisServer
from tests.integration.talk import Row, started, talk
from tests.toy import voice

LOCAL = {"webhook_allow_http": True, "webhook_allowed_networks": '["127.0.0.0/8"]', "webhook_retry_seconds": 0.1, "webhook_poll_seconds": 0.2}
SPOKEN = encoded(voice(4.0, "bonafide"), "pcm_s16le") + encoded(voice(4.0, "spoof"), "pcm_s16le")


class Receiver:
    """Answers `statuses` in turn, then 200; `got` are the requests."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: asyncio.Queue[tuple[str, dict[str, str], bytes]] = asyncio.Queue()

    async def __aenter__(self) -> Receiver:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook?key=1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def next(self) -> tuple[str, dict[str, str], bytes]:
        async with asyncio.timeout(60):
            return await self.got.get()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        body = await reader.readexactly(int(headers["content-length"]))
        status = self.statuses.pop(0) if self.statuses else 200
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        self.got.put_nowait((line, headers, body))
        writer.close()


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hooked")
    with Server(folder, toy, data_dir=folder, log_level="debug", **LOCAL) as running:
        yield running
        assert not any(secret in line for line in running.lines for secret in ("key=1", "whsec_"))  # a URL may hold a key of its owner's
        assert not running.traces(), "\n".join(running.lines[-60:])


@pytest.fixture
async def http(hooked: Server) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=hooked.http, timeout=30) as client:
        yield client
        for row in (await client.get("/v1/webhooks")).json()["webhooks"]:
            await client.delete(f"/v1/webhooks/{row['id']}")


async def register(http: httpx2.AsyncClient, url: str, *events: str) -> dict[str, Any]:
    answer = await http.post("/v1/webhooks", json={"url": url, "events": list(events)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def speak(server: Server) -> list[dict[str, Any]]:
    """A whole session; what the server said."""
    async with started(server.ws()) as it:
        await it.send(SPOKEN, {"type": "stop"})
        assert await it.rest() == 1000
    return it.rows


async def test_a_verdict_that_changes_is_told_until_it_is_taken(hooked: Server, http: httpx2.AsyncClient) -> None:
    async with Receiver(500, 500) as receiver:
        made = await register(http, receiver.url, "session.verdict_changed")
        rows = await speak(hooked)
        wanted = [(row["as_of_ms"], row["verdict"]) for row in rows if row["type"] == "verdict" and row["changed"]]
        assert {"bonafide", "spoof"} <= {verdict for _, verdict in wanted}
        got: dict[str, list[Any]] = {}
        for _ in range(len(wanted) + 2):  # two that failed come again, each under the id it had
            line, headers, body = await receiver.next()
            assert line == "POST /hook?key=1 HTTP/1.1" and headers["content-type"] == "application/json"
            content = Webhook(made["secret"]).verify(body, headers)
            assert content["type"] == "session.verdict_changed" and content["data"]["session_id"] == rows[0]["session_id"]
            got.setdefault(headers["webhook-id"], []).append(content)
        assert all(each == contents[0] for contents in got.values() for each in contents)
        assert sorted((contents[0]["data"]["as_of_ms"], contents[0]["data"]["verdict"]) for contents in got.values()) == wanted
        info = (await http.get("/v1/webhooks")).json()["webhooks"][0]
        assert "secret" not in info and made["id"] == info["id"] and info["enabled"]


async def test_a_session_that_finished_is_told_whole(hooked: Server, http: httpx2.AsyncClient) -> None:
    async with Receiver() as receiver:
        made = await register(http, receiver.url, "session.finished")
        rows = await speak(hooked)
        _, headers, body = await receiver.next()
        data = Webhook(made["secret"]).verify(body, headers)["data"]
        assert data["session_id"] == rows[0]["session_id"] and data["state"] == "done" and data["duration_ms"] == 8000 and data["spoof_ranges"]


async def cut_off(server: Server) -> tuple[Row, int]:
    """A session whose line breaks after some speech; its `ready`, and the number of the last message."""
    async with started(server.ws()) as it:
        for at in range(0, len(SPOKEN), 16_000):
            await it.send(SPOKEN[at : at + 16_000])
            if at:
                await it.next("verdict")
            if any(ack["processed_ms"] for ack in it.of("ack")):  # another server can go on with it
                break
        it.abort()
    return it.rows[0], it.rows[-1]["seq"]


@pytest.mark.slow
async def test_a_session_nobody_came_back_to_is_broken_and_one_that_another_server_took_up_is_not(
    tmp_path: Path, toy: Path, redis_server: RedisServer
) -> None:
    """Two servers with one Redis and one database. The first session goes on elsewhere; the second, cut off after it, goes nowhere."""
    settings = {**LOCAL, "data_dir": tmp_path, "redis_url": redis_server.url(), "redis_timeout_seconds": 20, "resume_window_seconds": 8}
    async with Receiver() as receiver:
        with Server(tmp_path, toy, **settings) as here, Server(tmp_path, toy, **settings) as there:
            async with httpx2.AsyncClient(base_url=here.http, timeout=30) as http:
                await register(http, receiver.url, "session.finished")
            ready, seq = await cut_off(here)
            async with talk(there.ws()) as it:
                token = {"session_id": ready["session_id"], "resume_token": ready["resume_token"], "last_seq": seq}
                await it.send({"type": "start", "resume": token})
                again = await it.next("ready")
                await it.send(SPOKEN[again["resume"]["continue_from_ms"] * 32 :], {"type": "stop"})
                assert await it.rest() == 1000
            lost, _ = await cut_off(here)
            told = [json.loads((await receiver.next())[2])["data"] for _ in range(2)]
            assert {each["session_id"]: each["state"] for each in told} == {ready["session_id"]: "done", lost["session_id"]: "broken"}
            assert {"verdict", "duration_ms", "channels"} <= told[1].keys()
            assert receiver.got.empty() and not here.traces() and not there.traces()


async def test_what_a_server_left_behind_is_sent_by_the_next(tmp_path: Path, toy: Path) -> None:
    """The event is written down, the receiver is away, the server ends; the next one on the same database delivers it, under the same id."""
    async with Receiver(503) as receiver:
        settings = {**LOCAL, "data_dir": tmp_path, "webhook_retry_seconds": 1}
        with Server(tmp_path, toy, **settings) as first:
            async with httpx2.AsyncClient(base_url=first.http, timeout=30) as http:
                await register(http, receiver.url, "session.finished")
            await speak(first)
            _, before, _ = await receiver.next()
        with Server(tmp_path, toy, **settings) as second:
            _, after, _ = await receiver.next()
            assert after["webhook-id"] == before["webhook-id"] and not second.traces()


async def test_a_test_says_what_came_back(http: httpx2.AsyncClient) -> None:
    async with Receiver(204, 500) as receiver:
        made = await register(http, receiver.url, "session.finished")
        path = f"/v1/webhooks/{made['id']}/test"
        assert (await http.post(path)).json() == {"delivered": True, "status": 204, "problem": None}
        assert (await http.post(path)).json() == {"delivered": False, "status": 500, "problem": "It answered 500."}
        _, headers, body = await receiver.next()
        assert Webhook(made["secret"]).verify(body, headers)["type"] == "webhook.test"
    answer = (await http.post(path)).json()
    assert answer["status"] == 0 and not answer["delivered"] and answer["problem"]
    assert (await http.get("/v1/webhooks")).json()["webhooks"][0]["last_status"] == 0


PRIVATE = [
    "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data/", "https://[::1]:8000/", "https://localhost/x", "https://[::ffff:10.0.0.1]/",
    "http://127.0.0.1/", "https://127.0.0.1/", "ftp://example.com/", "https://user:key@example.com/", "nonsense",
]  # fmt: skip


@pytest.mark.parametrize("url", PRIVATE)
async def test_private_addresses_are_refused_when_they_are_registered(server: Server, url: str) -> None:
    async with httpx2.AsyncClient(base_url=server.http, timeout=30) as http:
        answer = await http.post("/v1/webhooks", json={"url": url, "events": ["session.finished"]})
        assert answer.status_code == 422 and answer.json()["code"] == "forbidden_address"


async def test_what_one_network_allows_another_does_not(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/webhooks", json={"url": "http://10.0.0.1/", "events": ["session.finished"]})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "bad_field"),
        ({"url": "https://example.com"}, 422, "bad_field"),
        ({"url": "https://example.com", "events": []}, 422, "bad_field"),
        ({"url": "https://example.com", "events": ["session.born"]}, 422, "bad_field"),
        ({"url": 5, "events": ["session.finished"]}, 422, "bad_field"),
        ({"url": "https://example.com", "events": ["session.finished"], "secret": "mine"}, 422, "bad_field"),
        ({"url": "https://example.com/" + "x" * 3000, "events": ["session.finished"]}, 422, "bad_field"),
        ([], 400, "bad_message"),
        ({"url": "x" * 10_000, "events": []}, 413, "upload_too_large"),
    ],
)
async def test_what_is_no_registration(http: httpx2.AsyncClient, body: Any, status: int, code: str) -> None:
    answer = await http.post("/v1/webhooks", content=json.dumps(body), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_webhooks_that_are_not_there(http: httpx2.AsyncClient) -> None:
    for answer in (await http.delete("/v1/webhooks/wh_0"), await http.post("/v1/webhooks/wh_0/test")):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_full_house(http: httpx2.AsyncClient) -> None:
    for _ in range(10):
        await register(http, "http://127.0.0.1:9/", "session.finished")
    answer = await http.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/", "events": ["session.finished"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")


async def test_who_may_manage_them(tmp_path: Path, toy: Path) -> None:
    """The key of an owner may; a browser token of that key, and a request without a key, may not."""
    with Server(tmp_path, toy, data_dir=tmp_path, api_key="the-key-of-this-server", **LOCAL) as keyed:
        async with httpx2.AsyncClient(base_url=keyed.http, timeout=30) as http:
            key = {"authorization": "Bearer the-key-of-this-server"}
            token = (await http.post("/v1/tokens", json={}, headers=key)).json()["token"]
            body = {"url": "http://127.0.0.1:9/", "events": ["session.finished"]}
            answers = [(await http.post("/v1/webhooks", json=body, headers=each)).status_code for each in (key, {"x-api-key": token}, {})]
            assert answers == [201, 403, 401]
            answers = [(await http.get("/v1/webhooks", headers=each)).status_code for each in (key, {"x-api-key": token}, {})]
            assert answers == [200, 403, 401] and not keyed.traces()
