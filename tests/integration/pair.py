"""Two real servers that share PostgreSQL, Redis and a folder of objects, for the tests of sessions and reports; keys of several owners.

`bank` has keys that detect, stream, report, and do everything but report; `rival` and `archive` are other owners.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.service.access import SCOPES
from app.service.keys import KeyRing
from app.store.db import Database
from tests.integration.doors import NO_LIMITS
from tests.integration.material import encoded, wav_of
from tests.integration.server import Server
from tests.integration.servers_of_others import PostgresServer, RedisServer
from tests.toy import voice

SPOKEN = encoded(voice(4.0, "spoof"), "pcm_s16le")
WAV = wav_of(SPOKEN, "pcm_s16le", 16000, 1)
SAR = "/v1/reports/sar"
HOSTILE = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>{{7*7}}\u202e=cmd|' /C calc'!A0 \N{SNOWMAN}"
OTHERS = tuple(scope for scope in SCOPES if scope != "reports")


@dataclass
class Pair:
    """Two servers, and the keys to them."""

    one: Server
    two: Server
    keys: dict[str, str]
    http: httpx2.Client

    def ask(self, method: str, path: str, key: str = "reports", server: Server | None = None, **options: Any) -> httpx2.Response:
        headers = {**({"Authorization": f"Bearer {self.keys[key]}"} if key else {}), **options.pop("headers", {})}
        return self.http.request(method, (server or self.one).http + path, headers=headers, **options)

    def file(self, session_id: str = "call-1", key: str = "reports", server: Server | None = None, **fields: Any) -> httpx2.Response:
        headers = fields.pop("headers", {})
        report = {"session_id": session_id, "decision": "review", "reason": "It sounded odd.", **fields}
        return self.ask("POST", SAR, key, server, json=report, headers=headers)

    def detect(self, server: Server | None = None) -> dict[str, Any]:
        answer = self.ask("POST", "/v1/detect", "detect", server, content=WAV, headers={"content-type": "audio/wav"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


async def made(url: str) -> dict[str, str]:
    database = Database(url, Path("/nonexistent"))
    ring = KeyRing(database)
    wanted = {
        "detect": (("detect",), "bank"), "stream": (("stream",), "bank"), "reports": (("reports",), "bank"), "others": (OTHERS, "bank"),
        "rival": (("reports", "detect"), "rival"), "many": (("reports",), "archive"),
    }  # fmt: skip
    try:
        return {name: (await ring.create(name, scopes, owner=owner)).secret for name, (scopes, owner) in wanted.items()}
    finally:
        await database.close()


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory, toy: Path, postgres_server: PostgresServer, redis_server: RedisServer) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    database, redis = postgres_server.url(), redis_server.url()
    keys = asyncio.run(made(database))
    shared = {
        "data_dir": folder, "database_url": database, "redis_url": redis, "session_record_every_seconds": 0.2, "resume_window_seconds": 0.5,
        "log_level": "debug", "log_format": "json", "metrics_public": True, **NO_LIMITS,
    }  # fmt: skip
    with Server(folder, toy, **shared) as one, Server(folder, toy, **shared) as two, httpx2.Client(timeout=30) as http:
        yield Pair(one, two, keys, http)
        assert not one.traces() and not two.traces(), "\n".join([*one.lines[-40:], *two.lines[-40:]])


@pytest.fixture(params=["first", "second"])
def either(request: pytest.FixtureRequest, pair: Pair) -> Server:
    return pair.one if request.param == "first" else pair.two
