"""Where `check` and `stream` get audio on this machine: a file, a pipe or standard input, as one seekable file; and its decoded blocks.

`opened` never holds a file in memory. What cannot seek (a pipe) is copied to a temporary file first, which vanishes with its use.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from app.core.errors import UploadTooLarge
from app.service.decode import AudioFile

STDIN = "-"
IN_MEMORY_BYTES = 16 << 20  # of a pipe, before it goes to a temporary file
PIPE_BYTES = 8 << 30
BLOCK_BYTES = 1 << 20


class FileProblem(Exception):
    """A name that gives no file. `code` is for scripts: not_found, not_a_file or unreadable."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


@contextmanager
def opened(name: str, *, seekable: bool = True) -> Iterator[BinaryIO]:
    """The file of this name, `-` for standard input, at its start. Raises FileProblem, or UploadTooLarge for an endless pipe.

    Unless `seekable` is wanted, a pipe is given as it is: it can be read while it is written.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(_plain(name))
            if seekable and not file.seekable():
                file = stack.enter_context(_copied(file))
        except FileNotFoundError:
            raise FileProblem("not_found", "There is no such file.") from None
        except OSError as exc:
            raise unreadable(exc) from None
        yield file


def unreadable(exc: OSError) -> FileProblem:
    """A file that could be opened may still fail later: a disk, a network folder."""
    return FileProblem("unreadable", f"The file cannot be read: {exc.strerror or exc}.")


@contextmanager
def _plain(name: str) -> Iterator[BinaryIO]:
    if name == STDIN:
        if sys.stdin is None or sys.stdin.closed:
            raise FileProblem("unreadable", "There is no standard input.")
        if sys.stdin.isatty():
            raise FileProblem("unreadable", "Standard input is a terminal: pipe a file into it.")
        yield sys.stdin.buffer
        return
    kind = os.stat(name).st_mode
    if stat.S_ISDIR(kind):
        raise FileProblem("not_a_file", "This is a folder: name the files in it.")
    if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
        raise FileProblem("not_a_file", "This is a device, not a file.")
    with Path(name).open("rb") as file:
        yield file


@contextmanager
def _copied(pipe: BinaryIO) -> Iterator[BinaryIO]:
    with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as copy:
        while block := pipe.read(BLOCK_BYTES):
            copy.write(block)
            if copy.tell() > PIPE_BYTES:
                raise UploadTooLarge(f"More than {PIPE_BYTES} bytes came through the pipe.")
        copy.seek(0)
        yield cast(BinaryIO, copy)


def sha256_of(file: BinaryIO) -> str:
    """The hash of the whole file, which is then at its start again."""
    digest = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()


class LocalAudio:
    """An `AudioFile` as `detect` takes it: what the server's decoder processes give, without the processes."""

    def __init__(self, file: AudioFile) -> None:
        self.sample_rate, self.channels, self.encoding, self.warnings = file.sample_rate, file.channels, file.encoding, file.warnings
        self._file = file

    async def blocks(self) -> AsyncIterator[bytes]:
        for block in self._file.blocks():
            yield block
