"""A plain WebSocket client for the tests: `Talk` sends and gathers messages, `Raw` is a socket whose bytes the test writes itself.

Neither uses the product's own client: both ends would share its mistakes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE_S = 30.0
S16 = {"encoding": "pcm_s16le", "sample_rate": 16000}

Row = dict[str, Any]


class Talk:
    """One open connection. `rows` holds every message read so far."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.rows: list[Row] = []

    async def send(self, *messages: bytes | str | Row) -> None:
        for message in messages:
            await self.connection.send(json.dumps(message) if isinstance(message, dict) else message)

    async def next(self, kind: str | None = None, patience_s: float = PATIENCE_S) -> Row:
        """The next message, or the next of a kind. ConnectionClosed when there is none."""
        async with asyncio.timeout(patience_s):
            while True:
                row: Row = json.loads(await self.connection.recv())
                self.rows.append(row)
                if kind is None or row["type"] == kind:
                    return row

    async def rest(self, patience_s: float = PATIENCE_S) -> int:
        """Reads until the server closes; the close code (1006: no close frame)."""
        async with asyncio.timeout(patience_s):
            try:
                while True:
                    self.rows.append(json.loads(await self.connection.recv()))
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006

    def abort(self) -> None:
        """The cable is cut: no close frame, no FIN that says goodbye."""
        sock = self.connection.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.transport.abort()

    def of(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row.get("type") == kind]

    def codes(self) -> list[str]:
        """The codes of the errors so far."""
        return [row["code"] for row in self.of("error")]


@asynccontextmanager
async def talk(url: str, **options: Any) -> AsyncIterator[Talk]:
    options = {"max_size": None, "compression": None, "ping_interval": None, "proxy": None, "close_timeout": 2, **options}
    async with connect(url, **options) as connection:
        yield Talk(connection)


@asynccontextmanager
async def started(url: str, audio: Row = S16, **start: Any) -> AsyncIterator[Talk]:
    """A connection whose `start` was accepted; `rows[0]` is `ready`."""
    async with talk(url) as it:
        await it.send({"type": "start", "audio": audio, **start})
        await it.next("ready")
        yield it


def as_text(piece: bytes) -> str:
    return json.dumps({"type": "audio", "data": base64.b64encode(piece).decode()})


async def stream(url: str, pieces: Iterable[bytes | str | Row], audio: Row = S16, **start: Any) -> list[Row]:
    """A whole session: start, pieces, stop; every message. Reads while it sends, as a client must."""
    async with started(url, audio, **start) as it:
        reader = asyncio.create_task(it.rest(60))
        await it.send(*pieces)
        await it.send({"type": "stop"})
        assert await reader == 1000, it.rows[-1]
        assert it.rows[-1]["type"] == "done", it.rows[-1]
        return it.rows


class Raw:
    """A TCP connection after a WebSocket handshake written by hand; the test sends frames, halves of frames, or nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def frame(self) -> tuple[int, bytes]:
        """The next frame of the server: opcode, payload."""
        head = await self.reader.readexactly(2)
        size = head[1] & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
        return head[0] & 0x0F, await self.reader.readexactly(size)

    async def rest(self) -> tuple[list[Row], int]:
        """All messages until the close frame, and its code."""
        rows: list[Row] = []
        async with asyncio.timeout(PATIENCE_S):
            while True:
                opcode, payload = await self.frame()
                if opcode == 8:
                    return rows, int.from_bytes(payload[:2], "big")
                rows.append(json.loads(payload))

    def reset(self) -> None:
        """Ends it with a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def frame(payload: bytes, opcode: int = 2, *, claimed: int | None = None, fin: bool = True) -> bytes:
    """A client's frame (masked with zeros); `claimed` is the length its header says."""
    size = len(payload) if claimed is None else claimed
    if size < 126:
        length = struct.pack(">B", 0x80 | size)
    elif size < 1 << 16:
        length = struct.pack(">BH", 0x80 | 126, size)
    else:
        length = struct.pack(">BQ", 0x80 | 127, size)
    return bytes([0x80 * fin | opcode]) + length + b"\0\0\0\0" + payload


@asynccontextmanager
async def raw(port: int, path: str = "/v1/stream", receive_buffer: int | None = None) -> AsyncIterator[Raw]:
    """`receive_buffer`: bytes the kernel may keep for us, so that a client which does not read is noticed early."""
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 16)
    key = base64.b64encode(os.urandom(16)).decode()
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    writer.write((request + f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in answer, answer
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
