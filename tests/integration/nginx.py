"""A real nginx with the configuration of `deploy/nginx.conf`, on other addresses: `with nginx_in_front([port, port]) as url`.

The fixture of that name in `servers_of_others` skips where Debian's nginx is not installed (`make test` installs it where it may).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.integration.processes import Process, free_port

NGINX = Path("/usr/sbin/nginx")
CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf"
FOLDERS: dict[str, Path] = {}
ABSENT = "no /usr/sbin/nginx: install Debian's nginx (make test does, as root)"


def config_for(ports: Sequence[int], port: int, folder: Path) -> str:
    """`deploy/nginx.conf` with these servers, this port, and everything it writes in `folder`. Nothing else differs."""
    servers = "\n".join(f"        server 127.0.0.1:{each} max_fails=3 fail_timeout=5s;" for each in ports)
    text, found = re.subn(r"^ *server server:8000 [^;]*;", servers, CONFIG.read_text("utf-8"), flags=re.M)
    text, listens = re.subn(r"^( *)listen 8080;", rf"\1listen 127.0.0.1:{port};", text, flags=re.M)
    assert found == 1 and listens == 1, "deploy/nginx.conf has another shape than this expects"
    return text.replace("/tmp/nginx", f"{folder}/nginx").replace("/dev/stdout", f"{folder}/access.log").replace("/dev/stderr", f"{folder}/error.log")


@contextmanager
def nginx_in_front(ports: Sequence[int]) -> Iterator[str]:
    """The URL of an nginx in front of the servers on these ports."""
    folder = Path(tempfile.mkdtemp(prefix="voxproof-nginx-"))
    folder.chmod(0o755)
    port = free_port()
    (folder / "nginx.conf").write_text(config_for(ports, port, folder), "utf-8")
    started = Process([str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"], port, folder)
    url = f"http://127.0.0.1:{port}"
    FOLDERS[url] = folder
    try:
        yield url
    finally:
        del FOLDERS[url]
        started.end()
        shutil.rmtree(folder, ignore_errors=True)


def access_log(url: str) -> str:
    """What the nginx at this URL has logged of requests so far."""
    return (FOLDERS[url] / "access.log").read_text("utf-8")


def installed() -> bool:
    return os.access(NGINX, os.X_OK)
