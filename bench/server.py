"""The server under test, in a process group of its own, always ended with its `with` block; and what /proc says of it and its children."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
START_PATIENCE_S = 60.0
END_PATIENCE_S = 8.0
KEPT = ("VOXPROOF_MODEL", "VOXPROOF_MODELS_DIR")


class BenchError(Exception):
    """Something outside the measurement went wrong; the text is for the person at the terminal."""


class Server:
    """`with Server(command, settings) as server:` a fresh server that has answered /readyz; `ready_s` after its start."""

    def __init__(self, command: list[str] | None = None, settings: dict[str, str] | None = None, poll_s: float = 0.005) -> None:
        self._command = command or default_command()
        self.settings = settings or {}
        self._poll_s = poll_s
        self.port = free_port()
        self.ready_s = 0.0
        self.info: dict[str, Any] = {}

    def __enter__(self) -> Server:
        self._folder = tempfile.TemporaryDirectory(prefix="voxproof-bench-")  # as working folder: nobody's .env, nobody's data
        self._log = open(Path(self._folder.name) / "server.log", "w+b")
        began = time.monotonic()
        try:
            self._process = subprocess.Popen(
                [part.replace("{port}", str(self.port)) for part in self._command],
                cwd=self._folder.name, env=self._environment(), stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as exc:
            self._log.close()
            self._folder.cleanup()
            raise BenchError(f"The server cannot be started with {' '.join(self._command)}: {exc}") from None
        try:
            self._wait_ready(began)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """Ends the whole family: politely, then not."""
        family = self.pids()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pid in family[1:]:  # decoder workers have sessions of their own; they follow their parent, this is the safety net
            if _stat(pid) is not None and b"decoder_worker" in _read(pid, "cmdline"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._log.close()
        self._folder.cleanup()

    def _environment(self) -> dict[str, str]:
        return {**environment(), "VOXPROOF_HOST": "127.0.0.1", "VOXPROOF_PORT": str(self.port), "VOXPROOF_DRAIN_SECONDS": "0", **self.settings}

    def _wait_ready(self, began: float) -> None:
        while True:
            if (status := self._process.poll()) is not None:
                raise BenchError(f"The server ended with status {status} before it was ready. It said:\n{self.said()}")
            content = self.get("/readyz")
            if content is not None:
                self.ready_s, self.info = time.monotonic() - began, content
                return
            if time.monotonic() - began > START_PATIENCE_S:
                raise BenchError(f"The server was not ready after {START_PATIENCE_S:g} s. It said:\n{self.said()}")
            time.sleep(self._poll_s)

    def get(self, path: str) -> dict[str, Any] | None:
        """JSON of a GET, or None while there is no 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            return json.loads(body) if response.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def said(self, lines: int = 15) -> str:
        """The end of its log."""
        self._log.flush()
        text = Path(self._log.name).read_text("utf-8", "replace").strip()
        return "\n".join("    " + line for line in text.splitlines()[-lines:]) or "    (nothing)"

    # --- what /proc says ------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        return self._process.pid

    def pids(self) -> list[int]:
        """The server and everything it started."""
        parents = {pid: stat.parent for pid in _all_pids() if (stat := _stat(pid))}
        family = [self._process.pid]
        for pid in family:
            family += [child for child, parent in parents.items() if parent == pid]
        return family

    def cpu_seconds(self) -> float:
        """CPU time of the whole family so far, ended children included."""
        return sum(stat.ticks for pid in self.pids() if (stat := _stat(pid))) / TICKS

    def loop_seconds(self) -> float:
        """CPU time of the main thread, which runs the event loop."""
        stat = _stat(self.pid, f"task/{self.pid}/stat")
        return stat.own_ticks / TICKS if stat else 0.0

    def rss_mb(self, *, children: bool = False) -> float:
        """Resident memory of the server process, or with its children (shared pages then count for each)."""
        pids = self.pids() if children else [self.pid]
        return sum(int((_read(pid, "statm").split() or [b"0", b"0"])[1]) for pid in pids) * PAGE / 1e6


class _Stat:
    def __init__(self, fields: list[bytes]) -> None:
        self.parent = int(fields[1])
        self.own_ticks = int(fields[11]) + int(fields[12])
        self.ticks = self.own_ticks + int(fields[13]) + int(fields[14])


def _stat(pid: int, name: str = "stat") -> _Stat | None:
    content = _read(pid, name)
    return _Stat(content[content.rindex(b")") + 2 :].split()) if content else None


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def environment() -> dict[str, str]:
    """Ours without VOXPROOF_ settings, so that defaults are measured; which model to use is kept, its path made absolute."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("VOXPROOF_") or name in KEPT}
    for name in KEPT:
        if "/" in own.get(name, ""):
            own[name] = str(Path(own[name]).resolve())
    return own


def default_command() -> list[str]:
    return [str(Path(sys.executable).parent / "voxproof"), "serve"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def generator(spec: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """A generator process that has its spec; ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.generator"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdin
        process.stdin.write(json.dumps(spec).encode())
        process.stdin.close()
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout
        process.stdout.close()
