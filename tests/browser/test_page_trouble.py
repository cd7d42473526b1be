"""The page when something is wrong: the microphone, the address, the server or the connection. What is wrong and what to do is said in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.conftest import FAKE_DEVICE, NAMES, Browse, Server, noise

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_denied_microphone(browse: Browse, server: Server) -> None:
    seen = browse(args=("--deny-permission-prompts", *FAKE_DEVICE))
    seen.page.goto(server.url)
    seen.page.click("#primary")
    seen.phase("failed")
    assert seen.text("title") == "The microphone is not allowed"
    assert "not allowed" in seen.text("alarm")
    assert seen.text("primary") == "Try again"
    seen.shot("denied")


def test_no_microphone(browse: Browse, server: Server) -> None:
    seen = browse(args=("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=device-count=0"))
    seen.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('Requested device not found', 'NotFoundError') }"
    )
    seen.page.goto(server.url)
    seen.page.click("#primary")
    seen.phase("failed")
    assert seen.text("title") == "No microphone was found"
    seen.shot("no-microphone")


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
    chart_top = page.locator(".chart").bounding_box()["y"]
    page.click("#primary")
    page.wait_for_selector("#panel[data-tone=spoof]")
    mortal.stop()
    seen.until("document.querySelector('#status').textContent.includes('Connection lost')")
    assert seen.text("title") == NAMES["spoof"], "what was known stays"
    assert page.locator(".chart").bounding_box()["y"] == chart_top
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
    keep = "window.sockets = []; const Real = WebSocket; WebSocket = class extends Real { constructor(u) { super(u); sockets.push(this) } }"
    page.add_init_script(keep)
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
    seen.page.wait_for_selector("html[data-ready]")
    gone.stop()
    seen.page.click("#primary")
    seen.phase("failed")
    assert seen.text("title") == "The server does not answer"
    seen.shot("unreachable")
