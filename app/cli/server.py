"""Settings -> a running server: socket, model, then uvicorn. Everything that can go wrong at start ends here in one line and an exit code.

Called by `serve`; apart from it, because it imports the server.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import ipaddress
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer
import uvicorn

from app import __version__, logs
from app.cli.options import fail
from app.core.errors import BadSetting, ModelError, StoreUnavailable
from app.settings import Settings

if TYPE_CHECKING:
    from app.service.services import Services

ADDRESS_PROBLEM, MODEL_PROBLEM = 1, 2
BACKLOG = 2048
GRACE_SECONDS = 10
SWITCH_S = 0.0005  # after each graph the scoring thread waits this long, by default 5 ms, for a busy event loop to let go of the interpreter
TOGETHER_S = 0.5
LEVELS = ("debug", "info", "warning", "error")


log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serves until a signal. Exits with 1 when the address cannot be had, with 2 when the model cannot be used."""
    gc.disable()  # what is made until the server has started never becomes garbage, and looking for it took a sixth of the time
    try:
        _serve(settings)
    finally:
        gc.enable()


def _serve(settings: Settings) -> None:
    from app.main import create_app, http_protocol, load_detector

    lines = _log(settings)
    sys.setswitchinterval(SWITCH_S)
    listener = _bind(settings.host, settings.port)
    try:
        detector = load_detector(settings)
        app = create_app(settings, detector)
    except (ModelError, BadSetting) as exc:
        fail(exc.message, MODEL_PROBLEM)
    info = detector.model.info
    try:
        listener.listen(BACKLOG)  # a second server may have bound it in the meantime
    except OSError as exc:
        _cannot_listen(settings.host, settings.port, exc)
    line = f"Voxproof {__version__} with model {info.name} {info.version} on {_url(settings.host, listener.getsockname()[1])}"

    def announce() -> None:
        typer.echo(line)
        gc.freeze()  # nor is it looked at later, while live streams wait
        gc.enable()
        threading.Thread(target=lines.warm, name="logs", daemon=True).start()  # so that the first request need not wait for it

    server = _Server(
        uvicorn.Config(
            app, host=settings.host, port=settings.port, lifespan="on", log_config=None, access_log=False,
            loop="uvloop" if find_spec("uvloop") else "auto", http=http_protocol(settings),
            ws="app.web.protocol:WebSocketProtocol", ws_max_size=settings.max_message_bytes, ws_ping_interval=20, ws_ping_timeout=20,
            ws_per_message_deflate=False, server_header=False, proxy_headers=False, backlog=BACKLOG, timeout_graceful_shutdown=GRACE_SECONDS,
        ),
        lambda: app.state.services, settings.drain_seconds, announce,
    )  # fmt: skip
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again when it has shut down
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it takes requests, and which lets what it has begun go on for a while when it is told to end.

    The first signal begins the drain; uvicorn's own shutdown follows when that is over. A second one ends it at once.
    """

    def __init__(self, config: uvicorn.Config, services: Callable[[], Services], drain_s: float, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._services, self._drain_s, self._announce = services, drain_s, announce
        self._asked_at: float | None = None
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started and not self.should_exit:
            self._announce()
            for line in await standing(self._services(), sockets or []):
                typer.echo(line)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.started:
            self.should_exit = True
        elif self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at < TOGETHER_S:
            return  # a terminal's Ctrl+C and the SIGTERM of the program that runs this one are one wish
        else:
            self.should_exit = self.force_exit = True
        self._captured_signals.append(sig)

    async def on_tick(self, counter: int) -> bool:
        if self._asked_at is not None and self._draining is None:
            self._draining = asyncio.create_task(self._drain(), name="drain")
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.gather(self._draining, return_exceptions=True)
        if self.force_exit:
            self.config.timeout_graceful_shutdown = 0
        await super().shutdown(sockets=sockets)

    async def _drain(self) -> None:
        services = self._services()
        if begun := services.streams.open + services.uploads.open:
            log.info("ending: %d streams and uploads may go on for %g s; a second signal ends them now", begun, self._drain_s)
        if services.settings.redis_url:
            # There are other servers. A balancer that finds nobody here goes to the next; one that found us would give us, who have the fewest
            # connections, everybody we have just sent away.
            for server in self.servers:
                server.close()
        try:
            await services.drain(self._drain_s)
        except Exception:
            log.exception("the drain failed")
        finally:
            self.should_exit = True


async def standing(services: Services, sockets: Sequence[socket.socket]) -> list[str]:
    """What an operator should know at start: who is let in, and where things are stored, if they are."""
    lines = []
    try:
        required = await services.access.required()
    except StoreUnavailable:
        lines.append("Keys: the database cannot be reached, so nobody is let in yet.")
    else:
        reachable = next((address for each in sockets if (address := str(each.getsockname()[0])) and not _is_loopback(address)), None)
        if required:
            lines.append("Keys: required.")
        else:
            others = "" if reachable is None else f", though others can reach {reachable}"
            lines.append(f"Keys: none, so only programs on this machine are served{others}; 'voxproof keys create NAME' makes one.")
    if services.database.exists():
        lines.append(f"Data: {services.database.place.file or 'a PostgreSQL database'}")
    return lines


def _log(settings: Settings) -> logs.Lines:
    level = settings.log_level.lower()
    if level not in LEVELS:
        fail(f"the log level must be one of {', '.join(LEVELS)}, not {level!r}", MODEL_PROBLEM)
    return logs.configure(level, settings.log_format, [settings.api_key.get_secret_value()] if settings.api_key else [])


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


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host or '0.0.0.0'}:{port}"
