"""A real server in a process of its own, for tests that must see what a client sees: `voxproof serve`, the toy model, a free port.

`Server(folder, model, max_streams=2)` starts one with these settings and waits for the line it prints then; leaving the `with` block ends it.
What it printed is kept: a traceback there fails the test that caused it, even where the client was answered well.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from app.settings import OLDER_NAMES

ROOT = Path(__file__).resolve().parents[2]
MAIN = "from app.cli.main import main; main()"
VOXPROOF = [sys.executable, "-c", MAIN]  # the console script, whether or not it is on the path
OLDER = frozenset(OLDER_NAMES.values())
START_S = 60.0
# A test machine may be slow or shared; only the tests that are about load let the server refuse because of it.
# And nobody waits for clients that a test has left behind.
CALM = {"max_busy": 1, "max_lag_ms": 60_000, "drain_seconds": 0.5}


class Server:
    def __init__(self, folder: Path, model: Path | None, first: str = "", **settings: Any) -> None:
        """`model` None leaves it to a `.env` in the folder. `first` is Python that the process runs before anything else: for waits that are no
        setting and too long for a test.
        """
        self._folder, self._first, self._settings = folder, first, {"model": model, "data_dir": folder, **CALM, **settings}
        self.lines: list[str] = []
        self.port = 0
        self._up = threading.Event()

    def __enter__(self) -> Server:
        command = [sys.executable, "-c", self._first + MAIN, "serve", "--port", "0"]
        self.process = subprocess.Popen(command, cwd=self._folder, env=self._env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._up.wait(START_S) or not self.port:
            self.process.kill()
            raise RuntimeError("the server did not start:\n" + "\n".join(self.lines))
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    def end(self, patience_s: float = 10.0) -> int:
        """Asks it to stop, as a supervisor does; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._reader.join(5)

    def make_key(self, *scopes: str) -> str:
        """`voxproof keys create`. A server that runs hears of its first key within a second, so make that one before."""
        command = [*VOXPROOF, "keys", "create", "test", "--scope", ",".join(scopes)]
        return subprocess.run(command, cwd=self._folder, env=self._env(), capture_output=True, text=True, check=True).stdout.strip()

    def _env(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("VOXPROOF_", "PYTHON")) and name not in OLDER}
        env |= {f"VOXPROOF_{name.upper()}": str(value) for name, value in self._settings.items() if value is not None}
        return env | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ws(self, path: str = "/v1/stream") -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def state(self) -> dict[str, Any]:
        """What /readyz tells: streams, parked …"""
        return dict(httpx2.get(self.http + "/readyz", timeout=30).json())

    async def until(self, patience_s: float = 10.0, **wanted: int) -> None:
        """Returns when /readyz says `streams` or `parked` is so many; asking again is the only way to hear of it."""
        async with asyncio.timeout(patience_s):
            while {name: (await asyncio.to_thread(self.state))[name] for name in wanted} != wanted:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    def memory_bytes(self) -> int:
        """Resident memory of the server process itself."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def connections(self) -> int:
        """Open TCP connections of the server process."""
        return sum(os.readlink(link).startswith("socket:") for link in Path(f"/proc/{self.process.pid}/fd").iterdir() if link.is_symlink())

    def traces(self) -> list[str]:
        """Errors it logged: each is a bug of ours, whatever the client saw; mistakes of clients are at most warnings."""
        return [line for line in self.lines if "Traceback" in line or " ERROR " in line or '"level": "error"' in line]

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if found := re.search(r"^Voxproof \S+ .* on http://127\.0\.0\.1:(\d+)$", line):
                self.port = int(found[1])
                self._up.set()
        self._up.set()
