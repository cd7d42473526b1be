"""Decoding in other processes. In: a file's bytes. Out: a `DecodedAudio` whose blocks are PCM. Called by `detect` for every
upload, so that a file that crashes, hangs or bloats a decoder costs one process and no stream.

`pool.decode()` lends one `decoder_worker` for as long as its caller reads; the pipe is the back-pressure. Nothing is written
to disk. A worker that was not read to the end, or took too long, is killed, and the next caller starts another.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from app.core.errors import AudioTooLong, DecoderFailed, DecodeTooSlow, EmptyAudio, ShuttingDown, UnsupportedAudio, UnusableAudio, VoxproofError
from app.service.decode import DecodeLimits, FileEncoding
from app.service.decoder_worker import ACCEPTED, BLOCK, END, ERROR, HEAD, HEADER, REQUEST, STARTED

log = logging.getLogger(__name__)

_ERRORS: dict[str, type[VoxproofError]] = {error.code: error for error in (AudioTooLong, DecodeTooSlow, EmptyAudio, UnsupportedAudio, UnusableAudio)}
_START_SECONDS = 30.0
_SEND_BYTES = 1 << 20
_PIPE_BYTES = 1 << 20  # read ahead of the caller, at most twice this
_FILES_PER_WORKER = 500  # then a fresh one: C libraries leak a little, and more on damaged files
# What a Python and its libraries may need to start; the rest of the environment holds secrets that a decoder has no use for.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG")


class DecoderPool:
    """At most `workers` decoder processes, each with `memory_bytes` of address space, started when first needed."""

    def __init__(self, workers: int, memory_bytes: int) -> None:
        self._workers, self._memory_bytes = workers, memory_bytes
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._closed = self._failing = False

    @asynccontextmanager
    async def decode(self, data: bytes, limits: DecodeLimits) -> AsyncGenerator[DecodedAudio, None]:
        """Opens `data` in a worker; waits for a free one. Leaving early is fine: the worker is then replaced.

        `limits.timeout_seconds` counts the time spent waiting for the decoder, not the time the caller takes between blocks.
        Raises what `open_audio` raises; `UnusableAudio` when the file crashed the worker; `DecoderFailed` when no worker
        could be started; `ShuttingDown` once the pool is closed.
        """
        async with self._slots:
            audio = await self._open(data, limits)
            try:
                yield audio
            finally:
                await self._give_back(audio.worker)

    async def warm(self) -> None:
        """Starts all workers now, so that the first uploads need not wait. Raises `DecoderFailed`."""
        missing = self._workers - len([worker for worker in self._all if worker.alive])
        self._idle += await asyncio.gather(*(self._start() for _ in range(missing)))

    async def check(self) -> None:
        """Raises `DecoderFailed` while no decoder can be started, `ShuttingDown` once the pool is closed. Tries only when the last start failed."""
        if self._closed:
            raise ShuttingDown()
        if self._failing:
            self._idle.append(await self._start())

    async def close(self) -> None:
        """Ends all workers, busy ones too (their callers get `ShuttingDown`), and returns when they are gone."""
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*(worker.end() for worker in self._all))
        self._all.clear()

    async def __aenter__(self) -> DecoderPool:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _open(self, data: bytes, limits: DecodeLimits) -> DecodedAudio:
        # A worker that dies before it has the whole file did not die of the file: one more try, with a fresh one.
        for attempt in range(2):
            worker = self._idle.pop() if self._idle and not attempt else await self._start()
            worker.busy = True
            try:
                audio = DecodedAudio(worker, limits)
                await audio._begin(data)
                return audio
            except _Died as death:
                await self._give_back(worker)
                if self._closed:
                    raise ShuttingDown() from None
                if death.had_file:
                    raise UnusableAudio("The audio made the decoder stop.") from None
                log.warning("a decoder process ended before it had its file")
            except BaseException:
                await self._give_back(worker)
                raise
        raise DecoderFailed()

    async def _start(self) -> _Worker:
        if self._closed:
            raise ShuttingDown()
        worker = _Worker()
        self._all.add(worker)
        try:
            await worker.start(self._memory_bytes)
        except (OSError, _Died) as error:  # a TimeoutError is an OSError
            await self._drop(worker)
            if self._closed:
                raise ShuttingDown() from None
            self._failing = True
            log.error("a decoder process could not be started: %r", error)
            raise DecoderFailed("The decoder could not be started.") from None
        except BaseException:
            await self._drop(worker)
            raise
        if self._closed:
            await self._drop(worker)
            raise ShuttingDown()
        self._failing = False
        return worker

    async def _give_back(self, worker: _Worker) -> None:
        worker.files += 1
        if worker.alive and not worker.busy and worker.files < _FILES_PER_WORKER and not self._closed:
            self._idle.append(worker)
        else:
            await self._drop(worker)

    async def _drop(self, worker: _Worker) -> None:
        await worker.end()
        self._all.discard(worker)


class DecodedAudio:
    """A file being decoded: the fields of `decode.AudioFile`, and its blocks. `warnings` is complete when the blocks are."""

    sample_rate: int
    channels: int
    codec: str
    container: str
    encoding: FileEncoding
    warnings: list[str]

    def __init__(self, worker: _Worker, limits: DecodeLimits) -> None:
        self.worker = worker
        self._limits = limits
        self._left_seconds = limits.timeout_seconds

    @property
    def spent_seconds(self) -> float:
        """Time spent waiting for the decoder so far."""
        return self._limits.timeout_seconds - self._left_seconds

    async def blocks(self) -> AsyncIterator[bytes]:
        """Interleaved PCM in blocks of about half a second. Raises as `AudioFile.blocks` does, and `UnusableAudio` when the
        worker crashes."""
        while self.worker.busy:
            try:
                kind, payload = await self._receive()
            except _Died:
                raise (ShuttingDown() if self.worker.ended else UnusableAudio("The audio made the decoder stop.")) from None
            if kind == BLOCK:
                yield payload
            else:
                self._finish(kind, payload)

    async def _begin(self, data: bytes) -> None:
        """Sends the file and reads the header."""
        request = {"size": len(data), "limits": dataclasses.asdict(self._limits)}
        accepted = False
        try:
            async with self._timed():
                # It may answer, or die, before it has read everything: the answer says which.
                with suppress(OSError):
                    await self.worker.send(REQUEST, json.dumps(request).encode())
                    await self.worker.send_raw(data)
            kind, payload = await self._receive()
            if kind == ACCEPTED:
                accepted = True
                kind, payload = await self._receive()
        except _Died:
            raise _Died(accepted) from None
        if kind != HEADER:
            self._finish(kind, payload)
        vars(self).update(json.loads(payload))

    def _finish(self, kind: bytes, payload: bytes) -> None:
        """Takes the last message of a file. Raises the error it tells of."""
        last: dict[str, Any] = json.loads(payload)
        self.worker.busy = bool(last.get("last"))
        if kind == END:
            self.warnings = last["warnings"]
            return
        assert kind == ERROR, kind
        if "detail" in last:
            log.warning("a file made a decoder fail: %s", last["detail"])
        raise _ERRORS.get(last["code"], UnusableAudio)(last["message"])

    async def _receive(self) -> tuple[bytes, bytes]:
        async with self._timed():
            return await self.worker.receive()

    @asynccontextmanager
    async def _timed(self) -> AsyncGenerator[None, None]:
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._left_seconds):
                yield
        except TimeoutError:
            raise DecodeTooSlow() from None
        finally:
            self._left_seconds -= time.monotonic() - started


class _Died(Exception):
    """The worker's pipe ended. `had_file`: it had the whole file by then."""

    def __init__(self, had_file: bool = False) -> None:
        self.had_file = had_file


