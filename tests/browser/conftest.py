"""A real server in a process of its own, Chromium with a recording for a microphone, and recordings the shipped detector is sure about.

`server` runs with the shipped model; `make_server` starts others. `browse(wav)` opens a browser whose microphone plays that file and gives a `Page`
whose console, errors, requests and storage are watched: anything unexpected there fails the test. The browser can resolve no name, so a page that
needed anything from outside would be broken in every test. VOXPROOF_SHOTS names a folder for screenshots.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import soundfile
import soxr
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-extensions")
ALONE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE voxproof.test"
KEPT = {"voxproof.language", "voxproof-docs-language"}  # all that the pages may store in a browser: which language was chosen
FAKE_DEVICE = ("--use-fake-device-for-media-stream",)
ALLOW = ("--use-fake-ui-for-media-stream",)
NAMES = {"bonafide": "Sounds human", "spoof": "Sounds machine-made"}  # as the page says it
START_S = 60.0
MIC_RATE = 48000
CANDIDATES = 20  # clips a class that are tried; the surest are taken


# --- the server ---------------------------------------------------------------------------------------------


@dataclass
class Server:
    """`voxproof serve` with the given settings."""

    port: int
    settings: dict[str, Any]
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Server:
        env = {name: value for name, value in os.environ.items() if not name.startswith("VOXPROOF_")}
        # A test machine may be slow or shared: only a limit that a test sets refuses anybody.
        calm = {"max_busy": 1, "max_lag_ms": 60_000, "drain_seconds": 0.5, "log_level": "warning"}
        settings = {"host": "127.0.0.1", "port": self.port, **calm, **self.settings}
        env |= {f"VOXPROOF_{name.upper()}": str(value) for name, value in settings.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from app.cli.main import main; main()", "serve"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, text=True
        )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                pytest.fail(f"the server ended at start with status {self.process.returncode}")
            with contextlib.suppress(httpx2.HTTPError):
                if httpx2.get(self.url + "/readyz").status_code == 200:
                    return self
            time.sleep(0.1)
        self.stop()
        pytest.fail(f"the server was not ready after {START_S:g} s")

    def stop(self, how: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    started = Server(free_port(), {}).start()
    yield started
    started.stop(signal.SIGTERM)


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(**settings: Any) -> Server:
        made.append(Server(free_port(), settings))
        return made[-1].start()

    yield make
    for one in made:
        one.stop()


# --- the browser --------------------------------------------------------------------------------------------


STORED = """async () => {
    const stores = await Promise.all([indexedDB.databases(), globalThis.caches?.keys() ?? []]);
    return [...Object.keys(localStorage), ...Object.keys(sessionStorage), ...stores.flat().map((one) => one.name ?? one)];
}"""


@dataclass
class Watched:
    """A page, and what its console said that a user should never see."""

    page: Page
    shots: Path
    expected: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """A console error that belongs to this test (a refused upload is one, to a browser)."""
        self.expected.append(pattern)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") or "Content Security Policy" in message.text:
            self.said.append(f"{message.type}: {message.text}")

    def on_request(self, request: Request) -> None:
        self.asked.append(request)

    def unexpected(self) -> list[str]:
        return [text for text in [*self.said, *self.abroad(), *self.stored()] if not any(re.search(pattern, text) for pattern in self.expected)]

    def abroad(self) -> list[str]:
        """Requests for anything that is not this server's."""
        first = next((request.url for request in self.asked if request.url.startswith("http")), "")
        home = re.match(r"\w+://[^/]+/", first)
        return [f"asked {one.url}" for one in self.asked if home and not one.url.startswith((home[0], "blob:" + home[0], "data:", "about:"))]

    def stored(self) -> list[str]:
        """What the page left in the browser and may not."""
        if self.page.is_closed() or not self.page.url.startswith("http"):
            return []
        kept = self.page.evaluate(STORED)
        return [f"stored {name}" for name in kept if name not in KEPT] + [f"cookie {cookie['name']}" for cookie in self.page.context.cookies()]

    def shot(self, name: str, *, full: bool = False) -> None:
        self.page.screenshot(path=self.shots / f"{name}.png", full_page=full)

    def phase(self, name: str, timeout_s: float = 20) -> None:
        self.page.wait_for_selector(f"main[data-phase={name}]", timeout=timeout_s * 1000)

    def until(self, expression: str, timeout_s: float = 20) -> None:
        """Waits for a JavaScript expression to hold. (`wait_for_function` uses eval in the page, which its policy rightly forbids.)"""
        deadline = time.monotonic() + timeout_s
        while not self.page.evaluate(expression):
            if time.monotonic() > deadline:
                pytest.fail(f"still not true after {timeout_s:g} s: {expression}\nthe page says: {self.text('panel')}")
            self.page.wait_for_timeout(50)

    def windows(self, count: int) -> None:
        """Waits until so many windows have been scored."""
        self.until(f"parseInt(document.querySelector('#fact-windows').textContent) >= {count}")

    def text(self, element: str) -> str:
        return self.page.inner_text(f"#{element}")


