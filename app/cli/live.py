"""Drives the live client for `stream`: one task sends the source's PCM, the other prints what the server says, until `done` or the end of hope."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

import typer

from app.cli import show
from app.cli.sources import FileProblem, LocalAudio, opened, unreadable
from app.client.stream import LiveClient, Notice, StreamError
from app.core import wire
from app.core.errors import UnsupportedAudio, VoxproofError
from app.core.pcm import SAMPLE_BYTES

READ_BYTES = 1 << 16
PIECES_WAITING = 8

# Somebody who pipes a whole file in forgot that `-` means bare samples; its header would be heard as noise.
_CONTAINERS = (b"RIFF", b"fLaC", b"OggS", b"ID3", b"\x1a\x45\xdf\xa3", b"FORM")


@dataclass
class Ending:
    """How it went: the verdict if there was one, and in one sentence what went wrong; `local`: on this side, with the audio."""

    verdict: str | None = None
    problem: str | None = None
    local: bool = False
    sent_bytes: int = 0


@dataclass(frozen=True)
class Source:
    """PCM in the format the server is told."""

    audio: wire.Audio
    pieces: AsyncIterator[bytes]


@dataclass(frozen=True)
class Manner:
    """How to stream and to print."""

    url: str
    config: wire.Config
    real_time: bool = False
    chunk_ms: int = 100
    retries: int = 5
    as_json: bool = False
    key: str | None = field(default=None, repr=False)


def run(name: str, raw: wire.Audio | None, manner: Manner) -> Ending:
    """Streams a file, or with `raw` the bare samples in it (or in standard input)."""
    try:
        with _raw_source(name, raw) if raw else _file_source(name) as source:
            return asyncio.run(_converse(source, manner))
    except (FileProblem, VoxproofError) as exc:
        return Ending(problem=f"{name}: {exc.message}", local=True)


async def _converse(source: Source, manner: Manner) -> Ending:
    audio, config, ending = source.audio, manner.config, Ending()
    lines = show.Live(1 if config.channel_mode == "mix" else audio.channels)
    headers = {"Authorization": f"Bearer {manner.key}"} if manner.key else None
    async with LiveClient(
        manner.url, audio, config, headers=headers, retries=manner.retries, chunk_ms=manner.chunk_ms, on_notice=_tell
    ) as live:
        feeding = asyncio.create_task(_feed(source, live, manner, ending))
        try:
            with _interrupt(live, feeding):
                async for message in live:
                    lines.offset_ms = live.offset_ms
                    if not ending.local or ending.sent_bytes:  # a verdict on nothing is no news
                        _print(message, lines, manner.as_json)
                    if message["type"] == "error" and message.get("fatal"):
                        ending.problem = str(message["message"])
                    elif message["type"] == "ready":
                        ending.problem = None if not ending.local else ending.problem
                    elif message["type"] == "done":
                        ending.verdict = message["verdict"]
        except StreamError as exc:
            ending.problem = exc.message
            if exc.retry_after_ms:
                ending.problem = f"{exc.message.rstrip('.')} (the server says: in {exc.retry_after_ms / 1000:g} s)"
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError):
                await feeding
    return ending


def _print(message: dict[str, object], lines: show.Live, as_json: bool) -> None:
    if as_json:
        show.json_line(message)
    elif message["type"] == "done":
        typer.echo("\n".join(lines.done(message)))
    elif line := lines.line(message):
        typer.echo(line)


def _tell(notice: Notice) -> None:
    typer.echo(notice.message, err=True)


async def _feed(source: Source, live: LiveClient, manner: Manner, ending: Ending) -> None:
    """Sends it all, at the speed of media time if asked; what cannot be read any more ends the stream early."""
    audio, clock = source.audio, asyncio.get_running_loop()
    second_bytes = audio.sample_rate * SAMPLE_BYTES[audio.encoding] * audio.channels
    chunk_bytes = max(1, second_bytes * manner.chunk_ms // 1000)
    began = clock.time()
    try:
        async for block in source.pieces:
            for start in range(0, len(block), chunk_bytes):
                piece = block[start : start + chunk_bytes]
                ending.sent_bytes += len(piece)
                if manner.real_time:  # a piece exists once its last sample has been spoken
                    await asyncio.sleep(max(0, began + ending.sent_bytes / second_bytes - clock.time()))
                await live.send(piece)
    except (FileProblem, VoxproofError) as exc:
        ending.problem, ending.local = f"the audio ends early: {exc.message}", True
    except OSError as exc:
        ending.problem, ending.local = f"the audio ends early: {unreadable(exc).message}", True
    finally:
        live.stop()


@contextmanager
def _interrupt(live: LiveClient, feeding: asyncio.Task[None]) -> Iterator[None]:
    """The first Ctrl-C asks the server for its verdict on what it has; the second is Python's own."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        feeding.cancel()
        live.stop(discard=True)

    caught = False
    with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows; not the main thread
        loop.add_signal_handler(signal.SIGINT, stop)
        caught = True
    try:
        yield
    finally:
        if caught:
            loop.remove_signal_handler(signal.SIGINT)


# --- sources ------------------------------------------------------------------------------------------------


@contextmanager
def _file_source(name: str) -> Iterator[Source]:
    """A file, decoded here and sent at its own rate; more than two channels are mixed, as `check` does."""
    from app.service.decode import DecodeLimits, open_audio
    from app.service.detect import Feed

    limits = DecodeLimits(max_seconds=float(1 << 31), timeout_seconds=float("inf"))  # how long a session may be, the server decides
    with opened(name) as file, open_audio(file, limits) as decoded:
        feed = Feed(LocalAudio(decoded))

        async def pieces() -> AsyncIterator[bytes]:
            for block in decoded.blocks():
                yield feed.prepared(block)
                await asyncio.sleep(0)  # a decoder in a hurry must not keep the socket waiting

        yield Source(wire.Audio(encoding=feed.encoding, sample_rate=decoded.sample_rate, channels=feed.channels), pieces())


@contextmanager
def _raw_source(name: str, audio: wire.Audio) -> Iterator[Source]:
    """Bare samples from a file or standard input, as they come."""
    with opened(name, seekable=False) as file:
        yield Source(audio, _read(file))


async def _read(file: BinaryIO) -> AsyncIterator[bytes]:
    """What a file or pipe gives, as soon as it gives it. Read on a thread that may be left waiting in its read when the stream ends."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[bytes | OSError] = asyncio.Queue(PIECES_WAITING)

    def read() -> None:
        data: bytes | OSError = b"-"
        while data and not isinstance(data, OSError):
            try:
                data = _some(file)
            except OSError as exc:
                data = exc
            handed = waiting.put(data)
            try:
                asyncio.run_coroutine_threadsafe(handed, loop).result()
            except (RuntimeError, CancelledError):  # the loop is gone: nobody wants more
                handed.close()
                return

    threading.Thread(target=read, name="input", daemon=True).start()
    first = True
    while data := await waiting.get():
        if isinstance(data, OSError):
            raise data
        if first and data.startswith(_CONTAINERS):
            raise UnsupportedAudio("This is an audio file, not raw PCM: name the file itself, without --raw.")
        first = False
        yield data


def _some(file: BinaryIO) -> bytes:
    """At least one byte unless it has ended, at most READ_BYTES. Past Python's buffer: its lock must not be held when the program ends."""
    try:
        number = file.fileno()
    except OSError:
        return file.read(READ_BYTES)
    return os.read(number, READ_BYTES)
