"""A WebSocket client without I/O, as small as it can be: the generator must cost next to nothing beside the server it measures.

`hello` is the upgrade request; `framed` makes one client frame; `Reader` turns received bytes into (opcode, payload). No extensions.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
MAX_HEAD_BYTES = 16 << 10


def hello(host: str, port: int, target: str) -> bytes:
    key = "dm94cHJvb2YtYmVuY2gtMQ=="  # any 16 bytes in base64
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def framed(opcode: int, payload: bytes, mask: bytes | None = None) -> bytes:
    """One whole, masked message. Audio is framed once and sent by many streams, so its mask is real but shared."""
    mask = os.urandom(4) if mask is None else mask
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    key = (mask * (size // 4 + 1))[:size]
    return head + mask + (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


class Reader:
    """Feeds on bytes, gives messages. `status` is the HTTP status once the head has been read. ValueError on what no server of ours sends."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.status: int | None = None

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        self._data += data
        if self.status is None and not self._read_head():
            return
        if self.status != 101:
            return
        while (message := self._next()) is not None:
            yield message

    def _read_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            if len(self._data) > MAX_HEAD_BYTES:
                raise ValueError("the answer to the upgrade has no end")
            return False
        self.status = int(self._data[: self._data.index(b"\r\n")].split()[1])
        del self._data[: end + 4]
        return True

    def _next(self) -> tuple[int, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        first, size, at = data[0], data[1], 2
        if size & 0x80 or first & 0x70 or not first & 0x80:
            raise ValueError("a masked, extended or fragmented frame from the server")
        if size == 126:
            if len(data) < 4:
                return None
            (size,), at = struct.unpack_from("!H", data, 2), 4
        elif size == 127:
            if len(data) < 10:
                return None
            (size,), at = struct.unpack_from("!Q", data, 2), 10
        if len(data) < at + size:
            return None
        payload = bytes(data[at : at + size])
        del data[: at + size]
        return first & 0x0F, payload
