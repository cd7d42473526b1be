"""A live session over as many connections as it takes: PCM goes in, the server's messages come out. Called by `voxproof stream` and the SDK.

    async with LiveClient(url, wire.Audio(encoding="pcm_s16le", sample_rate=16000)) as live:
        ...                                  # elsewhere: await live.send(pcm); live.stop()
        async for message in live: ...       # dicts, as on the wire; ends after `done`

A broken connection is resumed where the server had got to (PROTOCOL.md, "Resume"): audio is kept until it is acknowledged as processed.
`send` waits while too much is unprocessed, so nothing is dropped on this side.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from app.client.heard import Heard
from app.client.outbox import Outbox
from app.client.socket import Closed, Refused, Socket, open_socket
from app.core import wire

RETRYABLE = frozenset({1001, 1006, 1011, 1012, 1013, 4408, 4429, 4503})
LEAVING = frozenset({1001, 1012})  # the server ends, and says: resume now
UNKNOWN_SESSION = 4404

FIRST_DELAY_S, MAX_DELAY_S = 0.5, 30.0
MESSAGES_WAITING = 64  # then the socket is not read, and the server waits

Message = dict[str, Any]
Connect = Callable[[str, Mapping[str, str]], AbstractAsyncContextManager[Socket]]


class StreamError(Exception):
    """The session is over without `done`. `code` is the protocol's error code, `close_code` the WebSocket's; None where there was none."""

    def __init__(self, message: str, *, code: str | None = None, close_code: int | None = None, retry_after_ms: int | None = None) -> None:
        self.message, self.code, self.close_code, self.retry_after_ms = message, code, close_code, retry_after_ms
        super().__init__(message)


@dataclass(frozen=True)
class Notice:
    """What happened to the connection. `restarted`: the server lost the session, and a new one starts at `at_ms` of the audio."""

    kind: Literal["lost", "resumed", "restarted"]
    message: str
    at_ms: int = 0


@dataclass
class _Session:
    """What is needed to take a session up again."""

    id: str
    token: str
    last_seq: int = 0


class LiveClient:
    """Iterate it in one task, `send` and `stop` in another. Iteration ends after `done` or raises StreamError."""

    def __init__(
        self,
        url: str,
        audio: wire.Audio,
        config: wire.Config | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        retries: int = 5,
        chunk_ms: int = 100,
        keep_seconds: float = 30.0,
        on_notice: Callable[[Notice], None] = lambda notice: None,
        connect: Connect = open_socket,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`retries`: attempts that may fail without any progress. `keep_seconds`: audio not scored yet, before `send` waits."""
        self._url, self._audio, self._config, self._headers = url, audio, config or wire.Config(), headers or {}
        self._retries, self._chunk_ms, self._keep_seconds = retries, chunk_ms, keep_seconds
        self._on_notice, self._connect, self._sleep = on_notice, connect, sleep
        self.offset_ms = 0
        """Where in the audio the present session began: 0 unless the server lost one."""
        self._outbox, self._heard = Outbox(audio), Heard()
        self._session: _Session | None = None
        self._idle_seconds = 30.0
        self._attempts = self._reached_ms = self._scored_ms = 0
        self._stopping = self._ended = False
        self._fatal: Message = {}
        self._failure: BaseException | None = None
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(MESSAGES_WAITING)
        self._work, self._room = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> LiveClient:
        self._runner = asyncio.create_task(self._run(), name="live")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)

    async def send(self, pcm: bytes) -> None:
        """Queues audio of any length; returns when there is room for more. Audio after `stop`, or after the end, is not used."""
        if self._stopping or self._ended:
            return
        self._outbox.push(pcm)
        self._work.set()
        while self._outbox.seconds_after(self._scored_ms) > self._keep_seconds and not (self._stopping or self._ended):
            self._room.clear()
            await self._room.wait()

    def stop(self, *, discard: bool = False) -> None:
        """No more audio will come; `done` follows. `discard`: what has not been sent yet is given up."""
        if discard:
            self._outbox.cut()
        self._stopping = True
        self._work.set()
        self._room.set()

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (message := await self._messages.get()) is not None:
            yield message
        self._messages.put_nowait(None)  # asked again, it ends again
        if self._failure is not None:
            raise self._failure

    # --- connections ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while (closed := await self._serve()) is not None:
                await self._recover(closed)
        except Refused as exc:
            self._failure = StreamError(str(exc))
        except Exception as exc:  # a bug of ours must reach whoever iterates, who would wait for ever
            self._failure = exc
        self._ended = True
        self._room.set()
        await self._messages.put(None)

    async def _serve(self) -> Closed | None:
        """One connection. None: the session is done."""
        self._fatal = {}
        try:
            async with self._connect(self._url, self._headers) as socket:
                await socket.send(wire.encode(self._hello()))
                async with asyncio.TaskGroup() as tasks:
                    return await self._converse(socket, tasks)
        except Closed as closed:
            return closed
        except ExceptionGroup as group:  # the task group's wrapping
            raise group.exceptions[0] from None

    def _hello(self) -> wire.Start:
        start = wire.Start(protocol=wire.PROTOCOL, audio=self._audio, config=self._config)
        if self._session is None:
            return start
        session = self._session
        return start.model_copy(update={"resume": wire.Resume(session_id=session.id, resume_token=session.token, last_seq=session.last_seq)})

    async def _converse(self, socket: Socket, tasks: asyncio.TaskGroup) -> Closed | None:
        """Reads until `done` or the end of the connection, and sends beside that, from `ready` on."""
        sender: asyncio.Task[None] | None = None
        try:
            while True:
                message = _parsed(await socket.recv())
                name, seq = message["type"], message.get("seq", 0)
                if name == "ready" and sender is None:
                    self._welcome(message)
                    sender = tasks.create_task(self._send_all(socket))
                elif sender is not None and self._session is not None and seq:
                    if seq <= self._session.last_seq:
                        continue  # heard on an earlier connection
                    self._session.last_seq = seq
                    if self._heard.again(message):
                        continue  # the server that said it was killed, and another one goes on
                self._note(message)
                await self._messages.put(message)
                if name == "done":
                    return None
        except Closed as closed:
            return closed
        finally:
            if sender is not None:
                sender.cancel()

    def _welcome(self, ready: Message) -> None:
        """Raises Closed when the server goes on at a place we cannot go back to."""
        limits = ready.get("limits", {})
        self._idle_seconds = float(limits.get("idle_timeout_seconds", self._idle_seconds))
        resumed = ready.get("resume")
        if resumed is not None and self._session is not None:
            if not resumed.get("accepted") or not self._outbox.rewind(int(resumed["continue_from_ms"])):
                raise Closed(UNKNOWN_SESSION, "the server goes on where we cannot")
            at_ms = self.offset_ms + int(resumed["continue_from_ms"])
            self._on_notice(Notice("resumed", f"The session goes on at {at_ms / 1000:.1f} s.", at_ms))
            return
        self._session = _Session(ready["session_id"], ready["resume_token"], ready.get("seq", 0))

    def _note(self, message: Message) -> None:
        name = message["type"]
        if name == "error":
            if message.get("fatal"):
                self._fatal = message
        elif name == "segment" and not message.get("interim"):
            # Not the acknowledgement: that comes with audio only, so whoever waits for it to send audio would wait for ever.
            self._scored_ms = max(self._scored_ms, int(message["end_ms"]))
            self._room.set()
        elif name == "ack":
            self._outbox.forget(int(message["processed_ms"]))
            reached_ms = self.offset_ms + int(message["processed_ms"])
            if reached_ms > self._reached_ms:
                self._reached_ms, self._attempts = reached_ms, 0

    async def _send_all(self, socket: Socket) -> None:
        told = False
        with suppress(Closed):  # the reader sees it too
            while True:
                if piece := self._outbox.next(self._chunk_ms):
                    await socket.send(piece)
                elif self._stopping and not told:
                    await socket.send(wire.encode(wire.Stop()))
                    told = True
                else:
                    self._work.clear()
                    try:
                        async with asyncio.timeout(self._idle_seconds / 3):
                            await self._work.wait()
                    except TimeoutError:
                        await socket.send(wire.encode(wire.Keepalive()))

    async def _recover(self, closed: Closed) -> None:
        """Waits until it is time to connect again. Raises StreamError when it is of no use."""
        fatal, first = self._fatal, self._session is None
        if closed.code == UNKNOWN_SESSION and not first:
            self.offset_ms += (lost_ms := self._outbox.restart())
            self._session, self._scored_ms = None, 0
            self._heard.clear()
            text = f"The server no longer has the session: a new one starts at {self.offset_ms / 1000:.1f} s"
            text += f", and {lost_ms / 1000:.1f} s heard before are missing from its verdict." if lost_ms else "."
            self._on_notice(Notice("restarted", text, self.offset_ms))
        elif closed.code not in RETRYABLE or fatal.get("retryable") is False or (first and not closed.opened and closed.code == 1006):
            raise self._error(closed)
        self._attempts += 1
        if self._attempts > self._retries:
            raise self._error(closed)
        if self._session is None and not first:
            return
        delay_s = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** (self._attempts - 1)) * random.uniform(0.5, 1)
        if closed.code in LEAVING and self._attempts == 1:
            delay_s *= random.uniform(0, 0.5)  # another server waits for us; not all come in the same instant
        delay_s = max(delay_s, (fatal.get("retry_after_ms") or 0) / 1000)
        reason = fatal.get("message") or f"{closed.reason[:1].upper()}{closed.reason[1:]}."
        self._on_notice(Notice("lost", f"{reason} Trying again in {delay_s:.1f} s ({self._attempts} of {self._retries})."))
        await self._sleep(delay_s)

    def _error(self, closed: Closed) -> StreamError:
        fatal = self._fatal
        ending = f" (close code {closed.code})." if closed.opened else "."
        text = fatal.get("message") or closed.reason[:1].upper() + closed.reason[1:] + ending
        return StreamError(text, code=fatal.get("code"), close_code=closed.code, retry_after_ms=fatal.get("retry_after_ms"))


def _parsed(text: str | bytes) -> Message:
    try:
        message = json.loads(text)
    except ValueError:
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise StreamError("The server at this address does not speak voxproof.v1.")
    return message
