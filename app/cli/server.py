"""Settings -> a running server: socket, model, then uvicorn. Everything that can go wrong at start ends here in one line and an exit code.

Called by `serve`; apart from it, because it imports the server.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import NoReturn

import typer
import uvicorn

from app import __version__
from app.cli.options import fail
from app.core.errors import ModelError
from app.settings import Settings

ADDRESS_PROBLEM, MODEL_PROBLEM = 1, 2
BACKLOG = 2048
GRACE_SECONDS = 10
SWITCH_S = 0.0005  # after each graph the scoring thread waits this long, by default 5 ms, for a busy event loop to let go of the interpreter
LEVELS = ("debug", "info", "warning", "error")


def run(settings: Settings) -> None:
    """Serves until a signal. Exits with 1 when the address cannot be had, with 2 when the model cannot be used."""
    from app.main import create_app, http_protocol, load_detector

    _log(settings.log_level.lower())
    sys.setswitchinterval(SWITCH_S)
    listener = _bind(settings.host, settings.port)
    try:
        detector = load_detector(settings)
        app = create_app(settings, detector)
    except ModelError as exc:
        fail(exc.message, MODEL_PROBLEM)
    info = detector.model.info
    try:
        listener.listen(BACKLOG)  # a second server may have bound it in the meantime
    except OSError as exc:
        _cannot_listen(settings.host, settings.port, exc)
    _warn_if_open(listener)
    line = f"Voxproof {__version__} with model {info.name} {info.version} on {_url(settings.host, listener.getsockname()[1])}"
    server = _Announcing(
        uvicorn.Config(
            app, host=settings.host, port=settings.port, lifespan="on", log_config=None, access_log=settings.log_level.lower() == "debug",
            loop="uvloop" if find_spec("uvloop") else "auto", http=http_protocol(settings),
            ws="app.web.protocol:WebSocketProtocol", ws_max_size=settings.max_message_bytes, ws_ping_interval=20, ws_ping_timeout=20,
            ws_per_message_deflate=False, server_header=False, backlog=BACKLOG, timeout_graceful_shutdown=GRACE_SECONDS,
        ),
        lambda: typer.echo(line),
    )  # fmt: skip
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again when it has shut down
        server.run(sockets=[listener])


class _Announcing(uvicorn.Server):
    """uvicorn's server, which says when it takes requests."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started and not self.should_exit:
            self._announce()


def _log(level: str) -> None:
    if level not in LEVELS:
        fail(f"the log level must be one of {', '.join(LEVELS)}, not {level!r}", MODEL_PROBLEM)
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if level != "debug":
        # At info it tells the life of its process; that is what our one line is for.
        logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))


def _bind(host: str, port: int) -> socket.socket:
    """A socket on the first of the host's addresses, IPv4 ones before IPv6. Bound before the model is read, so that a taken port is told at once."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, proto, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as exc:
        _cannot_listen(host, port, exc)
    return listener


def _cannot_listen(host: str, port: int, exc: Exception) -> NoReturn:
    reasons = {
        errno.EADDRINUSE: "the port is in use; choose another with --port",
        errno.EACCES: "that port needs more rights; choose one from 1024 on with --port",
        errno.EADDRNOTAVAIL: "this machine does not have that address; see --host",
    }
    reason = "there is no such host name; see --host" if isinstance(exc, socket.gaierror | UnicodeError) else str(exc)
    fail(f"cannot listen on {host}:{port}: {reasons.get(getattr(exc, 'errno', None) or 0, reason)}", ADDRESS_PROBLEM)


def _warn_if_open(listener: socket.socket) -> None:
    address = str(listener.getsockname()[0])
    if not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        typer.echo(f"Warning: other machines can reach {address}, and there is no authentication yet.", err=True)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host or '0.0.0.0'}:{port}"
