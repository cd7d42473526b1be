"""Files on the page: picked, dropped, refused, waiting, played; the list of this visit."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Route

from tests.browser.conftest import NAMES, Browse, Server, Watched, noise

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DROP = """(files) => {
    const transfer = new DataTransfer();
    for (const [name, type, base64] of files) transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, { type }));
    window.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
PAGE = "(await import('/static/js/main.js')).page"


def drop(seen: Watched, *files: tuple[str, str, bytes]) -> None:
    seen.page.evaluate(DROP, [[name, kind, b64encode(data).decode()] for name, kind, data in files])


def lines(seen: Watched) -> list[tuple[str, str]]:
    """(name, what it says) of every line of the list."""
    return [(line.locator(".name").inner_text(), line.locator(".says").inner_text()) for line in seen.page.locator("#visit-list > li").all()]


def all_done(seen: Watched) -> None:
    seen.until(f"(async () => {PAGE}.visit.checks)().then((all) => all.length > 0 && all.every((one) => one.kind === 'live' || !one.running))", 60)
    seen.page.wait_for_timeout(50)  # a frame, in which it is drawn


def at_s(seen: Watched) -> float:
    """Where playback is, as the page says it: 0:03.2 / 0:30.0."""
    minutes, seconds = seen.text("times").split(" / ")[0].split(":")
    return int(minutes) * 60 + float(seconds)


