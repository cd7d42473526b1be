"""`voxproof stream` against a real server over a real network: the same verdicts as `voxproof check`, also when the cable is cut, and clear words
when it cannot be. `voxproof serve` from start to stop.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import pytest

from tests.audio import sound_file, wav
from tests.integration.server import CALM, ROOT, Server
from tests.toy import make_model, voice

pytestmark = pytest.mark.slow

SPEECH = voice(9.4, "spoof", 22050)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    make_model(folder / "toy")
    (folder / "machine.wav").write_bytes(wav(SPEECH, 22050))
    (folder / "machine.raw").write_bytes(voice(2, "spoof").tobytes())
    (folder / "human.flac").write_bytes(sound_file(voice(5, "bonafide", 44100, 2), 44100, "FLAC"))
    (folder / "many.wav").write_bytes(sound_file(voice(4, "spoof", channels=5)))
    (folder / "long.wav").write_bytes(wav(voice(120, "bonafide")))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with Server(folder, folder / "toy") as server:
        yield server
        assert not server.traces()


def command(folder: Path, *arguments: str, **settings: Any) -> tuple[list[str], dict[str, Any]]:
    """What to give Popen."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("VOXPROOF_", "PYTHON"))}
    env |= {f"VOXPROOF_{name.upper()}": str(value) for name, value in {"model": folder / "toy", **settings}.items()}
    env |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return [sys.executable, "-m", "app.cli.main", *arguments], {"cwd": folder, "env": env, "text": True}


