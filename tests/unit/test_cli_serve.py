"""`voxproof serve` before it serves: what it gives uvicorn, and what it says when it cannot start. The running server is in tests/integration."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from typer.testing import CliRunner, Result

from app import logs
from app.cli import server
from app.cli.main import app
from app.core.errors import StoreUnavailable
from app.store.db import Database
from app.web.patience import PatientProtocol
from tests.toy import make_model

runner = CliRunner()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("serve") / "toy")


class Listener:
    """A socket that never touches the network."""

    def __init__(self, address: str = "127.0.0.1", problem: OSError | None = None) -> None:
        self._address, self._problem = address, problem

    def listen(self, backlog: int) -> None:
        if self._problem:
            raise self._problem

    def getsockname(self) -> tuple[str, int]:
        return self._address, 8765


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[uvicorn.Config]:
    """The configurations uvicorn was run with."""
    configs: list[uvicorn.Config] = []

    def run(self: Any, sockets: Any = None) -> None:
        configs.append(self.config)
        self._announce()

    for name in [name for name in os.environ if name.startswith("VOXPROOF_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(uvicorn.Server, "run", run)
    monkeypatch.setattr(server, "_bind", lambda host, port: Listener(host))
    monkeypatch.setattr(server.gc, "freeze", lambda: None)  # this process has others' garbage
    monkeypatch.setattr(server, "_log", lambda settings: logs.Lines("text"))
    return configs


def serve(model: Path, *arguments: str) -> Result:
    done = runner.invoke(app, ["serve", "--model", str(model), *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_it_says_where_it_is(model: Path, served: list[uvicorn.Config]) -> None:
    done = serve(model, "--port", "0")
    assert done.stdout == "Voxproof 0.1.0 with model toy 0.0.1 on http://127.0.0.1:8765\n" and not done.stderr
    (config,) = served
    assert (config.ws_max_size, config.ws_per_message_deflate, config.server_header, config.access_log) == (16 << 20, False, False, False)
    assert (config.ws_ping_interval, config.ws_ping_timeout, config.timeout_graceful_shutdown) == (20, 20, 10)
    assert config.loop == "uvloop"
    assert isinstance(config.http, type) and issubclass(config.http, PatientProtocol) and config.http.patience_s == 15


def test_settings_reach_uvicorn(model: Path, served: list[uvicorn.Config], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXPROOF_MAX_MESSAGE_BYTES", "4096")
    monkeypatch.setenv("VOXPROOF_LOG_LEVEL", "debug")
    serve(model)
    assert served[0].ws_max_size == 4096
    assert served[0].access_log is False  # uvicorn's would show queries; `web.observe` writes ours


@pytest.mark.parametrize(
    ("host", "open_to"), [("127.0.0.1", ""), ("127.3.2.1", ""), ("::1", ""), ("0.0.0.0", "0.0.0.0"), ("::", "::"), ("10.1.2.3", "10.1.2.3")]
)
async def test_it_says_who_is_let_in(model: Path, served: list[uvicorn.Config], host: str, open_to: str, tmp_path: Path) -> None:
    done = await asyncio.to_thread(serve, model, "--host", host)
    assert done.stdout.endswith(f"http://[{host}]:8765\n" if ":" in host else f"http://{host}:8765\n")
    services = Services(lambda: False, tmp_path)
    (line,) = await server.standing(services, [Listener(host)])  # type: ignore[arg-type, list-item]
    assert line.startswith("Keys: none") and ("others can reach" in line) is bool(open_to) and open_to in line
    services = Services(lambda: True, tmp_path)
    assert await server.standing(services, [Listener(host)]) == ["Keys: required."]  # type: ignore[arg-type, list-item]


async def test_it_says_where_data_is_once_there_is_some(tmp_path: Path) -> None:
    (tmp_path / "voxproof.db").touch()
    assert (await server.standing(Services(lambda: True, tmp_path), []))[-1] == f"Data: {tmp_path / 'voxproof.db'}"  # type: ignore[arg-type]


async def test_a_database_that_is_away_is_told(tmp_path: Path) -> None:
    def away() -> bool:
        raise StoreUnavailable()

    (line,) = await server.standing(Services(away, tmp_path), [])  # type: ignore[arg-type]
    assert "cannot be reached" in line


class Services:
    """What `standing` asks."""

    def __init__(self, keys: Callable[[], bool], folder: Path) -> None:
        self._keys = keys
        self.database = Database(None, folder)
        self.access = self

    async def required(self) -> bool:
        return self._keys()


@pytest.mark.parametrize("problem", ["missing", "altered", "card"])
def test_a_model_problem_is_one_line_and_exit_2(problem: str, served: list[uvicorn.Config], tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    if problem == "missing":
        (model / "encoder.onnx").unlink()
    elif problem == "altered":
        (model / "encoder.onnx").write_bytes(b"?")
    else:
        (model / "card.json").write_text('{"format": 2}')
    done = serve(model)
    assert done.exit_code == 2 and not served
    assert done.output.startswith("voxproof: ") and len(done.output.splitlines()) == 1


@pytest.mark.parametrize("number", [errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL])
def test_an_address_that_cannot_be_had_is_one_line_and_exit_1(
    model: Path, served: list[uvicorn.Config], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(server, "_bind", lambda host, port: Listener(problem=OSError(number, os.strerror(number))))
    done = serve(model)
    assert done.exit_code == 1 and not served
    assert done.output.startswith("voxproof: cannot listen on 127.0.0.1:8000: ") and len(done.output.splitlines()) == 1


def test_a_host_nobody_knows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    done = runner.invoke(app, ["serve", "--host", "nowhere.invalid"])
    assert done.exit_code == 1 and "no such host name" in done.stderr