class _Worker:
    """One process and its pipes. `busy` from the first byte of a request to the last of its answer."""

    def __init__(self) -> None:
        self.busy = False
        self.ended = False  # by us
        self.files = 0
        self._process: asyncio.subprocess.Process | None = None
        self._reading = asyncio.Lock()  # `end` reads too, while a caller may be waiting for a block

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None and not self.ended

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    async def start(self, memory_bytes: int) -> None:
        """Raises `OSError`, `TimeoutError` or `_Died` when it cannot."""
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
        command = (sys.executable, "-m", "app.service.decoder_worker", str(os.getpid()), str(memory_bytes))
        async with asyncio.timeout(_START_SECONDS):
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment,
                limit=_PIPE_BYTES,
                start_new_session=True,
            )
            if (await self.receive())[0] != STARTED:
                raise _Died

    async def send(self, kind: bytes, payload: bytes) -> None:
        await self.send_raw(HEAD.pack(kind, len(payload)) + payload)

    async def send_raw(self, data: bytes) -> None:
        """In pieces, so that the pipe's buffer never holds a second copy of the file. Raises `OSError` when the pipe broke."""
        assert self._process and self._process.stdin
        view = memoryview(data)
        for start in range(0, len(view), _SEND_BYTES):
            if self._process.stdin.is_closing():  # uvloop would raise a RuntimeError
                raise BrokenPipeError
            self._process.stdin.write(view[start : start + _SEND_BYTES])
            await self._process.stdin.drain()

    async def receive(self) -> tuple[bytes, bytes]:
        """The next message: kind, payload. Raises `_Died`."""
        assert self._process and self._process.stdout
        try:
            async with self._reading:
                kind, length = HEAD.unpack(await self._process.stdout.readexactly(HEAD.size))
                return kind, await self._process.stdout.readexactly(length)
        except (asyncio.IncompleteReadError, OSError):
            raise _Died from None

    async def end(self) -> None:
        """Kills the process and returns when it is gone."""
        self.ended = True
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.kill()
        assert self._process.stdout
        async with self._reading:
            while await self._process.stdout.read(_PIPE_BYTES):  # a full, paused pipe would keep asyncio from seeing the end
                pass
        await self._process.wait()
