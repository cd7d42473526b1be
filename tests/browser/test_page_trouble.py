"""The page when something is wrong: the microphone, the address, the server or the connection. What is wrong and what to do is said in words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page
from websockets.sync.client import connect

from tests.browser.conftest import FAKE_DEVICE, MIC_RATE, NAMES, Browse, Server, noise

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SOCKETS = """window.sockets = [];
const Real = WebSocket;
WebSocket = class extends Real { constructor(...given) { super(...given); sockets.push(this); } };"""
KEY = "a-key-that-only-this-test-knows-0123456789"
DENIED = "401|WebSocket connection"  # the browser's own remarks on a refusal


def top_of(page: Page, element: str) -> float:
    box = page.locator(element).bounding_box()
    assert box is not None
    return box["y"]


def test_a_denied_microphone(browse: Browse, server: Server) -> None:
    seen = browse(args=("--deny-permission-prompts", *FAKE_DEVICE))
    seen.page.goto(server.url)
    seen.page.click("#primary")
    seen.phase("failed")
    assert seen.text("title") == "The microphone is not allowed"
    assert "not allowed" in seen.text("alarm")
    assert seen.text("primary") == "Try again"
    seen.shot("denied")


def test_each_way_a_microphone_fails_has_its_words_and_another_try(browse: Browse, server: Server) -> None:
    seen = browse()
    seen.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('The browser said so', window.fails.pop()) }; window.fails = []"
    )
    seen.page.goto(server.url)
    for name, title in (
        ("NotFoundError", "No microphone was found"),
        ("NotReadableError", "The microphone is in use"),
        ("OddError", "The microphone could not be started"),
    ):
        seen.page.evaluate(f"fails.push('{name}')")
        seen.page.click("#primary")
        seen.until(f"document.querySelector('#title').textContent === '{title}'")
        assert seen.text("primary") == "Try again" and seen.page.is_enabled("#primary")
        seen.shot(f"microphone-{name}")
    assert "The browser said so" in seen.text("sentence")
    assert seen.page.evaluate("import('./static/js/main.js').then(({ page }) => page.visit.checks.length)") == 1, "tries that failed do not pile up"


def test_a_page_that_is_not_secure(browse: Browse, server: Server) -> None:
    seen = browse(args=(*FAKE_DEVICE, "--host-resolver-rules=MAP voxproof.test 127.0.0.1"))
    seen.expect("Cross-Origin-Opener-Policy")  # the browser's remark on any insecure page
    seen.page.goto(f"http://voxproof.test:{server.port}/")
    seen.phase("failed")
    assert seen.text("title") == "The microphone is blocked here"
    assert f"http://127.0.0.1:{server.port}" in seen.text("sentence") and "https://" in seen.text("sentence")
    assert seen.page.is_disabled("#primary") and seen.page.is_enabled("#secondary")
    seen.shot("insecure")


def test_a_full_server_says_when_and_lets_in_later(browse: Browse, make_server: Callable[..., Server]) -> None:
    full = make_server(max_streams=0, retry_after_ms=3000)
    seen = browse()
    seen.page.goto(full.url)
    seen.page.click("#primary")
    seen.phase("failed")
    assert seen.text("title") == "The server is full"
    assert re.search(r"in [123] s", seen.text("sentence"))
    assert seen.page.is_disabled("#primary")
    seen.shot("server-full")
    seen.page.wait_for_selector("#primary:enabled", timeout=6000)
    assert seen.text("primary") == "Try again" and "now" in seen.text("sentence")
    full.stop()
    full.settings["max_streams"] = 5
    full.start()
    seen.page.click("#primary")
    seen.phase("listening")


@pytest.mark.data
def test_a_killed_server_is_said_and_come_back_to(browse: Browse, make_server: Callable[..., Server], clips: dict[str, Path]) -> None:
    mortal = make_server()
    seen = browse(clips["spoof"])
    seen.expect("WebSocket connection to")
    page = seen.page
    page.goto(mortal.url)
    chart_top = top_of(page, ".chart")
    page.click("#primary")
    page.wait_for_selector("#panel[data-tone=spoof]")
    mortal.stop()
    seen.until("document.querySelector('#status').textContent.includes('Connection lost')")
    assert seen.text("title") == NAMES["spoof"], "what was known stays"
    assert top_of(page, ".chart") == chart_top
    seen.shot("connection-lost")
    mortal.start()
    seen.until("document.querySelector('#notices').textContent.includes('began anew')", 30)
    before = int(seen.text("fact-windows"))
    seen.windows(before + 3)
    page.click("#primary")
    seen.phase("result")
    assert "because the server was restarted" in seen.text("sentence")
    seen.shot("result-after-restart", full=True)


def test_a_broken_connection_is_resumed(browse: Browse, server: Server, tmp_path: Path) -> None:
    seen = browse(noise(tmp_path))
    page = seen.page
    # The socket is closed under the page's feet, as a network does it: without a close code of the page's own.
    page.add_init_script(SOCKETS)
    page.goto(server.url)
    page.click("#primary")
    seen.windows(3)
    # The server sees a peer that left in the middle; the page, a connection that just ended.
    page.evaluate("(() => { sockets.at(-1).close(3000); sockets.at(-1).onclose({ code: 1006 }) })()")
    seen.until("sockets.length === 2")
    seen.windows(8)
    assert "began anew" not in seen.text("notices")
    page.click("#primary")
    seen.phase("result")
    minutes, seconds = seen.text("fact-time").split(":")
    assert abs((int(minutes) * 60 + int(seconds)) - (int(seen.text("fact-windows")) + 1) / 2) <= 1, "no time went missing"


def test_a_server_that_is_gone(browse: Browse, make_server: Callable[..., Server]) -> None:
    gone = make_server()
    seen = browse()
    seen.expect("WebSocket connection to")
    seen.page.goto(gone.url)
    seen.page.click("#primary")
    seen.windows(2)
    gone.stop()
    seen.page.click("#primary")
    seen.phase("finishing")
    seen.page.click("#primary")  # cancels the waiting for a result that does not come
    seen.phase("failed")
    assert seen.text("title") == "No final result" and seen.page.is_enabled("#keep-wav"), "the call itself is not thrown away"
    seen.page.click("#primary")
    seen.until("document.querySelector('#visit-list').childElementCount === 2")
    seen.phase("failed")
    assert seen.text("title") == "The server does not answer"
    seen.shot("unreachable")


def test_a_key_is_asked_for_used_and_forgotten(browse: Browse, make_server: Callable[..., Server], tmp_path: Path) -> None:
    locked = make_server(api_key=KEY)
    seen = browse(noise(tmp_path))
    seen.expect(DENIED)
    page = seen.page
    addresses: list[str] = []
    page.on("websocket", lambda ws: addresses.append(ws.url))
    page.add_init_script(SOCKETS)
    page.goto(locked.url)
    page.wait_for_selector("html[data-ready]")
    assert page.is_hidden("#key")
    page.click("#primary")
    seen.phase("failed")
    assert seen.text("title") == "This server needs a key"
    page.wait_for_selector("#key:focus")
    seen.shot("needs-key")
    page.keyboard.type("not-the-key-0123456789")
    page.keyboard.press("Enter")
    seen.until("document.querySelector('#title').textContent === 'This key is not known here'")
    page.wait_for_selector("#key:focus")
    assert page.get_attribute("#key", "aria-invalid") == "true" and "does not know this key" in seen.text("key-hint")
    seen.shot("wrong-key")
    page.keyboard.type(KEY)  # over the wrong one, which is selected
    page.keyboard.press("Enter")
    seen.phase("listening")
    assert page.get_attribute("#key", "aria-invalid") == "false"
    seen.windows(2)
    # A broken connection is resumed with a token of its own.
    with page.expect_request("**/v1/tokens"):
        page.evaluate("(() => { sockets.at(-1).close(3000); sockets.at(-1).onclose({ code: 1006 }) })()")
    before = int(seen.text("fact-windows"))
    seen.windows(before + 3)
    assert "began anew" not in seen.text("notices")
    page.click("#primary")
    seen.phase("result")
    assert len(addresses) == 3 and not any(KEY in url or "token" in url for url in addresses), "no address carries it"

    file = tmp_path / "noise.wav"
    page.set_input_files("#picker", file)
    seen.until("document.querySelector('#source').textContent.includes('noise.wav')")
    seen.phase("result")
    page.click("#key-forget")
    page.set_input_files("#picker", file)
    seen.phase("waiting")
    page.wait_for_selector("#key:focus")
    assert "needs a key" in seen.text("sentence")
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    seen.phase("result")


def test_a_limit_of_a_key_counts_down(browse: Browse, make_server: Callable[..., Server]) -> None:
    strict = make_server(api_key=KEY, key_requests_per_minute=1)
    seen = browse()
    seen.expect("429")
    page = seen.page
    page.goto(strict.url)
    page.click("#key-box summary")
    page.fill("#key", KEY)
    page.click("#key-form button[type=submit]")
    page.click("#primary")
    seen.phase("failed")
    assert seen.text("title") == "Too much at once" and page.is_disabled("#primary")
    assert re.search(r"in \d+ s", seen.text("sentence"))
    seen.shot("limited")


def test_what_is_wrong_with_the_sound_is_said_while_it_is(browse: Browse, server: Server, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    quiet, loud = np.zeros(8 * MIC_RATE), np.clip(rng.normal(0, 1.5, 3 * MIC_RATE), -1, 1)
    soundfile.write(tmp_path / "odd.wav", np.concatenate([loud, quiet]).astype(np.float32), MIC_RATE, subtype="PCM_16")
    seen = browse(tmp_path / "odd.wav")
    page = seen.page
    page.add_init_script(
        """const real = MediaDevices.prototype.getUserMedia;
        MediaDevices.prototype.getUserMedia = async function (wanted) { return window.media = await real.call(this, wanted); }"""
    )
    page.goto(server.url)
    chart_top = top_of(page, ".chart")
    page.click("#primary")
    said = "document.querySelector('#status').textContent"
    seen.until(f"{said}.includes('clipped')")
    assert top_of(page, ".chart") == chart_top
    seen.shot("clipped")
    seen.until(f"{said}.includes('Nothing is heard')")
    seen.shot("silent")
    page.evaluate("media.getAudioTracks()[0].dispatchEvent(new Event('mute'))")
    seen.until(f"{said}.includes('is muted: by')")
    page.evaluate("media.getAudioTracks()[0].dispatchEvent(new Event('unmute'))")
    seen.until(f"{said}.includes('Nothing is heard')")
    page.evaluate("media.getAudioTracks()[0].dispatchEvent(new Event('ended'))")
    seen.phase("result")
    assert "The microphone is gone" in seen.text("status")
    seen.shot("unplugged")


def test_a_session_that_is_too_long_ends_with_its_verdict(browse: Browse, make_server: Callable[..., Server], tmp_path: Path) -> None:
    seen = browse(noise(tmp_path))
    seen.page.goto(make_server(max_session_seconds=3).url)
    seen.page.click("#primary")
    seen.phase("result")
    assert seen.text("title") == "No speech" and "longest listening time" in seen.text("status")
    seen.shot("too-long")


def test_a_session_taken_over_elsewhere_is_said(browse: Browse, server: Server, tmp_path: Path) -> None:
    seen = browse(noise(tmp_path))
    ready: list[dict[str, str]] = []

    def hear(payload: str | bytes) -> None:
        if isinstance(payload, str) and '"ready"' in payload:
            ready.append(json.loads(payload))

    seen.page.on("websocket", lambda ws: ws.on("framereceived", hear))
    seen.page.goto(server.url)
    seen.page.click("#primary")
    seen.windows(2)
    start = {"type": "start", "protocol": "voxproof.v1", "audio": {"encoding": "pcm_s16le", "sample_rate": 44100, "channels": 1}}
    with connect(server.url.replace("http", "ws") + "/v1/stream") as other:
        other.send(json.dumps({**start, "resume": {name: ready[0][name] for name in ("session_id", "resume_token")}}))
        seen.phase("failed")
        assert seen.text("title") == "Continued elsewhere"
    seen.shot("taken-over")
