"""Keys for the servers of the tests, made in the database while they run, as `voxproof keys` makes them; and the fixture `locked`.

`locked` asks for keys, is quick to forget (a verified key 0.3 s, a token's least life 1 s) and logs everything: what it printed must hold no secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest

from app.service.keys import DEFAULT_SCOPES, KeyRing, NewKey
from app.store.db import Database
from tests.integration.server import Server
from tests.integration.talk import S16

T = TypeVar("T")

START = {"type": "start", "audio": S16}
QUICK = {"key_cache_seconds": 0.3, "key_check_seconds": 0.3, "token_timeout_seconds": 1}
SHORT_TOKENS = "from app.service import tokens; tokens.MIN_SECONDS = 1\n"
NO_LIMITS = {
    "max_key_failures_per_minute": 100_000, "key_requests_per_minute": 0, "address_requests_per_minute": 0, "key_streams": 0, "address_streams": 0,
}  # fmt: skip


class Keys:
    """The keys of a server whose data is in `folder`. `secrets` are all that were ever made, tokens too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.secrets: list[str] = []

    def make(self, *scopes: str, **options: Any) -> NewKey:
        new = self.do(lambda ring: ring.create("test", scopes or DEFAULT_SCOPES, **options))
        self.secrets.append(new.secret)
        return new

    def rotate(self, new: NewKey, keep_s: float) -> NewKey:
        other, _ = self.do(lambda ring: ring.rotate(new.key.id, keep_s))
        self.secrets.append(other.secret)
        return other

    def revoke(self, new: NewKey) -> None:
        self.do(lambda ring: ring.revoke(new.key.id))

    def do(self, work: Callable[[KeyRing], Awaitable[T]]) -> T:
        async def done() -> T:
            database = Database(None, self._folder)
            try:
                return await work(KeyRing(database))
            finally:
                await database.close()

        return asyncio.run(done())


class Locked:
    def __init__(self, server: Server, keys: Keys) -> None:
        self.server, self.keys = server, keys

    def ask(self, secret: str | None, path: str = "/v1/tokens", **options: Any) -> httpx2.Response:
        """A POST of an empty object: on /v1/tokens 201 for whoever is admitted."""
        return ask(self.server, secret, path, **options)

    def token(self, secret: str, seconds: int = 60) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(secret, json={"expires_in_seconds": seconds}).json()
        self.keys.secrets.append(found["token"])
        return found


def ask(server: Server, secret: str | None, path: str = "/v1/tokens", headers: dict[str, str] | None = None, **options: Any) -> httpx2.Response:
    sent = {**({} if secret is None else {"Authorization": f"Bearer {secret}"}), **(headers or {})}
    return httpx2.post(server.http + path, headers=sent, timeout=30, **{"json": {}, **options})


def with_key(secret: str) -> dict[str, Any]:
    """Options for a WebSocket client."""
    return {"additional_headers": {"X-API-Key": secret}}


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("locked")
    keys = Keys(folder)
    keys.make()
    with Server(folder, toy, first=SHORT_TOKENS, log_level="debug", **QUICK, **NO_LIMITS) as running:
        yield Locked(running, keys)
        assert not running.traces(), "\n".join(running.lines[-60:])
    printed = "\n".join(running.lines)
    for secret in keys.secrets:
        assert secret not in printed and secret[16:] not in printed, "a secret was printed"