@pytest.fixture(scope="session")
def mixed(clips: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10 s of a person, 10 s of a machine, 10 s of the person."""
    path = tmp_path_factory.mktemp("mixed") / "mixed.wav"
    parts = [soundfile.read(clips[label], dtype="float32") for label in ("bonafide", "spoof", "bonafide")]
    soundfile.write(path, np.concatenate([samples for samples, _ in parts]), parts[0][1], subtype="PCM_16")
    return path


# --- one file -----------------------------------------------------------------------------------------------


@pytest.mark.data
def test_a_dropped_file_on_a_phone_in_the_dark(browse: Browse, server: Server, clips: dict[str, Path]) -> None:
    seen = browse(viewport={"width": 360, "height": 780}, color_scheme="dark", device_scale_factor=2)
    seen.page.goto(server.url)
    seen.shot("phone-dark-idle", full=True)
    drop(seen, ("call.wav", "audio/wav", clips["bonafide"].read_bytes()))
    seen.phase("result")
    assert seen.text("title") == NAMES["bonafide"]
    assert seen.text("fact-time") == "0:10"
    assert "call.wav" in seen.text("source")
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the phone"
    seen.shot("phone-dark-result", full=True)


def test_limits_of_an_upload_are_said_with_their_figures(browse: Browse, make_server: Callable[..., Server], tmp_path: Path) -> None:
    small = make_server(max_upload_bytes=2 << 20, max_audio_seconds=2)
    seen = browse()
    seen.expect("status of 413")
    seen.page.goto(small.url)
    seen.page.set_input_files("#picker", noise(tmp_path, seconds=5))
    seen.phase("failed")
    assert seen.text("title") == "The recording is too long" and "2 seconds" in seen.text("sentence")
    big = tmp_path / "big.wav"
    big.write_bytes(bytes(3 << 20))
    asked = len(seen.asked)
    seen.page.set_input_files("#picker", big)
    seen.until("document.querySelector('#title').textContent === 'The file is too big'")
    assert "2.0 MB" in seen.text("sentence")
    assert not [one for one in seen.asked[asked:] if "/v1/detect" in one.url], "it is known before anything is sent"


@pytest.mark.data
def test_what_the_browser_cannot_read_has_its_verdict_all_the_same(browse: Browse, server: Server, clips: dict[str, Path], tmp_path: Path) -> None:
    samples, rate = soundfile.read(clips["bonafide"], dtype="float32")
    aiff = tmp_path / "old.aiff"
    soundfile.write(aiff, samples, rate, format="AIFF", subtype="PCM_16")
    seen = browse()
    seen.page.goto(server.url)
    seen.page.set_input_files("#picker", aiff)
    seen.phase("result")
    assert seen.text("title") == NAMES["bonafide"]
    seen.until("document.querySelector('#playback-why').textContent.includes('neither play nor draw')")
    assert seen.page.is_disabled("#play")


# --- several ------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_several_by_drop_bad_ones_among_them_and_the_list_by_keyboard(browse: Browse, server: Server, clips: dict[str, Path]) -> None:
    seen = browse()
    seen.expect("status of 4(15|22)")
    page = seen.page
    page.goto(server.url)
    garbage = np.random.default_rng(0).bytes(50_000)
    person, machine = clips["bonafide"].read_bytes(), clips["spoof"].read_bytes()
    drop(seen, ("person.wav", "audio/wav", person), ("holiday.wav", "audio/wav", garbage), ("empty.wav", "audio/wav", b""))
    drop(seen, ("notes.txt", "text/plain", b"hello"), ("machine.wav", "audio/wav", machine))  # more, while the first are being sent
    seen.shot("files-queue", full=True)
    all_done(seen)
    not_audio = "This is not an audio file we can read"
    assert seen.text("visit-working") == "1 machine-made · 1 human · 3 not checked"
    expected = [
        ("notes.txt", not_audio),
        ("machine.wav", NAMES["spoof"]),
        ("person.wav", NAMES["bonafide"]),
        ("holiday.wav", not_audio),
        ("empty.wav", "The file is empty"),
    ]
    assert lines(seen) == expected
    assert seen.text("title") == not_audio, "the first of the newest is on show"
    seen.shot("files-done", full=True)

    current = page.locator("#visit-list [aria-current]")
    current.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert current.locator(".name").inner_text() == "machine.wav" and seen.text("title") == NAMES["spoof"]
    page.keyboard.press("Delete")
    assert [name for name, _ in lines(seen)] == ["notes.txt", "person.wav", "holiday.wav", "empty.wav"]
    assert seen.text("title") == NAMES["bonafide"]
    assert current.evaluate("(one) => one === document.activeElement"), "the next one is on show, and has the focus"
    page.click("#visit-undo")
    assert lines(seen) == expected
    page.click("#visit-list li:nth-child(4) .gone")
    page.click("#visit-clear")
    assert page.is_visible("#visit-empty") and page.evaluate("document.activeElement.id") == "visit-undo"
    seen.until("document.querySelector('#title').textContent === 'Ready when you are'")
    page.keyboard.press("Enter")
    assert len(lines(seen)) == 4


@pytest.mark.data
def test_a_refusing_server_is_waited_for_and_a_key_lets_the_line_go_on(browse: Browse, server: Server, clips: dict[str, Path]) -> None:
    refusals = [(429, {"code": "rate_limited", "retry_after_ms": 2500}), (401, {"code": "unauthorized"})]
    keys: list[str | None] = []

    def answer(route: Route) -> None:
        keys.append(route.request.headers.get("authorization"))
        if refusals:
            status, problem = refusals.pop(0)
            route.fulfill(status=status, content_type="application/problem+json", body=json.dumps(problem))
        else:
            route.fallback()

    seen = browse()
    seen.expect("status of 4(29|01)")
    seen.page.route("**/v1/detect*", answer)
    seen.page.goto(server.url)
    data = clips["bonafide"].read_bytes()
    drop(seen, ("a.wav", "audio/wav", data), ("b.wav", "audio/wav", data))
    seen.phase("waiting")
    seen.until("/only so many checks a minute. Goes on by itself in [123] s/.test(document.querySelector('#visit-list .says').textContent)")
    seen.shot("files-limited", full=True)
    seen.until("document.querySelector('#visit-list .says').textContent.includes('needs a key')")
    assert len(keys) == 2
    seen.page.evaluate(f"async () => {PAGE}.settings.set({{ key: 'vp_test' }})")
    all_done(seen)
    assert lines(seen) == [("a.wav", NAMES["bonafide"]), ("b.wav", NAMES["bonafide"])]
    assert keys == [None, None, "Bearer vp_test", "Bearer vp_test"]


def test_the_connection_breaks_in_mid_upload_and_trying_again_helps(browse: Browse, make_server: Callable[..., Server], tmp_path: Path) -> None:
    mortal = make_server()
    seen = browse()
    seen.expect("ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_SOCKET")
    page = seen.page
    page.goto(mortal.url)
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    slow.send("Network.emulateNetworkConditions", {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 150_000})
    page.set_input_files("#picker", noise(tmp_path, seconds=8))
    seen.until("document.querySelector('progress').value > 0.1 && document.querySelector('progress').value < 0.9")
    seen.shot("uploading", full=True)
    mortal.stop()
    seen.phase("failed")
    assert seen.text("title") == "The connection broke" and lines(seen) == [("noise.wav", "The connection broke")]
    slow.send("Network.emulateNetworkConditions", {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
    page.click("#visit-list .retry")
    seen.until("document.querySelector('#visit-list .says').textContent.startsWith('The server does not answer')")
    mortal.start()
    seen.phase("result")  # by itself
    assert lines(seen) == [("noise.wav", "No speech")]


# --- playback -----------------------------------------------------------------------------------------------


@pytest.mark.data
def test_playback_follows_the_chart_and_the_stretches(browse: Browse, server: Server, mixed: Path) -> None:
    seen = browse()
    page = seen.page
    page.goto(server.url)
    page.set_input_files("#picker", mixed)
    seen.phase("result")
    seen.until("document.querySelector('#times').textContent.endsWith('0:30.0')")
    seen.until("getComputedStyle(document.querySelector('#plot')).cursor !== ''")
    box = page.locator("#plot").bounding_box()
    assert box is not None
    page.locator("#plot").click(position={"x": box["width"] * 0.75, "y": 60})
    first = at_s(seen)
    assert 15 < first < 28
    seen.until(f"parseFloat(document.querySelector('#position').value) > {first * 1000 + 400}")
    assert page.evaluate(f"async () => {PAGE}.chart.playhead_ms") > first * 1000
    page.keyboard.press("Space")  # the chart has the focus
    seen.until("document.querySelector('#play').dataset.playing === 'false'")
    stopped = at_s(seen)
    page.wait_for_timeout(300)
    assert at_s(seen) == stopped
    page.keyboard.press("Space")
    seen.until("document.querySelector('#play').dataset.playing === 'true'")

    assert "sounds machine-made" in seen.text("stretches-heading")
    stretch = page.locator("#stretches-list button").first
    begins, ends = (int(m) * 60 + float(s) for m, s in re.findall(r"(\d+):(\d+\.\d)", stretch.inner_text()))
    assert 7 < begins < ends < 24
    stretch.click()
    assert begins - 0.2 <= at_s(seen) <= ends
    assert stretch.get_attribute("aria-current") == "true"
    shown = page.evaluate(f"async () => {{ const {{ axis }} = {PAGE}.chart; return [axis.from_ms, axis.from_ms + axis.span_ms]; }}")
    assert shown[0] / 1000 <= begins and ends <= shown[1] / 1000 and shown[1] - shown[0] < 29_000
    seen.shot("stretch", full=True)
    page.evaluate(f"async () => void ({PAGE}.player.audio.currentTime = {ends - 0.4})")
    seen.until("document.querySelector('#play').dataset.playing === 'false'")
    assert abs(at_s(seen) - ends) < 0.3, "it stops where the stretch ends"

    page.set_viewport_size({"width": 360, "height": 780})
    stretch.click()
    page.wait_for_selector("#transport.floating")  # the chart came up, so its controls come along
    seen.until("document.querySelector('#plot').getBoundingClientRect().top > -1")
    seen.shot("phone-stretch")
    page.click("#play")
    page.locator("#stretches").scroll_into_view_if_needed()
    page.mouse.wheel(0, 200)
    seen.until("!document.querySelector('#transport').classList.contains('floating')")

    page.evaluate(f"async () => {PAGE}.settings.set({{ profile: 'strict' }})")
    assert "strict" in seen.text("anew-again")
    page.click("#anew-again")
    all_done(seen)
    assert [name for name, _ in lines(seen)] == ["mixed.wav", "mixed.wav"]
    seen.until("document.querySelector('#anew').hidden")


@pytest.mark.data
def test_a_file_while_listening_and_the_way_back(browse: Browse, server: Server, clips: dict[str, Path]) -> None:
    seen = browse(clips["bonafide"])
    page = seen.page
    page.goto(server.url)
    page.click("#primary")
    seen.phase("listening")
    drop(seen, ("machine.wav", "audio/wav", clips["spoof"].read_bytes()))
    all_done(seen)
    assert page.get_attribute("main", "data-phase") == "listening", "a file that comes in does not take the recording's place"
    page.click("#visit-list li:first-child .pick")
    seen.phase("result")
    assert seen.text("title") == NAMES["spoof"]
    assert page.is_disabled("#play") and "microphone would hear it" in seen.text("playback-why")
    assert "Still listening" in seen.text("elsewhere-text")
    seen.shot("elsewhere")
    page.click("#elsewhere-back")
    seen.phase("listening")
    assert not page.is_visible("#elsewhere")
    seen.windows(6)
    page.click("#primary")
    seen.phase("result")
    assert page.get_attribute("#visit-list li:last-child .pick", "aria-current") == "true"
    page.click("#play")
    seen.until("parseFloat(document.querySelector('#position').value) > 300")
    page.click("#visit-list li:first-child .pick")
    seen.until("document.querySelector('#play').dataset.playing === 'false'")
    assert at_s(seen) == 0, "another one is loaded, and only one plays"