Browse = Callable[..., Watched]


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("VOXPROOF_SHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("shots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def browse(shots: Path) -> Iterator[Callable[..., Watched]]:
    """`browse(wav=None, args=…, **context)`; by default the microphone is a fake one and allowed."""
    if not CHROMIUM.exists():
        pytest.skip("there is no /usr/bin/chromium (Debian: apt-get install chromium)")
    watched: list[Watched] = []
    browsers: list[Browser] = []
    with sync_playwright() as playwright:

        def open_page(wav: Path | None = None, args: tuple[str, ...] = (*ALLOW, *FAKE_DEVICE), *, mute: bool = True, **context: Any) -> Watched:
            microphone = (f"--use-file-for-fake-audio-capture={wav}%noloop",) if wav else ()
            loud = [] if mute else ["--mute-audio"]  # Playwright mutes, and a muted tab has no sound to share
            flags = ["--no-sandbox", *QUIET, ALONE, *args, *microphone]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags, ignore_default_args=loud)
            browsers.append(browser)
            page = browser.new_context(**{"viewport": {"width": 1100, "height": 900}, **context}).new_page()
            page.set_default_timeout(20_000)
            watched.append(Watched(page, shots))
            page.on("console", watched[-1].on_console)
            page.on("request", watched[-1].on_request)
            page.on("pageerror", lambda error: watched[-1].said.append(f"exception: {error}"))
            return watched[-1]

        yield open_page
        found = [text for one in watched for text in one.unexpected()]
        for browser in browsers:
            browser.close()
    assert not found, "the browser's console holds:\n" + "\n".join(found)


# --- recordings ---------------------------------------------------------------------------------------------


def microphone_file(path: Path, samples: np.ndarray, rate: int, seconds: float) -> Path:
    """`samples`, repeated to `seconds`, as a WAV that Chromium's fake microphone plays."""
    long = np.tile(samples, int(np.ceil(seconds * rate / len(samples))))[: round(seconds * rate)]
    soundfile.write(path, soxr.resample(long, rate, MIC_RATE), MIC_RATE, subtype="PCM_16")
    return path


def noise(folder: Path, seconds: float = 12) -> Path:
    path = folder / "noise.wav"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.02, round(seconds * MIC_RATE)).astype(np.float32), MIC_RATE, subtype="PCM_16")
    return path


def check(server: Server, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return dict(httpx2.post(server.url + "/v1/detect", files={"file": (path.name, file)}, timeout=60).json())


@pytest.fixture(scope="session")
def clips(shared_data: Path, server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One recording of 10 s a class, made from the clip about which the shipped detector is surest, and right."""
    folder = tmp_path_factory.mktemp("clips")
    with (shared_data / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "eval" and float(row["duration_s"]) > 3]
    chosen = {}
    for label, sign in (("bonafide", -1), ("spoof", 1)):
        paths = [shared_data / row["path"] for row in rows if row["label"] == label]
        scored = [(check(server, path), path) for path in paths[:: max(1, len(paths) // CANDIDATES)]]
        best = sorted((sign * answer["llr"], str(path)) for answer, path in scored if answer.get("llr") is not None and answer["speech_ms"] > 2000)
        for _, path in reversed(best[-8:]):
            samples, rate = soundfile.read(path, dtype="float32")
            made = microphone_file(folder / f"{label}.wav", samples, rate, 10)
            answer = check(server, made)
            if answer["verdict"] == label and all(segment["verdict"] == label for segment in answer["segments"][2:]):
                chosen[label] = made
                break
        else:
            pytest.fail(f"among {len(scored)} {label} clips the shipped detector is sure of none")
    return chosen
