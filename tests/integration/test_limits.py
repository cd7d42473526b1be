"""Limits as a client meets them: exact at the boundary under concurrency and across two processes, in every answer's headers, and with Redis away."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.audio import wav
from tests.integration.server import Server
from tests.integration.servers_of_others import RedisServer
from tests.integration.talk import S16, talk
from tests.toy import voice

KEY = "integration-test-key-0123456789"
BEARER = {"Authorization": f"Bearer {KEY}"}
IETF = ("ratelimit", "ratelimit-policy")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, toy: Path, redis_url: str) -> Iterator[tuple[Server, Server]]:
    """Two servers that share a Redis, and a key."""
    settings: dict[str, Any] = {
        "redis_url": redis_url, "api_key": KEY, "key_requests_per_minute": 40, "key_streams": 2, "key_audio_seconds_per_day": 12,
        "retry_after_ms": 300, "max_uploads": 200, "redis_timeout_seconds": 20,  # a test machine may be slow
    }  # fmt: skip
    folders = [tmp_path_factory.mktemp("limits") for _ in range(2)]
    with Server(folders[0], toy, data_dir=folders[0], **settings) as one, Server(folders[1], toy, data_dir=folders[0], **settings) as two:
        yield one, two
        assert not one.traces() + two.traces(), "\n".join(one.lines[-30:] + two.lines[-30:])


async def posted(urls: list[str], **request: Any) -> list[httpx2.Response]:
    """All at once."""
    limits = httpx2.Limits(max_connections=100)
    async with httpx2.AsyncClient(timeout=60, limits=limits) as http:
        return await asyncio.gather(*(http.post(url, **request) for url in urls))


def assert_exact(answers: list[httpx2.Response], most: int, before: int = 0) -> None:
    """In each minute as many passed as may, and the headers counted them down. A test may run into the next minute; `before`: used up by others."""
    tried = Counter(answer.headers["x-ratelimit-reset"] for answer in answers)
    assert all(int(reset) % 60 == 0 for reset in tried)
    for reset, count in tried.items():
        here = [answer for answer in answers if answer.headers["x-ratelimit-reset"] == reset]
        passed = [answer for answer in here if answer.status_code != 429]
        left = sorted(int(a.headers["x-ratelimit-remaining"]) for a in passed)
        assert most - before <= left[-1] + 1 <= most and len(passed) == min(left[-1] + 1, count)
        assert left == list(range(left[-1] + 1 - len(passed), left[-1] + 1))
        for answer in here:
            assert answer.headers["x-ratelimit-limit"] == str(most)
            if answer.status_code == 429:
                assert answer.headers["x-ratelimit-remaining"] == "0" and 1 <= int(answer.headers["retry-after"]) <= 60


async def test_sixty_of_a_hundred_at_once_pass_in_one_process(tmp_path: Path, toy: Path) -> None:
    """The default: no keys, no Redis. What is refused for its body is counted too, for it is counted before the body is read."""
    with Server(tmp_path, toy, data_dir=tmp_path, max_uploads=200) as alone:
        answers = await posted([alone.http + "/detect"] * 100, json={})
        assert_exact(answers, 60)
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert list(refused.json()) == ["detail"] and not any(name in refused.headers for name in IETF)
        assert {answer.status_code for answer in answers} == {422, 429}
        # Another address of this machine is somebody else; and the native routes are not limited here.
        other = httpx2.AsyncHTTPTransport(local_address="127.0.0.2")
        async with httpx2.AsyncClient(transport=other) as http:
            assert (await http.post(alone.http + "/detect", json={})).headers["x-ratelimit-remaining"] == "59"
        native = httpx2.post(alone.http + "/v1/detect", content=b"")
        assert native.status_code == 422 and "x-ratelimit-limit" not in native.headers
        assert not alone.traces()


async def test_a_wrong_key_counts_against_its_address(pair: tuple[Server, Server]) -> None:
    one, _ = pair
    (wrong,) = await posted([one.http + "/v1/detect"], content=b"", headers={"Authorization": "Bearer nonsense"})
    assert wrong.status_code == 401
    assert wrong.headers["x-ratelimit-limit"] == "1200" and wrong.headers["ratelimit-policy"] == '"address";q=1200;w=60'
    open_route = httpx2.get(one.http + "/livez")
    assert "x-ratelimit-limit" not in open_route.headers


async def test_streams_at_once_over_two_processes(pair: tuple[Server, Server]) -> None:
    one, two = pair
    start = {"type": "start", "audio": S16}
    async with talk(one.ws(), additional_headers=BEARER) as a, talk(two.ws(), additional_headers=BEARER) as b:
        for each in (a, b):
            await each.send(start)
            await each.next("ready")
        async with talk(two.ws(), additional_headers=BEARER) as third:
            await third.send(start)
            error = await third.next("error")
            assert (error["code"], error["close_code"], error["retry_after_ms"]) == ("rate_limited", 4429, 300)
            assert await third.rest() == 4429
        for each in (a, b):
            await each.send({"type": "stop"})
            assert await each.rest() == 1000


async def test_the_days_audio_ends_a_stream_and_refuses_files(pair: tuple[Server, Server]) -> None:
    one, two = pair
    async with httpx2.AsyncClient(timeout=60, headers=BEARER) as http:
        first = await http.post(one.http + "/v1/detect", content=wav(voice(3.0)))
        assert first.status_code == 200
        async with talk(two.ws(), additional_headers=BEARER) as it:
            await it.send({"type": "start", "audio": S16})
            await it.next("ready")
            for _ in range(12):
                await it.send(voice(1.0).tobytes())
            error = await it.next("error")
            assert (error["code"], error["fatal"], error["close_code"]) == ("quota_exceeded", True, 4429)
            assert 0 < error["retry_after_ms"] <= 86_400_000
            assert await it.rest() == 4429
        over = await http.post(one.http + "/v1/detect", content=wav(voice(1.0)))
        assert (over.status_code, over.json()["code"]) == (429, "quota_exceeded") and int(over.headers["retry-after"]) >= 1


async def test_and_across_two_processes_with_redis(pair: tuple[Server, Server]) -> None:
    answers = await posted([server.http + "/detect" for server in pair] * 50, json={}, headers={"X-API-Key": KEY})
    assert_exact(answers, 60)
    answers = await posted([server.http + "/v1/detect" for server in pair] * 30, content=b"", headers=BEARER)
    assert_exact(answers, 40, before=12)
    refused = [answer for answer in answers if answer.status_code == 429]
    problem = refused[0].json()
    assert problem["code"] == "rate_limited" and problem["retryable"] and 0 < problem["retry_after_ms"] <= 60_000
    for answer in answers:
        assert answer.headers["ratelimit-policy"] == '"address";q=1200;w=60, "key";q=40;w=60'
        assert answer.headers["ratelimit"].split(", ")[1].startswith(f'"key";r={answer.headers["x-ratelimit-remaining"]};t=')


async def test_without_redis_nobody_hangs(tmp_path: Path, toy: Path, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    own = RedisServer(tmp_path_factory.mktemp("redis-own"))
    url, folder = own.url(), tmp_path_factory.mktemp("server")
    shared: dict[str, Any] = {"redis_url": url, "redis_timeout_seconds": 0.3, "data_dir": folder, "max_uploads": 200}
    with Server(folder, toy, **shared) as allows, Server(folder, toy, limits_when_store_fails="refuse", **shared) as refuses:
        for server in (allows, refuses):
            assert (await posted([server.http + "/detect"], json={}))[0].status_code == 422
        own.end()
        answers = await asyncio.wait_for(posted([allows.http + "/detect"] * 100, json={}), 20)
        assert_exact(answers, 60)  # it counts by itself
        answers = await asyncio.wait_for(posted([refuses.http + "/detect"] * 20, json={}), 20)
        assert {answer.status_code for answer in answers} == {503} and all(answer.headers["retry-after"] == "1" for answer in answers)
        assert sum("does not answer" in line for line in allows.lines) == 1
        assert not any(url in json.dumps(line) for line in allows.lines + refuses.lines)
        assert not allows.traces() + refuses.traces()
