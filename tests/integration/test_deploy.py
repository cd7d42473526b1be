"""`deploy/nginx.conf` in a real nginx before two real servers: streams, uploads, refusals, a server that is gone; and the image's health check.

`tests/test_deploy.py` reads the rest.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from app.scoring.load import Detector
from tests.integration.material import assert_same, encoded, outcome_here, outcome_of_answer, outcome_of_rows, wav_of
from tests.integration.nginx import access_log, config_for
from tests.integration.processes import free_port
from tests.integration.server import Server
from tests.integration.talk import S16, Talk, talk
from tests.toy import voice

InFront = Callable[[Sequence[int]], AbstractContextManager[str]]
KEY = "test-key-of-the-deployment"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[list[Server]]:
    folder = tmp_path_factory.mktemp("deployed")
    settings: dict[str, Any] = {"data_dir": folder / "data", "trusted_proxies": '["127.0.0.1"]', "api_key": KEY}
    with Server(folder, toy, **settings) as one, Server(folder, toy, **settings) as two:
        yield [one, two]


@pytest.fixture(scope="module")
def front(pair: list[Server], nginx_in_front: InFront) -> Iterator[str]:
    with nginx_in_front([server.port for server in pair]) as url:
        yield url


def test_the_configuration_is_taken_without_a_warning(nginx_in_front: InFront, tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(config_for([1], 2, tmp_path), "utf-8")
    tested = subprocess.run(["/usr/sbin/nginx", "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    assert not [line for line in tested.stderr.splitlines() if "[warn]" in line or "[emerg]" in line], tested.stderr


async def test_streams_are_spread_and_come_through_whole(front: str, pair: list[Server], detector: Detector) -> None:
    data = encoded(voice(3.0, "spoof"), "pcm_s16le")
    wanted = await outcome_here(wav_of(data, "pcm_s16le", 16000, 1), detector)
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(opened(front)) for _ in range(4)]
        assert [(await asyncio.to_thread(server.state))["streams"] for server in pair] == [2, 2]
        for line in lines:
            for at in range(0, len(data), 3200):
                await line.send(data[at : at + 3200])
            assert (await line.next("segment"))["index"] == 0  # before the end was sent: nothing on the way waits for more
            await line.send({"type": "stop"})
            assert await line.rest() == 1000
            assert_same(outcome_of_rows(line.rows), wanted)


async def test_a_page_of_the_proxys_own_origin_may_open_a_stream(front: str) -> None:
    async with opened(front, Origin=front) as line:
        await line.send({"type": "stop"})
        assert await line.rest() == 1000
    with pytest.raises(InvalidStatus) as refused:
        async with opened(front, Origin="https://elsewhere.example"):
            pass
    assert refused.value.response.status_code == 403


async def test_uploads_come_through_whole_and_large(front: str, detector: Detector) -> None:
    """Larger than what nginx holds in memory, and than its default limit of a megabyte."""
    data = encoded(voice(40.0, "spoof"), "pcm_f32le")
    sound = wav_of(data, "pcm_f32le", 16000, 1)
    assert len(sound) > 2 << 20
    wanted = await outcome_here(sound, detector)
    async with httpx2.AsyncClient(timeout=60, trust_env=False, headers={"X-API-Key": KEY}) as http:
        for answer in (await http.post(front + "/v1/detect", content=sound), await http.post(front + "/v1/detect", files={"file": sound})):
            assert answer.status_code == 200, answer.text
            assert_same(outcome_of_answer(answer.json()), wanted)


async def test_our_refusals_come_through_in_our_words(front: str, pair: list[Server]) -> None:
    async with httpx2.AsyncClient(timeout=60, trust_env=False) as http:
        refused = await http.post(front + "/v1/detect", content=b"x" * 5_000_000)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
        too_large = await http.post(front + "/v1/detect", content=b"x" * (52 << 20), headers={"X-API-Key": KEY})
        assert (too_large.status_code, too_large.json()["code"]) == (413, "upload_too_large")
        nothing = await http.get(front + "/nothing")
        assert (nothing.status_code, nothing.json()["code"]) == (404, "not_found")
        assert (await http.get(front + "/metrics")).status_code == 404
        assert (await http.get(front + "/livez")).json() == {"status": "ok"}
        assert (await http.get(front + "/static/js/live/live.js")).status_code == 200


async def test_the_server_learns_the_clients_address_and_believes_nobody_else(front: str, pair: list[Server]) -> None:
    claims = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9"}
    transport = httpx2.AsyncHTTPTransport(local_address="127.0.0.77")
    async with httpx2.AsyncClient(timeout=60, trust_env=False, transport=transport, headers=claims | {"X-API-Key": KEY}) as http:
        assert (await http.post(front + "/v1/detect", content=b"x")).status_code == 415

    def told(address: str) -> list[str]:
        return [line for server in pair for line in server.lines if address in line and "/v1/detect" in line]

    async with asyncio.timeout(10):
        while not told("127.0.0.77"):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
    assert not told("203.0.113.9")


async def test_a_server_that_is_gone_is_passed_over(toy: Path, nginx_in_front: InFront, pair: list[Server]) -> None:
    """New streams and requests go to the one that is left; nothing of it reaches the client."""
    with nginx_in_front([free_port(), pair[0].port]) as url:
        for _ in range(6):
            async with opened(url) as line:
                await line.send({"type": "stop"})
                assert await line.rest() == 1000
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as http:
            assert {(await http.get(url + "/livez")).status_code for _ in range(6)} == {200}


async def test_no_token_stands_in_the_log(nginx_in_front: InFront, pair: list[Server]) -> None:
    with nginx_in_front([pair[0].port]) as url:
        async with talk(url.replace("http", "ws", 1) + "/v1/stream?encoding=pcm_s16le&sample_rate=16000&token=hunter2") as line:
            await line.rest()
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as http:
            await http.get(url + "/livez?token=hunter2")
        rows = [json.loads(row) for row in access_log(url).splitlines()]
    assert [row["path"] for row in rows] == ["/v1/stream", "/livez"]
    assert all(row["client"] == "127.0.0.1" and "hunter2" not in str(row) for row in rows)


def test_the_images_health_check_tells_a_server_from_none(pair: list[Server]) -> None:
    text = (Path(__file__).resolve().parents[2] / "deploy" / "Dockerfile").read_text("utf-8")
    command = json.loads(text.split("HEALTHCHECK", 1)[1].split("CMD ", 1)[1].splitlines()[0])
    assert command[0] == "python"
    for port, healthy in ((pair[0].port, True), (free_port(), False)):
        env = {"VOXPROOF_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
        checked = subprocess.run([sys.executable, *command[1:]], env=env, capture_output=True, timeout=30, check=False)
        assert (checked.returncode == 0) is healthy, checked.stderr.decode()


@asynccontextmanager
async def opened(front: str, **headers: str) -> AsyncIterator[Talk]:
    url = front.replace("http", "ws", 1) + "/v1/stream"
    async with talk(url, additional_headers={"X-API-Key": KEY, **headers}) as line:
        await line.send({"type": "start", "audio": S16})
        await line.next("ready")
        yield line
