"""Sessions that outlive their process: snapshots in Redis, taken while a session runs, and who holds a session when two servers know it.

A client forgets audio that is acknowledged as processed, so with snapshots an `ack` names what the last *stored* snapshot holds: whoever kills
this process loses nothing, for every client still has what the snapshot lacks. Taking a snapshot costs the event loop a tenth of a millisecond;
storing it happens beside the stream, one at a time for each, and no message waits for it. Where Redis fails, acknowledgements go on without
snapshots: the session lives, and is lost only if its server is lost too.

The key of a snapshot is a hash of owner, session id and resume token: nobody finds a session but who may have it, and no token is stored.
A snapshot has a holder. Whoever resumes a session elsewhere becomes its holder, and the former one learns it when next it stores: taken over.

`Shelf`: one per process, made by `main`. `Keeper`: one per session, driven by its stream.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from app.core.errors import StoreUnavailable
from app.core.session import Session
from app.core.snapshot import Said, snapshot
from app.store.cache import Cache
from app.store.holding import HOLDER_BYTES, Held

REPLAY_BYTES = 32 << 10  # of messages in a snapshot: half a minute of them, for a client that heard none of it
WRITES = 8  # at once, of all sessions
LAST_PATIENCE = 3  # a server that ends hands all its sessions over at once
RENEWALS = 3  # within the time a snapshot lives, for a session that sends nothing

log = logging.getLogger(__name__)


class Shelf:
    """Where snapshots lie. Nothing here raises for a store that cannot be reached."""

    def __init__(self, cache: Cache, *, ttl_s: float, every_ms: int, timeout_s: float) -> None:
        """`every_ms`: media between two snapshots of a running session; 0 takes one only when its connection ends."""
        self._cache, self.ttl_s, self.every_ms, self._timeout_s = cache, ttl_s, every_ms, timeout_s
        self._room = asyncio.Semaphore(WRITES)
        self.stored = self.failures = self.stored_bytes = 0

    async def hold(self, key: str, holder: bytes, data: bytes, *, last: bool = False) -> bool | None:
        """Stores it. False: another server holds the session now. None: it could not be stored. `last`: there will be no other chance."""
        try:
            async with asyncio.timeout(self._timeout_s * (LAST_PATIENCE if last else 1)), self._room:
                held = await self._cache.hold(key, holder, data, self.ttl_s)
        except (StoreUnavailable, TimeoutError):
            self.failures += 1
            return None
        self.stored, self.stored_bytes = self.stored + held, self.stored_bytes + len(data) * held
        return held

    async def seize(self, key: str, holder: bytes) -> Held | None:
        """The session's last snapshot, which is `holder`'s from now on. None: there is none, or the store cannot be reached."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._cache.seize(key, holder, self.ttl_s)
        except (StoreUnavailable, TimeoutError):
            self.failures += 1
            log.warning("a session was to be resumed, but its snapshot cannot be asked for")
            return None

    async def let_go(self, key: str, holder: bytes) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._cache.let_go(key, holder)
        except (StoreUnavailable, TimeoutError):
            self.failures += 1  # it ends by itself


class Keeper:
    """Keeps one session on the shelf. `lost` is called when another server has taken it over; `nudge` when the stream should offer it again."""

    def __init__(self, shelf: Shelf, key: str, holder: bytes, session: Session) -> None:
        self._shelf, self._key, self._holder, self._session = shelf, key, holder, session
        self.lost = False
        self._kept_ms: int | None = None
        self._kept_config = session.terms.config
        self._waiting: tuple[bytes, int] | None = None
        self._wake, self._turn = asyncio.Event(), asyncio.Lock()
        self._due = self._stopping = False
        if shelf.every_ms:
            session.safe_ms = session.processed_ms

    def offer(self, said: Sequence[Said], *, whole: bool) -> None:
        """Called by the stream when its session is settled and all its messages are in `said`. Takes a snapshot if it is time.

        `whole`: no audio waits unscored, which is the better moment; a stream that never catches up gets its snapshots all the same.
        """
        if self._waiting is not None or self.lost or self._session.closed:
            return
        every_ms = self._shelf.every_ms
        grown_ms = self._session.processed_ms - self._kept_ms if self._kept_ms is not None else 1 << 40
        updated = self._session.terms.config is not self._kept_config
        if self._due or (every_ms and (updated or grown_ms >= (every_ms if whole else 2 * every_ms))):
            self._take(said)

    def run(self, lost: Callable[[], None], nudge: Callable[[], None]) -> Coroutine[None, None, None]:
        """Stores what is offered, until `stop`; once for each connection."""
        self._stopping = False  # here and not in the task, which may begin after `stop`
        return self._run(lost, nudge)

    async def _run(self, lost: Callable[[], None], nudge: Callable[[], None]) -> None:
        while not self._stopping or self._waiting is not None:
            if self._waiting is None:
                await self._offered(nudge)
            elif not await self._store():
                lost()
                return

    def stop(self) -> None:
        """`run` ends when it has stored what it has."""
        self._stopping = True
        self._wake.set()

    def keep(self, said: Sequence[Said]) -> Awaitable[bool]:
        """A last snapshot, of a session whose connection has ended: taken now, stored when awaited. False: another server has it."""
        if not self.lost:
            self._take(said)
        return self._store(last=True)

    async def reclaim(self) -> bytes | None:
        """The session is resumed here: gives the snapshot of another server, if one has gone on with it in the meantime."""
        async with self._turn:
            held = await self._shelf.seize(self._key, self._holder)
        return held.value if held is not None and held.holder != self._holder else None

    async def let_go(self) -> None:
        """The session is over."""
        async with self._turn:
            await self._shelf.let_go(self._key, self._holder)

    def _take(self, said: Sequence[Said]) -> None:
        self._due = False
        self._kept_ms, self._kept_config = self._session.processed_ms, self._session.terms.config
        try:
            self._waiting = (snapshot(self._session, newest(said)), self._kept_ms)
        except Exception:  # a bug of ours; the stream need not end because it cannot be copied
            log.exception("a session could not be copied")
        self._wake.set()

    async def _offered(self, nudge: Callable[[], None]) -> None:
        try:
            async with asyncio.timeout(self._shelf.ttl_s / RENEWALS):
                await self._wake.wait()
        except TimeoutError:  # nothing new, but what lies there must not end while the session lives
            if self._shelf.every_ms:
                self._due = True
                nudge()
        self._wake.clear()

    async def _store(self, *, last: bool = False) -> bool:
        async with self._turn:
            if self._waiting is None:
                return not self.lost
            taken = self._waiting
            data, kept_ms = taken
            held = await self._shelf.hold(self._key, self._holder, data, last=last)
            if self._waiting is taken:
                self._waiting = None
            self.lost = held is False
            if self._session.safe_ms is not None:
                self._session.safe_ms = max(self._session.safe_ms, kept_ms)
            return not self.lost


def key_of(owner: str, session_id: str, resume_token: str) -> str:
    return "session:" + hashlib.sha256("\0".join((owner, session_id, resume_token)).encode("utf-8", "surrogatepass")).hexdigest()


def new_holder() -> bytes:
    return secrets.token_bytes(HOLDER_BYTES)


def newest(said: Sequence[Said]) -> list[Said]:
    """As many of the last messages as a snapshot holds."""
    out: list[Said] = []
    room = REPLAY_BYTES
    for seq, text in reversed(said):
        room -= len(text)
        if room < 0:
            break
        out.append((seq, text))
    return out[::-1]
