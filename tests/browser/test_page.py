"""The page in Chromium against a real server with the shipped detector: what a person sees while listening, and what `GET /` answers to whom.

Every test also fails on an unexpected console message (a broken Content-Security-Policy is one) or exception; see `browse` in `conftest`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.browser.conftest import NAMES, Browse, Server, noise

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.data
@pytest.mark.parametrize("label", ["bonafide", "spoof"])
def test_listens_to_a_recording_and_says_its_verdict(browse: Browse, server: Server, clips: dict[str, Path], label: str) -> None:
    seen = browse(clips[label])
    page = seen.page
    page.goto(server.url)
    seen.shot("idle", full=True)
    watch_shifts(page)
    chart_top = page.locator(".chart").bounding_box()["y"]
    page.click("#primary")
    seen.phase("listening")
    page.wait_for_selector(f"#panel[data-tone={label}]", timeout=15_000)
    assert seen.text("title") == NAMES[label]
    assert re.search(r"\d\.\d s of speech.*(provisional|steady)", seen.text("sentence"))
    seen.windows(9)
    assert seen.text("title") == NAMES[label]
    assert re.fullmatch(r"\d+ ms|\d+\.\d s", seen.text("fact-lag"))
    assert NAMES[label] in seen.text("announce")
    assert page.evaluate("window.shifts") < 0.001, "the page moved under the reader's eyes"
    assert page.locator(".chart").bounding_box()["y"] == chart_top
    seen.shot(f"listening-{label}")
    page.click("#primary")
    seen.phase("result")
    assert seen.text("title") == NAMES[label]
    assert ("sounds machine-made" in seen.text("sentence")) == (label == "spoof")
    assert NAMES[label] in seen.text("announce") and "Final" in seen.text("announce")
    seen.shot(f"result-{label}", full=True)


def test_declares_the_contexts_own_rate_and_sends_all_of_it(browse: Browse, server: Server, tmp_path: Path) -> None:
    seen = browse(noise(tmp_path))
    frames: list[Any] = []
    page = seen.page
    page.on("websocket", lambda ws: ws.on("framesent", lambda payload: frames.append(payload)))
    page.goto(server.url)
    page.dblclick("#primary")  # some people click everything twice: it is once meant, and a second "stop" would have thrown the recording away
    seen.windows(4)
    page.dblclick("#primary")
    seen.phase("result")
    texts = [frame for frame in frames if isinstance(frame, str)]
    rate = page.evaluate("new AudioContext().sampleRate")
    assert f'"sample_rate":{int(rate)}' in texts[0] and '"channels":1' in texts[0] and '"encoding":"pcm_s16le"' in texts[0]
    assert texts[-1] == '{"type":"stop"}'
    sent_s = sum(len(frame) for frame in frames if isinstance(frame, bytes)) / 2 / rate
    assert seen.text("fact-time") == f"0:{int(sent_s):02}"


def test_noise_is_no_speech(browse: Browse, server: Server, tmp_path: Path) -> None:
    seen = browse(noise(tmp_path))
    seen.page.goto(server.url)
    seen.page.click("#primary")
    seen.page.wait_for_selector("#panel[data-tone=no_speech]")
    seen.windows(6)
    assert seen.text("title") == "No speech"
    assert seen.text("fact-score") == "–"
    seen.shot("no-speech")
    seen.page.click("#primary")
    seen.phase("result")
    assert seen.text("title") == "No speech"


def test_the_keyboard_alone_is_enough(browse: Browse, server: Server) -> None:
    seen = browse()
    page = seen.page
    page.goto(server.url)
    page.wait_for_selector("html[data-ready]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "language"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "primary"
    seen.shot("focus")
    page.keyboard.press("Enter")
    seen.phase("listening")
    page.keyboard.press("Space")
    seen.phase("result")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "secondary"


def test_the_page_is_one_place_for_two_readers(server: Server) -> None:
    program = httpx2.get(server.url, headers={"accept": "application/json"})
    anybody = httpx2.get(server.url)
    assert program.json() == anybody.json()
    assert list(program.json()) == ["name", "version", "description", "endpoints"]
    person = httpx2.get(server.url, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert person.headers["content-type"].startswith("text/html")
    for answer in (program, person):
        assert answer.headers["vary"] == "Accept"
    policy = person.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and f"ws://127.0.0.1:{server.port}" in policy
    assert person.headers["permissions-policy"].startswith("microphone=(self), display-capture=(self)")
    bare = re.sub(r'\sdata-facts="[^"]*"', "", person.text)  # the programs shown under "Keep" name an address
    assert not re.search(r"<script(?![^>]* src=)|\bstyle=|\son\w+=|https?://", bare), "nothing inline, nothing from outside"
    head = httpx2.head(server.url, headers={"accept": "text/html"})
    assert head.status_code == 200 and not head.content
    strange = httpx2.get(server.url, headers={"accept": "text/html", "host": "x; script-src *"})
    assert "script-src *" not in strange.headers.get("content-security-policy", "")


def watch_shifts(page: Any) -> None:
    page.evaluate(
        """() => {
            window.shifts = 0;
            const add = (list) => list.getEntries().forEach((entry) => { window.shifts += entry.value; });
            new PerformanceObserver(add).observe({ type: "layout-shift" });
        }"""
    )
