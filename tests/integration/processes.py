"""Programs that are not ours and listen on a port: started, waited for, ended. The servers of `servers_of_others` are made of it."""

from __future__ import annotations

import pwd
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

START_S = 30.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Process:
    """A server that takes connections on a port: started, waited for, ended; `pause` and `go_on` make one that does not answer."""

    def __init__(self, command: list[str], port: int, folder: Path, user: str | None = None) -> None:
        self._command, self.port, self.folder, self._user = command, port, folder, user
        self.start()

    def start(self) -> None:
        with (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                self._command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, user=self._user, group=group_of(self._user),
                extra_groups=[] if self._user else None, start_new_session=True,
            )  # fmt: skip
        until_it_listens(self.port, self._process, self.folder / "output.log")

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def until_it_listens(port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    """Asking again is the only way to learn that another process listens."""
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    process.kill()
    raise RuntimeError(f"{process.args!r} does not listen on {port}:\n" + output.read_text(errors="replace")[-4000:])


def group_of(user: str | None) -> int | None:
    return pwd.getpwnam(user).pw_gid if user else None