def voxproof(folder: Path, *arguments: str, stdin: Any = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    words, options = command(folder, *arguments)
    done = subprocess.run(words, **options, stdin=stdin, capture_output=True, timeout=100, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def rows(folder: Path, *arguments: str, **options: Any) -> list[dict[str, Any]]:
    done = voxproof(folder, *arguments, "--json", **options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def checked(folder: Path, name: str) -> dict[str, Any]:
    (outcome,) = rows(folder, "check", name)
    return outcome


def assert_same(found: list[dict[str, Any]], checked: dict[str, Any]) -> None:
    """The stream's segments and verdict are those of `check`."""
    segments = [row for row in found if row["type"] == "segment"]
    assert len(segments) == len(checked["segments"])
    for ours, theirs in zip(segments, checked["segments"], strict=True):
        for name, value in theirs.items():
            assert ours[name] == (pytest.approx(value, abs=1e-3) if isinstance(value, float) else value), (name, ours, theirs)
    done = found[-1]
    for name in ("verdict", "duration_ms", "speech_ms", "segments_total", "dropped_ms"):
        assert done[name] == checked[name]
    assert done["llr"] == pytest.approx(checked["llr"], abs=1e-3)


@pytest.mark.parametrize("name", ["machine.wav", "human.flac", "many.wav"])
def test_a_stream_is_judged_as_the_file_is(folder: Path, server: Server, name: str) -> None:
    assert_same(rows(folder, "stream", name, "--url", server.ws()), checked(folder, name))


def test_the_running_verdict_as_text(folder: Path, server: Server) -> None:
    done = voxproof(folder, "stream", "machine.wav", "--url", server.http, "--fail-on", "spoof")
    assert done.returncode == 1 and not done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "Listening with model toy 0.0.1."
    assert any("ALERT" in line for line in lines) and any("stable" in line for line in lines)
    assert lines[-2].startswith("Verdict: spoof, score 0.") and lines[-1] == "Spoofed: 0:00.0-0:09.4."


def test_bare_samples_from_a_pipe_and_a_file(folder: Path, server: Server) -> None:
    with (folder / "machine.raw").open("rb") as stdin:
        piped = rows(folder, "stream", "-", "--url", server.ws(), stdin=stdin)
    named = rows(folder, "stream", "machine.raw", "--raw", "--url", server.ws(), "--chunk-ms", "7")
    assert piped[-1]["duration_ms"] == named[-1]["duration_ms"] == 2000
    assert piped[-1]["verdict"] == named[-1]["verdict"] == "spoof"


def test_real_time_takes_its_time(folder: Path, server: Server) -> None:
    began = time.monotonic()
    voxproof(folder, "stream", "machine.raw", "--raw", "--real-time", "--url", server.ws())
    assert time.monotonic() - began >= 2


class Proxy:
    """A cable that can be cut: TCP passed on to the server, each connection reset once `cut_after` bytes have gone up."""

    def __init__(self, port: int, *cut_after: int) -> None:
        self._port, self._cuts = port, list(cut_after)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0

    def __enter__(self) -> Proxy:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self._port))
            left = self._cuts.pop(0) if self._cuts else 1 << 40
            for source, target, most in ((near, far, left), (far, near, 1 << 40)):
                threading.Thread(target=self._pass, args=(source, target, most), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket, left: int) -> None:
        with suppress(OSError):
            while left > 0 and (data := source.recv(4096)):
                target.sendall(data)
                left -= len(data)
        for each in (source, target):
            # Without this the other thread's recv would keep the connection alive.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def test_a_cut_cable_changes_nothing(folder: Path, server: Server) -> None:
    with Proxy(server.port, 150_000, 60_000) as proxy:
        done = voxproof(folder, "stream", "machine.wav", "--url", proxy.url, "--json")
    assert done.returncode == 0 and proxy.connections == 3
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.stderr.count("The session goes on at") == 2 and done.stderr.count("Trying again in") == 2
    numbered = [row["seq"] for row in found if row["type"] != "ready"]
    assert numbered == list(range(2, numbered[-1] + 1)), "a message is missing, or came twice"
    assert_same(found, checked(folder, "machine.wav"))


def test_a_session_the_server_lost_leaves_a_gap_that_is_told(folder: Path) -> None:
    with Server(folder, folder / "toy", max_parked=0) as server, Proxy(server.port, 300_000) as proxy:
        done = voxproof(folder, "stream", "machine.wav", "--url", proxy.url)
    assert done.returncode == 0 and "The server no longer has the session: a new one starts at" in done.stderr
    assert done.stdout.splitlines()[-2].startswith("Verdict: spoof")


def test_no_server_no_traceback(folder: Path, server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = voxproof(folder, "stream", "machine.wav", "--url", f"ws://127.0.0.1:{port}")
    assert done.returncode == 3 and done.stderr == f"voxproof: No connection to ws://127.0.0.1:{port}/v1/stream: connection refused.\n"
    done = voxproof(folder, "stream", "machine.wav", "--url", server.ws("/nothing/here"))
    assert done.returncode == 3 and "no live stream at this address" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_full_server_says_when_to_come_again(folder: Path) -> None:
    with Server(folder, folder / "toy", max_streams=0, retry_after_ms=1500) as server:
        began = time.monotonic()
        done = voxproof(folder, "stream", "machine.wav", "--url", server.ws(), "--retries", "1")
        assert time.monotonic() - began >= 1.5, "it came again too early"
    assert done.returncode == 3 and "(1 of 1)" in done.stderr
    assert "The server is full" in done.stderr.splitlines()[-1] and "in 1.5 s" in done.stderr.splitlines()[-1]


def test_audio_that_cannot_be_used(folder: Path, server: Server) -> None:
    assert voxproof(folder, "stream", "nope.wav", "--url", server.ws()).returncode == 2
    (folder / "words.wav").write_text("not audio")
    done = voxproof(folder, "stream", "words.wav", "--url", server.ws())
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    with (folder / "machine.wav").open("rb") as stdin:
        done = voxproof(folder, "stream", "-", "--url", server.ws(), stdin=stdin)
    assert done.returncode == 2 and "not raw PCM" in done.stderr and "Verdict" not in done.stdout


def test_ctrl_c_asks_for_the_verdict(folder: Path, server: Server) -> None:
    words, options = command(folder, "stream", "long.wav", "--real-time", "--url", server.ws())
    process = subprocess.Popen(words, **options, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    lines = iter(process.stdout.readline, "")
    next(line for line in lines if "provisional" in line)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0 and not err
    assert out.splitlines()[-1].startswith("Verdict: bonafide")


def test_serve_from_start_to_stop(folder: Path) -> None:
    words, options = command(folder, "serve", "--port", "0", **CALM)
    process = subprocess.Popen(words, **options, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        assert httpx2.get(url + "/readyz", timeout=30).json()["status"] == "ready"
        answer = httpx2.post(url + "/v1/detect", content=(folder / "machine.wav").read_bytes(), timeout=60)
        assert answer.json()["verdict"] == "spoof" and "server" not in answer.headers
        assert voxproof(folder, "stream", "machine.wav", "--url", url).returncode == 0
        second = voxproof(folder, "serve", "--port", url.rpartition(":")[2])
        assert second.returncode == 1 and "the port is in use" in second.stderr and len(second.stderr.splitlines()) == 1
        # A live client is told to come again, and the server goes all the same.
        words, options = command(folder, "stream", "long.wav", "--real-time", "--url", url, "--retries", "0")
        client = subprocess.Popen(words, **options, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert client.stdout and client.stdout.readline().startswith("Listening")
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0 and out.startswith("Keys: none") and out.count("\n") == 1 and "Traceback" not in err
    assert client.wait(30) == 3
