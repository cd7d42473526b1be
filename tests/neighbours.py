"""Servers that share a store, in one process: worlds of `tests.peer` whose shelves stand on one cache, which can stand still or be away.

`speaking` is a client in the middle of a session; `goes_on` takes the session up elsewhere and gives all that was heard, by whomever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from app.core.errors import StoreUnavailable
from app.service.resume import Shelf
from app.store.cache import MemoryCache
from app.store.holding import Held
from tests.fake import facts, open_session, play, s16, speechlike
from tests.peer import PATIENCE_S, START, Peer, World, plain, world

AUDIO = s16(speechlike(9.3))
WANTED = facts(play(open_session(), [AUDIO]))
STOP = {"type": "stop"}


class Redis(MemoryCache):
    """The store of several worlds. `door` closed: nothing is answered. `away`: it cannot be reached."""

    def __init__(self) -> None:
        super().__init__()
        self.door, self.away, self.holds = asyncio.Event(), False, 0
        self.door.set()

    async def hold(self, key: str, holder: bytes, value: bytes, ttl_s: float) -> bool:
        await self._answer()
        self.holds += 1
        return await super().hold(key, holder, value, ttl_s)

    async def seize(self, key: str, holder: bytes, ttl_s: float) -> Held | None:
        await self._answer()
        return await super().seize(key, holder, ttl_s)

    async def let_go(self, key: str, holder: bytes) -> None:
        await self._answer()
        await super().let_go(key, holder)

    async def _answer(self) -> None:
        await self.door.wait()
        if self.away:
            raise StoreUnavailable("Redis cannot be reached.")


class Line(Redis):
    """A server's own line to the shared store, which dies with the server."""

    def __init__(self, shared: Redis) -> None:
        super().__init__()
        self.shared = shared

    async def hold(self, key: str, holder: bytes, value: bytes, ttl_s: float) -> bool:
        await self._answer()
        return await self.shared.hold(key, holder, value, ttl_s)

    async def seize(self, key: str, holder: bytes, ttl_s: float) -> Held | None:
        await self._answer()
        return await self.shared.seize(key, holder, ttl_s)

    async def let_go(self, key: str, holder: bytes) -> None:
        await self._answer()
        await self.shared.let_go(key, holder)


@asynccontextmanager
async def server(redis: Redis, every_ms: int = 1000, timeout_s: float = PATIENCE_S, **settings: Any) -> AsyncIterator[World]:
    line = Line(redis)
    async with world(shelf=Shelf(line, ttl_s=60, every_ms=every_ms, timeout_s=timeout_s), **settings) as here:
        here.line = line  # type: ignore[attr-defined]
        yield here


def kill(here: World, *peers: Peer) -> None:
    """From now on this server stores nothing and is not heard."""
    here.line.away = True  # type: ignore[attr-defined]
    for each in peers:
        each.leave()


async def drain(here: World, seconds: float = PATIENCE_S) -> None:
    await here.streams.drain(asyncio.get_running_loop().time() + seconds)


async def speaking(here: World, sent: int, segments: int) -> tuple[Peer, asyncio.Task[int]]:
    """A client that has sent so many bytes, and has heard so many segments, which may be fewer than there will be."""
    peer = Peer(START)
    serving = here.serve(peer)
    await speak(peer, 0, sent, segments)
    await peer.hears("ready")
    return peer, serving


async def speak(peer: Peer, start: int, stop: int, segments: int) -> None:
    """Half a second at a time, and goes on when it has its segment."""
    for at in range(start, stop, 16_000):
        peer.say(AUDIO[at : min(at + 16_000, stop)])
        due = min(at + 16_000, stop) // 16_000 - 1
        await peer.until(lambda due=due: len(peer.of("segment")) >= min(due, segments))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - a store has no bell
            await asyncio.sleep(0.01)


async def goes_on(here: World, before: list[Peer], peer: Peer) -> list[dict[str, Any]]:
    """`peer` is served with the rest. Gives all that was heard, by whomever, less what came twice after a kill."""
    serving = here.serve(peer)
    ready = await peer.hears("ready")
    assert ready["resume"]["accepted"] and ready["seq"] == 1
    processed_ms = max((m["processed_ms"] for each in before for m in each.of("ack")), default=0)
    assert ready["resume"]["continue_from_ms"] >= processed_ms, "audio that the client has forgotten"
    peer.say(AUDIO[ready["resume"]["continue_from_ms"] * 32 :], STOP)
    assert await here.code(serving) == 1000
    heard = [m for each in (*before, peer) for m in each.heard if m["type"] not in ("ready", "error")]
    numbers = [m["seq"] for m in heard]
    assert numbers == list(range(2, len(heard) + 2))  # whoever says it: no number is missing, none comes twice
    return heard


def once(heard: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the facts that came again."""
    out: list[dict[str, Any]] = []
    for fact in plain(heard):
        if fact not in out:
            out.append(fact)
    return out
