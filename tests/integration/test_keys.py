"""Keys over real requests: who is refused and how, rotation while requests run, several processes, proxies, pages; the command that makes them."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from app.service.keys import KeyRing, make_secret
from app.status import STATUS
from app.store.db import Database
from app.web.routes import ENDPOINTS
from tests.integration.doors import NO_LIMITS, QUICK, Keys, Locked, ask
from tests.integration.material import encoded, wav_of
from tests.integration.server import ROOT, VOXPROOF, Server
from tests.toy import voice

FILE = wav_of(encoded(voice(2.0, "spoof"), "pcm_s16le"), "pcm_s16le", 16000, 1)
PATIENCE_S = 10.0


def code_of(answer: httpx2.Response) -> str:
    code = str(answer.json()["code"])
    assert answer.status_code == STATUS[code].http
    assert ("www-authenticate" in answer.headers) is (answer.status_code == 401)
    return code


def eventually(found: object, answer: object) -> None:
    """Waits until `answer()` is `found`: another process has to see it."""
    end = time.monotonic() + PATIENCE_S
    while (last := answer()) != found:  # type: ignore[operator]
        assert time.monotonic() < end, last
        time.sleep(0.02)


# --- refusals


@pytest.fixture(scope="module")
def keyed(locked: Locked) -> dict[str, str | None]:
    """Keys of every kind by name; each must be refused for its own reason."""
    expired, revoked, narrow = locked.keys.make(lifetime_s=0.01), locked.keys.make(), locked.keys.make("enroll")
    locked.keys.revoke(revoked)
    return {
        "missing": None, "wrong": make_secret(), "mistyped": locked.keys.make().secret[:-1], "expired": expired.secret, "revoked": revoked.secret,
        "narrow": narrow.secret, "long": "k" * 50_000, "odd": "schl\u00fcssel".encode("latin-1").decode("latin-1"), "good": locked.keys.make().secret,
    }  # fmt: skip


REFUSALS = {
    "missing": "unauthorized", "wrong": "unauthorized", "mistyped": "unauthorized", "expired": "authorisation_expired", "revoked": "unauthorized",
    "narrow": "scope_missing", "long": "unauthorized", "odd": "unauthorized",
}  # fmt: skip


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
@pytest.mark.parametrize("kind", REFUSALS)
def test_requests_are_refused_for_their_own_reason(locked: Locked, keyed: dict[str, str | None], kind: str, header: str) -> None:
    secret = keyed[kind]
    value = (b"Bearer " if header == "Authorization" else b"") + (secret or "").encode("latin-1")
    answer = httpx2.post(locked.server.http + "/v1/detect", content=FILE, headers=[] if secret is None else [(header.encode(), value)], timeout=30)
    assert code_of(answer) == REFUSALS[kind]
    assert not secret or secret not in answer.text
    assert locked.ask(keyed["good"], "/v1/detect", content=FILE, json=None).json()["verdict"] == "spoof", "and the next good one is served"


def test_a_control_character_in_a_key_is_the_servers_own_400_and_no_harm(locked: Locked, keyed: dict[str, str | None]) -> None:
    answer = raw_answer(locked.server, b"X-API-Key: a\x01b\r\n")
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401")), answer
    assert locked.ask(keyed["good"]).status_code == 201


def raw_answer(server: Server, header: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST /v1/tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n" + header + b"\r\n")
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received


def test_two_keys_in_one_request(locked: Locked, keyed: dict[str, str | None]) -> None:
    good = str(keyed["good"])
    assert code_of(locked.ask(good, headers={"X-API-Key": make_secret()})) == "bad_request"
    assert locked.ask(good, headers={"X-API-Key": good}).status_code == 201


@pytest.mark.parametrize(
    "path",
    sorted(
        {row.path for row in ENDPOINTS if row.scope is None and row.method == "GET" and row.path != "/metrics"} | {"/static/js/page.js", "/nothing"}
    ),
)
def test_what_is_open_stays_open(locked: Locked, path: str) -> None:
    for headers in ({}, {"X-API-Key": "wrong"}):
        answer = httpx2.get(locked.server.http + path, headers=headers, timeout=30)
        assert answer.status_code == httpx2.get(locked.server.http + path, timeout=30).status_code != 401


@pytest.mark.parametrize("row", [row for row in ENDPOINTS if row.scope is not None], ids=lambda row: f"{row.method} {row.path}")
def test_everything_else_asks_for_a_key(locked: Locked, row: object) -> None:
    path = row.path.replace("{id}", "x").replace("{session_id}", "x").replace("{case_id}", "x")  # type: ignore[attr-defined]
    status = httpx2.request(row.method, locked.server.http + path, timeout=30).status_code  # type: ignore[attr-defined]
    assert status in (401, 403), "seed 002 says 403 where no key came"


def test_details_of_the_servers_health_are_for_administrators(locked: Locked, keyed: dict[str, str | None]) -> None:
    def verbose(secret: str | None) -> int:
        headers = {} if secret is None else {"X-API-Key": secret}
        return httpx2.get(locked.server.http + "/readyz?verbose", headers=headers, timeout=30).status_code

    assert [verbose(None), verbose(keyed["good"]), verbose(locked.keys.make("admin").secret)] == [401, 403, 200]


# --- changes while it runs


def test_rotation_without_downtime(locked: Locked) -> None:
    """Requests run all the time; the old key is replaced, the client changes over, the old one ends. None fails."""
    old = locked.keys.make()
    using, statuses, stop = [old.secret], [], threading.Event()

    def requests() -> None:
        with httpx2.Client(timeout=30) as client:
            while not stop.is_set():
                headers = {"Authorization": f"Bearer {using[0]}"}
                statuses.append(client.post(locked.server.http + "/v1/tokens", json={}, headers=headers).status_code)

    running = threading.Thread(target=requests)
    running.start()
    new = locked.keys.rotate(old, keep_s=3)
    assert new.key.owner == old.key.owner
    using[0] = new.secret
    eventually(401, lambda: locked.ask(old.secret).status_code)
    stop.set()
    running.join()
    assert len(statuses) > 20 and set(statuses) == {201}
    assert code_of(locked.ask(old.secret)) == "authorisation_expired"


def test_two_processes_see_a_revocation(locked: Locked, toy: Path, tmp_path: Path) -> None:
    new = locked.keys.make()
    with Server(tmp_path, toy, data_dir=locked.keys._folder, **QUICK) as other:
        assert [ask(each, new.secret).status_code for each in (locked.server, other)] == [201, 201]
        token = locked.token(new.secret)["token"]
        assert ask(other, token, "/v1/detect", content=FILE, json=None).status_code == 200, "a token of one process is good in the other"
        locked.keys.revoke(new)
        for each in (locked.server, other):
            eventually(401, lambda each=each: ask(each, new.secret).status_code)
        assert code_of(ask(other, token, "/v1/detect", content=FILE, json=None)) == "unauthorized"


def test_a_server_learns_of_its_first_key_and_does_not_forget_it(toy: Path, tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    with Server(tmp_path, toy, **QUICK) as running:
        assert ask(running, None).status_code == 201, "no keys yet: this machine may"
        env = {name: value for name, value in os.environ.items() if not name.startswith("VOXPROOF_")}
        env |= {"VOXPROOF_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
        made = subprocess.run([*VOXPROOF, "keys", "create", "ci"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True)
        secret = made.stdout.strip()
        eventually(401, lambda: ask(running, None).status_code)
        assert ask(running, secret).status_code == 201
        (key,) = keys.do(lambda ring: ring.every())
        assert key.name == "ci"
        eventually(True, lambda: keys.do(lambda ring: ring.every())[0].last_used_at is not None)  # noted beside the request
        keys.do(lambda ring: ring.revoke(key.id))
        eventually(401, lambda: ask(running, secret).status_code)
        assert ask(running, None).status_code == 401, "it does not open up again"
        assert not running.traces()
    with Server(tmp_path, toy) as again:
        eventually(True, lambda: "Keys: required." in again.lines)
        assert ask(again, None).status_code == 401, "nor when it starts with ended keys only"


async def test_the_life_of_keys_in_postgresql(postgres_url: str, tmp_path: Path) -> None:
    """The same in the other database; on SQLite it is tests/unit/test_keys.py."""
    database = Database(postgres_url, tmp_path)
    try:
        ring = KeyRing(database)
        made = await ring.create("ci", ["stream"], lifetime_s=1000)
        new, old = await ring.rotate(made.secret, keep_s=60)
        assert await ring.by_prefix(new.key.prefix) == new.key and old.expires_at is not None and old.expires_at < made.key.created_at + 100
        await ring.used(old)
        assert (await ring.revoke(old.id)).last_used_at is not None
        assert [key.id for key in await ring.active()] == [new.key.id] and len(await ring.every()) == 2 and await ring.any()
    finally:
        await database.close()


# --- no keys


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Whatever"])
def test_without_keys_nobody_comes_through_a_proxy(server: Server, header: str) -> None:
    assert code_of(ask(server, None, headers={header: "127.0.0.1"})) == "local_only"
    assert ask(server, None).status_code == 201


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1:8000"])
def test_without_keys_a_name_that_was_bent_to_this_machine_does_not_help(server: Server, host: str) -> None:
    assert code_of(ask(server, None, headers={"Host": host})) == "local_only"
    assert ask(server, None, headers={"Host": "localhost:1"}).status_code == 201


def test_without_keys_a_foreign_page_cannot_send_a_form(server: Server) -> None:
    assert code_of(ask(server, None, "/v1/detect", headers={"Origin": "https://evil.example"}, content=FILE, json=None)) == "foreign_origin"
    assert ask(server, None, "/v1/detect", headers={"Origin": server.http}, content=FILE, json=None).status_code == 200


# --- proxies, pages, and wrong keys by the thousand


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory, toy: Path, redis_url: str) -> Iterator[Locked]:
    """Behind a proxy on this machine, open to one foreign page, with the usual limit of wrong keys counted in Redis."""
    folder = tmp_path_factory.mktemp("proxied")
    limits = {**NO_LIMITS, "max_key_failures_per_minute": 30}
    page = json.dumps(["https://app.example"])
    with Server(folder, toy, redis_url=redis_url, trusted_proxies='["127.0.0.1"]', cors_origins=page, **QUICK, **limits) as running:
        yield Locked(running, Keys(folder))
        assert not running.traces(), "\n".join(running.lines[-60:])


def client_at(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": f"6.6.6.6, {address}"}


def test_a_trusted_proxy_without_keys_is_still_a_proxy(proxied: Locked) -> None:
    if proxied.keys.secrets:
        pytest.skip("keys were made already")
    assert code_of(proxied.ask(None)) == code_of(proxied.ask(None, headers=client_at("127.0.0.1"))) == "local_only"


def test_a_thousand_wrong_keys_lock_nobody_else_out(proxied: Locked, toy: Path, tmp_path: Path, redis_url: str) -> None:
    used, fresh = proxied.keys.make(), proxied.keys.make()
    eventually(201, lambda: proxied.ask(used.secret, headers=client_at("198.51.100.1")).status_code)
    limits = {**NO_LIMITS, "max_key_failures_per_minute": 30}
    with Server(tmp_path, toy, data_dir=proxied.keys._folder, redis_url=redis_url, trusted_proxies='["127.0.0.1"]', **QUICK, **limits) as other:
        told = []
        lines = [http.client.HTTPConnection("127.0.0.1", each.port, timeout=30) for each in (proxied.server, other)]
        for number in range(1000):
            line = lines[number // 2 % 2]
            headers = {**client_at("198.51.100.1"), "X-API-Key": make_secret() if number % 2 else f"guess-{number}"}
            answer = post(line, {**headers, "Content-Type": "application/json"})
            told.append((answer.status, answer.headers["Retry-After"], json.loads(answer.read())["code"]))
        statuses = [status for status, _, _ in told]
        # A minute of the clock may end meanwhile, and counts anew then; both servers count together.
        assert set(statuses) == {401, 429} and statuses.count(401) <= 30 * (2 + 1) and statuses[:30].count(429) == 0
        assert all(code == "rate_limited" and 1 <= int(wait) <= 60 for status, wait, code in told if status == 429)
        for good in (used, fresh):
            for each in (proxied.server, other):
                assert ask(each, good.secret, headers=client_at("198.51.100.1")).status_code == 201
        assert code_of(proxied.ask(make_secret(), headers=client_at("198.51.100.2"))) == "unauthorized", "the neighbour is not meant"
        eventually(True, lambda: any('"unauthorized"' in line and '"address": "198.51.100.2"' in line for line in proxied.server.lines))
        assert not other.traces()


def post(line: http.client.HTTPConnection, headers: dict[str, str]) -> http.client.HTTPResponse:
    """On a kept connection; once more on a new one, where a machine that stood still for seconds let the server close it."""
    try:
        line.request("POST", "/v1/tokens", b"{}", headers)
        return line.getresponse()
    except ConnectionError:
        line.close()
        line.request("POST", "/v1/tokens", b"{}", headers)
        return line.getresponse()


def test_only_listed_pages_read_answers_and_only_of_v1(proxied: Locked, locked: Locked) -> None:
    key = proxied.keys.make().secret
    eventually(201, lambda: proxied.ask(key).status_code)
    allowed, foreign = {"Origin": "https://app.example"}, {"Origin": "https://evil.example"}
    answer = proxied.ask(key, headers=allowed)
    assert (
        answer.headers["Access-Control-Allow-Origin"] == "https://app.example" and "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]
    )
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert proxied.ask(None, headers=allowed).headers["Access-Control-Allow-Origin"] == "https://app.example", "a refusal can be read too"
    assert "Access-Control-Allow-Origin" not in proxied.ask(key, headers=foreign).headers
    assert "Access-Control-Allow-Origin" not in proxied.ask(key, "/analyze", headers=allowed).headers
    assert "Access-Control-Allow-Origin" not in locked.ask(locked.keys.secrets[0], headers=allowed).headers, "off by default"
    asked = {**allowed, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    for running, status in ((proxied.server, 200), (locked.server, 204)):
        preflight = httpx2.options(running.http + "/v1/detect", headers=asked, timeout=30)
        assert preflight.status_code == status and ("Access-Control-Allow-Headers" in preflight.headers) is (status == 200)
