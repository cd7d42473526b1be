"""Every example of the documentation runs: it is taken from `/docs`' own source, the address and made-up ids replaced, and has to succeed."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np
import pytest

from app.core import hooks, pcm
from app.web.about import GUIDES, PATH_SAMPLES
from app.web.docs_page import requests
from app.web.routes import CHANNELS, ENDPOINTS
from app.web.snippets import BASE, LANGUAGES, written
from app.web.table import Endpoint
from tests.audio import sound_file
from tests.integration.material import wav_of
from tests.integration.server import VOXPROOF, Server
from tests.toy import voice

VOICE = voice(3.0, "spoof")
# The examples are for people, who see what curl answers; here a refusal must fail.
CURL = "set -eo pipefail\ncurl() { command curl --noproxy '*' --fail-with-body --silent --show-error \"$@\"; }\n"
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the recordings that the examples name, and `voxproof` on the path."""
    here = tmp_path_factory.mktemp("examples")
    levels = pcm.decode(bytes(range(256)), "mulaw", 1)[0]
    (here / "call.ulaw").write_bytes(np.abs(voice(3.0, "spoof", 8000).reshape(-1, 1) - levels).argmin(axis=1).astype(np.uint8).tobytes())
    (here / "call.wav").write_bytes(wav_of(VOICE.tobytes(), "pcm_s16le", 16000, 1))
    (here / "call.mp3").write_bytes(sound_file(VOICE, kind="MP3"))
    command = here / "voxproof"
    command.write_text(f'#!/bin/sh\nexec {VOXPROOF[0]} -c "{VOXPROOF[2]}" "$@"\n', "utf-8")
    command.chmod(0o755)
    return here


def node() -> list[str]:
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    major = int(subprocess.run([found, "-p", "process.versions.node.split('.')[0]"], capture_output=True, text=True, check=True).stdout)
    if major < 20:
        pytest.skip("node is older than 20")
    return [found, *(["--experimental-websocket", "--no-warnings"] if major < 22 else [])]


def command_for(language: str, text: str, folder: Path, name: str) -> list[str]:
    if language == "sh":
        return ["bash", "-c", CURL + text]
    source = folder / f"{name}.{language}"
    source.write_text(text, "utf-8")
    return [*([sys.executable] if language == "py" else node()), source.name]


def environment(folder: Path, key: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy") and not name.startswith("VOXPROOF_")}
    return env | {"VOXPROOF_API_KEY": key, "WEBHOOK_SECRET": SECRET, "PATH": f"{folder}:{env['PATH']}", "PYTHONPATH": str(Path(__file__).parents[2])}


def here(text: str, server: Server, **ids: str) -> str:
    """An example for this server, and for things that exist."""
    text = text.replace(BASE, server.http).replace(BASE.replace("http", "ws", 1), server.ws(""))
    text = text.replace("https://example.com/voxproof", "http://127.0.0.1:9/")  # the tests have no DNS
    for name, value in ids.items():
        text = text.replace(f"/{PATH_SAMPLES[name]}", f"/{value}")
    return text


def made(server: Server, key: str) -> dict[str, str]:
    """A session, a case with a recording and a webhook, for the paths that name one."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=server.http, headers=headers, timeout=30) as http:
        wav = wav_of(VOICE.tobytes(), "pcm_s16le", 16000, 1)
        session = http.post("/v1/voice/deepfake", files={"audio": wav}).json()["session_id"]
        case = http.post("/v1/reports/sar", files={"audio": wav}, data={"session_id": session, "decision": "deny", "reason": "Not her."}).json()[
            "case_id"
        ]
        webhook = http.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/", "events": ["session.finished"]}).json()["id"]
    return {"session_id": session, "case_id": case, "id": webhook}


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_request_runs(language: str, documented: tuple[Server, str], folder: Path) -> None:
    server, key = documented

    def failure(row: Endpoint) -> str:
        text = here(requests(row)[language], server, **(made(server, key) if "{" in row.path else {}))
        command = command_for(language, text, folder, f"{row.method}-{row.path.replace('/', '_')}")
        ran = subprocess.run(command, cwd=folder, env=environment(folder, key), capture_output=True, text=True, timeout=120, check=False)
        silent = row.method == "DELETE" or row.path.endswith("/audio")
        wrong = ran.returncode or silent != (not ran.stdout.strip())
        return f"{row.method} {row.path}\n{text}\n{ran.stdout}{ran.stderr}" if wrong else ""

    rows = [row for row in ENDPOINTS if requests(row)]
    assert {row.path for row in ENDPOINTS} == {row.path for row in rows}
    with ThreadPoolExecutor(3) as pool:
        failures = [found for found in pool.map(failure, rows) if found]
    assert not failures, "\n\n".join(failures)


@pytest.mark.parametrize("language", LANGUAGES)
def test_streams(language: str, documented: tuple[Server, str], folder: Path) -> None:
    server, key = documented
    names = {name for channel in CHANNELS if channel.about for name in channel.about.examples}
    assert names == {"stream"}
    command = command_for(language, here(written("stream")[language], server), folder, "stream")
    ran = subprocess.run(command, cwd=folder, env=environment(folder, key), capture_output=True, text=True, timeout=60, check=True)
    assert "spoof" in ran.stdout and "error" not in ran.stderr.lower(), ran.stdout + ran.stderr


@contextmanager
def receiver(command: list[str], folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    env = environment(folder, "") | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            until = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None and time.monotonic() < until, "the receiver did not start"
                    time.sleep(0.02)  # another process
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("language", ["py", "mjs"])
def test_a_receiver_tells_deliveries_from_others(language: str, folder: Path) -> None:
    """What we sign it takes; a changed body, an old time or another's secret it does not."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    source = written(GUIDES["webhooks"][2])[language].replace("8100", str(port))
    body = b'{"type":"session.finished","timestamp":"2026-01-31T12:00:00Z","data":{"session_id":"call-17","verdict":"spoof"}}'
    good = hooks.headers(SECRET, "msg_1", int(time.time()), body)
    other = "whsec_" + base64.b64encode(b"another secret of ours..").decode()
    with receiver(command_for(language, source, folder, "webhook"), folder, port) as process, httpx2.Client(timeout=30) as http:
        url = f"http://127.0.0.1:{port}/"
        assert http.post(url, content=body, headers=good).status_code == 204
        assert process.stdout and process.stdout.readline().split() == ["session.finished", "call-17", "spoof"]
        for headers, content in [
            (good, body + b" "),
            (hooks.headers(SECRET, "msg_1", int(time.time()) - 1000, body), body),
            (hooks.headers(other, "msg_1", int(time.time()), body), body),
            ({"webhook-id": "msg_1"}, body),
        ]:
            assert http.post(url, content=content, headers=headers).status_code == 400
