"""What the page may cost. The limits are far from what a quiet machine shows (`python -m bench.page` prints that), so that only a mistake breaks
them: drawing that never rests, an array that grows with every message. And what the page may never do: call elsewhere, remember.
"""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from bench import browser
from bench.page import HOURS, microphone
from bench.states import show
from tests.browser.conftest import Browse, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

MOST_REQUESTS, MOST_BYTES = 160, 400_000
MOST_READY_MS = 40_000  # on a slow phone in a slow net
MOST_SHIFT = 0.002
MOST_FRAME_MS, MOST_WORK = 50.0, 0.6  # p50; share of a core
HOUR_GROWTH_MB = 25.0  # the sound's picture is bounded at 20


def test_a_first_visit_is_small_even_on_a_slow_phone(browse: Browse, server: Server) -> None:
    chromium = browse().page.context.browser
    found = browser.load(chromium, server.url + "/", slow=True)
    assert found["requests"] <= MOST_REQUESTS, found
    assert found["bytes"] <= MOST_BYTES and found["decoded_bytes"] > 1.5 * found["bytes"], found
    assert found["ready_ms"] <= MOST_READY_MS and found["shift"] <= MOST_SHIFT, found


def test_listening_moves_nothing_and_leaves_the_browser_room(browse: Browse, server: Server, tmp_path: Path) -> None:
    """Silence, speech, silence: every line the panel has comes and goes while somebody reads."""
    seen = browse(microphone(tmp_path, 6))
    page = seen.page
    page.add_init_script(browser.NOTED)
    page.goto(server.url)
    page.wait_for_selector("html[data-ready]")
    page.click("#primary")
    seen.phase("listening")
    before = page.evaluate("noted.shift")
    work = browser.work(page, 5)
    frames = browser.frames(page, 6)
    seen.until("document.querySelector('#status').textContent !== ''")  # the speech is over
    page.wait_for_timeout(500)
    assert page.evaluate("noted.shift") - before <= MOST_SHIFT, "the page moved under the reader's eyes"
    assert frames["p50_ms"] <= MOST_FRAME_MS, frames
    assert work["TaskDuration"] <= MOST_WORK, work


def test_hours_of_listening_need_no_more_memory_than_minutes(browse: Browse, server: Server) -> None:
    seen = browse()
    page = seen.page
    page.set_default_timeout(100_000)
    page.goto(server.url)
    page.wait_for_selector("html[data-ready]")
    tools = page.context.new_cdp_session(page)

    def after(minutes: float) -> float:
        page.evaluate(HOURS, {"minutes": minutes, "rate": 8000})
        found = browser.heap_bytes(tools)
        return float(found["heap_mb"] + found["buffers_mb"])

    minute, hour, two = after(1), after(39), after(40)
    assert hour - minute <= HOUR_GROWTH_MB and two - hour <= HOUR_GROWTH_MB / 2, (minute, hour, two)
    assert browser.frames(page, 1)["p50_ms"] <= MOST_FRAME_MS, "an hour must not be slower to draw than a minute"
    assert page.evaluate("document.querySelectorAll('*').length") < 3000, "nor make the page longer"


def test_nothing_is_asked_elsewhere_and_nothing_is_kept(browse: Browse, server: Server) -> None:
    """In no state. (`browse` holds this against every other browser test too.)"""
    seen = browse()
    page = seen.page
    page.goto(server.url)
    page.wait_for_selector("html[data-ready]")
    seen.expect("status of 404")  # the server is asked for the hash of a session that was made up
    for state in ("changing", "file_ranges", "history"):
        show(page, state)
    page.select_option("#language", "hi")
    seen.until("document.documentElement.lang === 'hi'")
    page.reload()
    seen.until("document.documentElement.lang === 'hi'")
    assert seen.abroad() == [] and seen.stored() == [] and len(seen.asked) > 10
    assert page.evaluate("Object.keys(localStorage)") == ["voxproof.language"]


def test_headers_shut_others_out(server: Server) -> None:
    for path in ("/", "/docs", "/model"):
        answer = httpx2.get(server.url + path, headers={"accept": "text/html"})
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html"), path
        policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
        assert policy["frame-ancestors"] == policy["default-src"] == policy["base-uri"] == "'none'", path
        assert "*" not in str(policy) and "unsafe" not in policy.get("script-src", ""), path
        assert path == "/model" or "unsafe" not in str(policy), path  # the model's report is one file, styles and all, and has no scripts
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["referrer-policy"] == "no-referrer" and answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
