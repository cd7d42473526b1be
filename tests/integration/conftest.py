"""Servers shared by the integration tests, and `unharmed`: what every abuse must leave intact.

Three processes serve the whole folder: `server` with the defaults, `hasty` with short times and small limits, `narrow` with few places.
A traceback that a server prints during a test fails that test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from app.scoring.load import Detector, load
from app.service.access import SCOPES
from tests.integration.doors import locked  # noqa: F401 - a fixture
from tests.integration.material import assert_same, encoded, outcome_here, outcome_of_answer, outcome_of_rows, wav_of
from tests.integration.pair import either, pair  # noqa: F401 - fixtures
from tests.integration.server import Server
from tests.integration.servers_of_others import (  # noqa: F401 - fixtures
    nginx_in_front,
    postgres_server,
    postgres_url,
    redis_server,
    redis_url,
)  # fmt: skip
from tests.integration.talk import Row, started
from tests.toy import make_model, voice

Unharmed = Callable[[Server], AbstractAsyncContextManager[None]]

KEEPALIVE_S = 0.3  # `hasty` closes after a second of silence
RUNNING: list[Server] = []
WIDE = ("key_requests_per_minute", "address_requests_per_minute", "detect_requests_per_minute", "detect_requests_per_hour")


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_model(tmp_path_factory.mktemp("models") / "toy")
    (folder / "report.html").write_text("<!doctype html><html lang=en><title>toy</title><p>What was measured of the toy.</p></html>\n", "utf-8")
    return folder


@pytest.fixture(scope="session")
def detector(toy: Path) -> Detector:
    """The servers' detector, in this process: what they must agree with."""
    return load(str(toy), toy.parent)


def _running(factory: pytest.TempPathFactory, model: Path, **settings: Any) -> Iterator[Server]:
    yield from _watched(Server(factory.mktemp("server"), model, **settings))


def _watched(server: Server) -> Iterator[Server]:
    with server as running:
        RUNNING.append(running)
        yield running
        RUNNING.remove(running)
        assert not running.traces(), "\n".join(running.lines[-60:])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[Server]:
    """All settings at their defaults."""
    yield from _running(tmp_path_factory, toy)


@pytest.fixture(scope="session")
def hasty(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[Server]:
    """Loses patience after a second, takes files of a megabyte and five seconds of live audio."""
    yield from _running(
        tmp_path_factory, toy, first="from app.web import protocol, stream; protocol.LINGER_S = stream.CLOSE_PATIENCE_S = 0.5\n",
        idle_timeout_seconds=1, handshake_timeout_seconds=1, send_timeout_seconds=1, resume_window_seconds=1.5, max_session_seconds=5,
        max_upload_bytes=1_000_000, max_upload_seconds=1, older_idle_timeout_seconds=1, max_audio_seconds=20,
    )  # fmt: skip


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[Server]:
    """Two streams, one upload, one socket on /ws."""
    yield from _running(tmp_path_factory, toy, max_streams=2, max_uploads=1, max_older_sockets=1, retry_after_ms=2500)


@pytest.fixture(scope="session")
def documented(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[tuple[Server, str]]:
    """What the documentation describes, with a key that may do everything. Its limits are so wide that only their headers show."""
    own = {"max_uploads": 64, "max_webhooks": 10_000, "webhook_allowed_networks": '["127.0.0.0/8"]', "webhook_allow_http": True}
    server = Server(tmp_path_factory.mktemp("documented"), toy, **own, **dict.fromkeys(WIDE, 10_000_000))
    key = server.make_key(*SCOPES)
    for running in _watched(server):
        yield running, key


@pytest.fixture(autouse=True)
def no_traces() -> Iterator[None]:
    before = {running: len(running.traces()) for running in RUNNING}
    yield
    for running in RUNNING:
        assert len(running.traces()) == before.get(running, 0), "the server printed a traceback:\n" + "\n".join(running.lines[-60:])


@pytest.fixture(scope="session")
def bystanders(detector: Detector) -> tuple[bytes, Row]:
    """What a bystander says, and what must come of it."""
    data = encoded(voice(4.0, "spoof"), "pcm_s16le")
    return data, asyncio.run(outcome_here(wav_of(data, "pcm_s16le", 16000, 1), detector))


@pytest.fixture
def unharmed(bystanders: tuple[bytes, Row]) -> Unharmed:
    """`async with unharmed(server): abuse` - a stream opened before it must end as if nothing had been, and the next file must be served."""

    @asynccontextmanager
    async def around(running: Server) -> AsyncIterator[None]:
        data, wanted = bystanders
        async with started(running.ws()) as bystander:
            await bystander.send(data[:50_001])
            await bystander.next("segment")
            patience = asyncio.create_task(_keep(bystander.connection.send))
            yield
            patience.cancel()
            await bystander.send(data[50_001:], {"type": "stop"})
            assert await bystander.rest() == 1000
            assert_same(outcome_of_rows(bystander.rows), wanted)
        async with httpx2.AsyncClient(timeout=30) as http:
            answer = await http.post(running.http + "/v1/detect", content=wav_of(data, "pcm_s16le", 16000, 1))
        assert answer.status_code == 200, answer.text
        assert_same(outcome_of_answer(answer.json()), wanted)

    return around


async def _keep(send: Callable[..., object]) -> None:
    with suppress(ConnectionClosed):
        while True:
            await asyncio.sleep(KEEPALIVE_S)  # the timer is what this task is for
            await send('{"type":"keepalive"}')  # type: ignore[misc]
