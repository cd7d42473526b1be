"""Connections without a network: `Line` joins a live client to the server's own streams and cuts the cable where told; `Script` is a server that
says what it was told to say.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from app.client.socket import Closed, Socket
from app.service.services import Services


class Line:
    """Connections to the server in memory. The first breaks after `cuts[0]` messages in both directions together, the next after `cuts[1]` …"""

    def __init__(self, services: Services, *cuts: int) -> None:
        self._services, self._cuts = services, list(cuts)
        self.opened = 0
        self.sent: list[str | bytes] = []

    @asynccontextmanager
    async def connect(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
        self.opened += 1
        cable = Cable(self._cuts.pop(0) if self._cuts else 1 << 30, self.sent)

        async def serve() -> None:
            cable.close(await self._services.streams.serve(cable.far, None))

        serving = asyncio.create_task(serve())
        try:
            yield cable
        finally:
            cable.close(1006)
            await serving


class Cable:
    """One connection: the client's end itself, `far` is the server's."""

    def __init__(self, cut_after: int, log: list[str | bytes]) -> None:
        self._left, self._log = cut_after, log
        self._up: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._down: asyncio.Queue[str | None] = asyncio.Queue()
        self._code: int | None = None
        self.far = Far(self)

    def close(self, code: int) -> None:
        if self._code is None:
            self._code = code
            self._up.put_nowait(None)
            self._down.put_nowait(None)

    def _pass(self) -> bool:
        self._left -= 1
        if self._left < 0:
            self.close(1006)
        return self._code is None

    async def send(self, data: str | bytes) -> None:
        await asyncio.sleep(0)
        if not self._pass():
            raise Closed(self._code or 1006, "cut")
        self._log.append(data)
        self._up.put_nowait(data)

    async def recv(self) -> str | bytes:
        text = await self._down.get()
        if text is None:
            raise Closed(self._code or 1006, "cut")
        return text


class Far:
    def __init__(self, cable: Cable) -> None:
        self.abandoned = False
        self._cable = cable

    async def receive(self) -> str | bytes | None:
        return await self._cable._up.get()

    async def send(self, text: str) -> None:
        if not self._cable._pass():
            raise ConnectionError
        self._cable._down.put_nowait(text)


class Script:
    """A server that says these things whatever it hears, then closes, or is silent (code None). `heard` is what it heard."""

    def __init__(self, says: list[Any], code: int | None, heard: list[str | bytes] | None = None) -> None:
        self._says, self._code, self._heard = says, code, [] if heard is None else heard

    async def send(self, data: str | bytes) -> None:
        await asyncio.sleep(0)
        self._heard.append(data)

    async def recv(self) -> str | bytes:
        await asyncio.sleep(0)
        if not self._says:
            if self._code is None:
                await asyncio.Event().wait()
            raise Closed(self._code or 1006, "over")
        said = self._says.pop(0)
        return said if isinstance(said, str) else json.dumps(said)


def ready() -> dict[str, Any]:
    return {"type": "ready", "seq": 1, "session_id": "s", "resume_token": "t", "limits": {"idle_timeout_seconds": 0.03}}


def scripted(says: list[Any], code: int | None = 1000, heard: list[str | bytes] | None = None) -> Callable[..., Any]:
    @asynccontextmanager
    async def connect(url: str, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
        yield Script(list(says), code, heard)

    return connect
