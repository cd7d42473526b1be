"""Hand-made HTTP for the upload tests: bodies no client library would send, and what came back, even while the body was still going out."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterable, Iterable
from typing import Any

from tests.integration.server import Server


def form(*parts: tuple[str, bytes], boundary: str = "b", end: bool = True) -> bytes:
    """A multipart body; a part is its Content-Disposition (after `form-data; `) and its content."""
    head = f"--{boundary}\r\nContent-Disposition: form-data; ".encode("latin-1")
    body = b"".join(head + disposition.encode("latin-1") + b"\r\n\r\n" + content + b"\r\n" for disposition, content in parts)
    return body + f"--{boundary}--\r\n".encode() if end else body


class Answer:
    """Status, headers, JSON; `sent` is how much of the body had gone out when the answer came."""

    def __init__(self, head: bytes, body: bytes, sent: int) -> None:
        status, _, fields = head.decode("latin-1").partition("\r\n")
        self.status = int(status.split(" ")[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields.split("\r\n")) if name}
        self.content: Any = json.loads(body) if body else None
        self.sent = sent


async def post(server: Server, path: str, headers: Iterable[str], pieces: AsyncIterable[bytes], *, chunked: bool, patience_s: float = 15.0) -> Answer:
    """Sends the pieces until there is an answer, and gives that."""
    sock = socket.create_connection(("127.0.0.1", server.port))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)  # little may be under way unread
    reader, writer = await asyncio.open_connection(sock=sock)
    sent = 0

    async def send() -> None:
        nonlocal sent
        async for piece in pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            await writer.drain()
            sent += len(piece)
        if chunked:
            writer.write(b"0\r\n\r\n")

    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *headers, *(["Transfer-Encoding: chunked"] if chunked else [])]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(patience_s):
            head = await reader.readuntil(b"\r\n\r\n")
            seen = sent
            answer = Answer(head, b"", seen)
            body = await reader.readexactly(int(answer.headers.get("content-length", "0")))
            return Answer(head, body, seen)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.transport.abort()
