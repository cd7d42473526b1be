"""One decoder process. In, on stdin: a request (JSON limits, then the file). Out, on stdout: the PCM `decode` makes of it.
Started and killed by `decoder_pool`: hostile files meet the C decoders here, in bounded memory and with nothing to steal.

A message is one kind byte, a 4-byte big-endian length and that many bytes. Request: `r` JSON `{size, limits}`, then `size`
raw bytes. Answer: `a` (the file has arrived), `h` JSON header, `b` PCM …, then `e` JSON `{warnings}` or `x` JSON
`{code, message, last, detail}`; after `last` the process ends. A new process says `s` once, when it can take requests.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
from typing import Any, BinaryIO

from app.core.errors import UnusableAudio, VoxproofError
from app.service.decode import DecodeLimits, open_audio

HEAD = struct.Struct(">cI")
STARTED, REQUEST, ACCEPTED, HEADER, BLOCK, END, ERROR = b"s", b"r", b"a", b"h", b"b", b"e", b"x"

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serves requests until stdin ends. Arguments: the parent's process id, the address space in bytes."""
    parent, memory_bytes = int(sys.argv[1]), int(sys.argv[2])
    os.closerange(3, 1 << 16)  # uvloop lets inheritable files through, and uvicorn's listening socket is one
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C and a supervisor's SIGTERM reach the whole group;
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the server drains first and then ends us by closing the pipe
    _die_with(parent)
    _bound(memory_bytes)
    # The pipes move to numbers no library knows, and what C code prints goes nowhere: it must not get into the protocol.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    _send(answers, STARTED)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    try:
        while _serve(requests, answers):
            pass
    except (BrokenPipeError, EOFError):
        pass  # the server is gone
    os._exit(0)


def _serve(requests: BinaryIO, answers: BinaryIO) -> bool:
    """One request; False when it was the last."""
    head = requests.read(HEAD.size)
    if len(head) < HEAD.size:
        return False
    request = json.loads(_exactly(requests, HEAD.unpack(head)[1]))
    try:
        data = _exactly(requests, request["size"])
        _send(answers, ACCEPTED)
        with open_audio(data, DecodeLimits(**request["limits"])) as audio:
            header = {name: getattr(audio, name) for name in ("sample_rate", "channels", "codec", "container", "encoding", "warnings")}
            _send_json(answers, HEADER, header)
            for block in audio.blocks():
                _send(answers, BLOCK, block)
        _send_json(answers, END, {"warnings": audio.warnings})
        return True
    except VoxproofError as error:
        _send_json(answers, ERROR, {"code": error.code, "message": error.message})
        return True
    except BrokenPipeError:
        raise
    except MemoryError:
        detail, message = "out of memory", "Decoding the audio needs more memory than allowed."
    except Exception as error:  # a decoder's surprise is about this file; the process is not trusted with another
        detail, message = repr(error)[:500], UnusableAudio.default_message
    _send_json(answers, ERROR, {"code": UnusableAudio.code, "message": message, "last": True, "detail": detail})
    return False


def _exactly(requests: BinaryIO, size: int) -> bytes:
    data = requests.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _send(answers: BinaryIO, kind: bytes, payload: bytes = b"") -> None:
    answers.write(HEAD.pack(kind, len(payload)))
    answers.write(payload)
    answers.flush()


def _send_json(answers: BinaryIO, kind: bytes, values: dict[str, Any]) -> None:
    _send(answers, kind, json.dumps(values).encode())


def _die_with(parent: int) -> None:
    """Ends this process when the one that started it ends, even if a decoder hangs. Elsewhere than on Linux, stdin's end does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _bound(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, value in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        hard = resource.getrlimit(limit)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        try:
            resource.setrlimit(limit, (value, value))
        except (ValueError, OSError):  # macOS knows no RLIMIT_AS
            continue


if __name__ == "__main__":
    main()
