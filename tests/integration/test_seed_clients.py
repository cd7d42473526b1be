"""The clients printed in seed 003, taken out of its text and run as they stand: only the name `your-server` is made to mean the test server.

Python: in a process whose name look-up is bent. JavaScript: in Chromium, on a page of that server, with sound that MediaRecorder recorded.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, async_playwright

from tests.audio import sound_file
from tests.integration.seed import block_with
from tests.integration.server import Server
from tests.toy import voice

CHROMIUM = Path("/usr/bin/chromium")
SITE = "http://your-server:8000"

# Runs the snippet as a script of its own, in a folder where the path it names exists.
RUNNER = """
import runpy, socket, sys
port, look_up = int(sys.argv[1]), socket.getaddrinfo
def bent(host, service, *rest, **options):
    assert (host, service) == ("your-server", 8000), (host, service)
    return look_up("127.0.0.1", port, *rest, **options)
socket.getaddrinfo = bent
runpy.run_path("client.py", run_name="__main__")
"""

RECORD = """
async (hertz) => {
  const context = new AudioContext();
  const tone = new OscillatorNode(context, {frequency: hertz});
  const gain = new GainNode(context, {gain: 0.3});
  const end = new MediaStreamAudioDestinationNode(context);
  tone.connect(gain).connect(end);
  tone.start();
  await context.resume();
  const recorder = new MediaRecorder(end.stream, {mimeType: "audio/webm;codecs=opus"});
  const pieces = [];
  recorder.ondataavailable = (event) => pieces.push(event.data);
  const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
  recorder.start(250);
  await new Promise((resolve) => setTimeout(resolve, 2500));
  recorder.stop();
  await stopped;
  if (ws.readyState !== WebSocket.OPEN) throw new Error("the socket is not open: " + ws.readyState);
  sendAudioForAnalysis(new Blob(pieces, {type: "audio/wav"}));
}
"""


@pytest.fixture(scope="module")
def server(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Without keys, which those clients do not know; it answers to the name they use because a page of that name is allowed."""
    with Server(tmp_path_factory.mktemp("seed"), toy, allowed_origins=f'["{SITE}"]') as running:
        yield running
        assert not running.traces()


@pytest.mark.parametrize(("kind", "classification"), [("bonafide", "real"), ("spoof", "deepfake")])
def test_the_python_client(server: Server, tmp_path: Path, kind: str, classification: str) -> None:
    (tmp_path / "client.py").write_text(block_with("python", "asyncio.run(analyze_audio"), "utf-8")
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "audio.wav").write_bytes(sound_file(voice(3.0, kind)))  # type: ignore[arg-type]
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    command = [sys.executable, "-c", RUNNER, str(server.port)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == f"Classification: {classification}"
    assert 0.5 < float(second.removeprefix("Confidence: ")) <= 1


@pytest.fixture
async def browser(server: Server) -> AsyncIterator[BrowserContext]:
    arguments = ["--no-sandbox", f"--host-resolver-rules=MAP your-server:8000 127.0.0.1:{server.port}", "--autoplay-policy=no-user-gesture-required"]
    arguments += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        context = await chromium.new_context()
        yield context
        await chromium.close()


async def with_the_snippet(context: BrowserContext) -> Page:
    """A page that the server itself gave out, with the seed's script in it. /livez has no policy against scripts of others, as / does."""
    page = await context.new_page()
    await page.goto(f"{SITE}/livez")
    async with page.expect_websocket():
        await page.add_script_tag(content=block_with("javascript", "sendAudioForAnalysis"))
    await page.wait_for_function("ws.readyState === WebSocket.OPEN", timeout=10_000)
    return page


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="/usr/bin/chromium is not installed")
async def test_the_javascript_client(browser: BrowserContext) -> None:
    """Two pages record two sounds at once; each logs its answer, from WebM/Opus that is called WAV."""
    logged = await asyncio.gather(said_about(await with_the_snippet(browser), 180), said_about(await with_the_snippet(browser), 2400))
    for text, classification in zip(logged, ("real", "deepfake"), strict=True):
        label, confidence = text.split(", ")
        assert label == f"Classification: {classification}"
        assert 0.5 < float(confidence.removeprefix("Confidence: ")) <= 1


async def said_about(page: Page, hertz: int) -> str:
    """What the snippet logs about two and a half seconds of this tone."""
    async with page.expect_console_message(timeout=30_000) as logged:
        await page.evaluate(RECORD, hertz)
    message: ConsoleMessage = await logged.value
    return message.text
