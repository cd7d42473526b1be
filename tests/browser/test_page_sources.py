"""Where the sound comes from: the microphones there are, another tab's sound, a pause; and that the recording kept is what was sent."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.browser.conftest import ALLOW, NAMES, Browse, Server, Watched, noise

pytestmark = [pytest.mark.browser, pytest.mark.slow]

THREE = (*ALLOW, "--use-fake-device-for-media-stream=device-count=3")
SHARES = ("--auto-select-tab-capture-source-by-title=The call", "--autoplay-policy=no-user-gesture-required")
CAMERA = "Permissions policy violation: camera"  # Chromium says so of any getDisplayMedia on a page that forbids itself the camera
PAGE = "import('./static/js/main.js').then(({ page }) => EXPRESSION)"
# The clip in the right channel only: a tab's sound is the mix of its channels.
PLAY = """async (wav) => {
    document.title = "The call";
    const context = new AudioContext();
    const bytes = Uint8Array.from(atob(wav), (letter) => letter.charCodeAt(0));
    const source = new AudioBufferSourceNode(context, { buffer: await context.decodeAudioData(bytes.buffer), loop: true });
    const right = new ChannelMergerNode(context, { numberOfInputs: 2 });
    source.connect(right, 0, 1).connect(context.destination);
    source.start();
}"""

WAV = """import('./static/js/main.js').then(({ page }) => new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.split(",")[1]);
    reader.readAsDataURL(page.shown.recording.wav());
}))"""
LEAVES = "window.dispatchEvent(new Event('beforeunload', { cancelable: true }))"
LOCKS = """window.locks = 0;
Object.defineProperty(navigator, "wakeLock", { value: { request: async () => (locks++, { release: async () => void locks-- }) } });"""


def of_page(seen: Watched, expression: str) -> Any:
    """An expression about `page`, the page's own object."""
    return seen.page.evaluate(PAGE.replace("EXPRESSION", expression))


def opened(seen: Watched, server: Server) -> Watched:
    seen.page.goto(server.url)
    seen.page.wait_for_selector("html[data-ready]")
    return seen


def test_a_microphone_is_chosen_by_name_with_the_keyboard(browse: Browse, server: Server) -> None:
    seen = opened(browse(args=THREE), server)
    page = seen.page
    names = "[...document.querySelectorAll('#device option')].map((option) => option.text)"
    page.click("#primary")
    seen.phase("listening")
    seen.until(f"{names}.length === 3")
    assert page.evaluate(names) == ["System default", "Fake Audio Input 1", "Fake Audio Input 2"]
    assert "Fake Default Audio Input" in seen.text("source")
    assert page.is_disabled("#device") and page.is_disabled("#sources input >> nth=0"), "not to be changed under a recording"
    page.click("#primary")
    seen.phase("result")
    page.focus("#sources input:checked")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "device"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.click("#primary")
    seen.phase("listening")
    assert "Fake Audio Input 2" in seen.text("source")
    seen.shot("sources")


def test_a_chosen_microphone_that_goes_is_said_and_the_default_taken(browse: Browse, server: Server) -> None:
    seen = browse(args=THREE)
    seen.page.add_init_script(
        """const real = navigator.mediaDevices.enumerateDevices.bind(navigator.mediaDevices);
        navigator.mediaDevices.enumerateDevices = async () => (await real()).filter((one) => !window.pulled || one.label !== window.pulled);"""
    )
    opened(seen, server)
    page = seen.page
    page.click("#primary")
    seen.phase("listening")
    page.click("#primary")
    seen.phase("result")
    page.select_option("#device", label="Fake Audio Input 1")
    pull = "(window.pulled = 'Fake Audio Input 1', navigator.mediaDevices.dispatchEvent(new Event('devicechange')))"
    page.evaluate(pull)
    seen.until("document.querySelector('#source-hint').textContent.includes('Fake Audio Input 1')")
    assert page.evaluate("document.querySelector('#device').value") == ""
    page.evaluate("(window.pulled = '', navigator.mediaDevices.dispatchEvent(new Event('devicechange')))")
    seen.until("document.querySelectorAll('#device option').length === 3")
    page.select_option("#device", label="Fake Audio Input 1")
    page.click("#primary")
    seen.phase("listening")
    seen.windows(1)
    page.evaluate(pull)  # now while it is heard
    seen.phase("result")
    assert "The microphone is gone" in seen.text("status") and "unplugged" in seen.text("notices")


@pytest.mark.data
def test_hears_another_tab_until_it_is_closed(browse: Browse, server: Server, clips: dict[str, Path]) -> None:
    samples, rate = soundfile.read(clips["spoof"], dtype="float32")
    wav = io.BytesIO()
    soundfile.write(wav, samples, rate, format="WAV", subtype="PCM_16")
    seen = browse(args=SHARES, mute=False)
    seen.expect(CAMERA)
    call = seen.page.context.new_page()
    call.goto(server.url + "/docs")
    call.evaluate(PLAY, base64.b64encode(wav.getvalue()).decode())
    page = opened(seen, server).page
    page.bring_to_front()
    page.get_by_label("Tab or screen sound").check()
    assert page.is_hidden("#device") and "Also share tab audio" in seen.text("source-hint")
    seen.shot("tab-chosen")
    page.click("#primary")
    page.wait_for_selector("#panel[data-tone=spoof]")
    assert seen.text("title") == NAMES["spoof"]
    assert "Tab or screen sound" in seen.text("source")
    assert "alters" not in seen.text("notices"), "nothing rewrites the sound on the way"
    seen.shot("tab-listening", full=True)
    call.bring_to_front()  # who watches the call sees no more of this page than its title
    assert page.title() == f"{NAMES['spoof']} · Voxproof"
    call.close()
    page.bring_to_front()
    seen.phase("result")
    assert page.title().startswith("Voxproof")
    assert seen.text("title") == NAMES["spoof"]
    assert "The sharing has ended" in seen.text("status")
    seen.shot("tab-ended")


@pytest.mark.parametrize(
    ("browser", "hint", "title"),
    [
        ("delete MediaDevices.prototype.getDisplayMedia", "cannot give a page the sound", "This browser shares no sound"),
        ("{ without('suppressLocalAudioPlayback'); shares(picture) }", "probably no sound", "This browser shares no sound"),
        ("shares(picture)", "Also share tab audio", "Shared without sound"),
        ("shares(async () => { throw new DOMException('no', 'NotAllowedError') })", "Also share tab audio", "Nothing was shared"),
    ],
    ids=["phone", "firefox", "no-sound", "closed"],
)
def test_a_browser_or_a_person_that_shares_no_sound(browse: Browse, server: Server, browser: str, hint: str, title: str) -> None:
    seen = browse()
    seen.page.add_init_script(
        """const shares = (how) => { MediaDevices.prototype.getDisplayMedia = how; };
        const picture = async () => {
            const canvas = document.createElement("canvas");
            canvas.getContext("2d");
            return window.media = canvas.captureStream(1);
        };
        const real = MediaDevices.prototype.getSupportedConstraints;
        const without = (name) => {
            MediaDevices.prototype.getSupportedConstraints = function () { const all = real.call(this); delete all[name]; return all; };
        };
        """
        + browser
    )
    opened(seen, server)
    seen.page.get_by_label("Tab or screen sound").check()
    assert hint in seen.text("source-hint")
    seen.page.click("#primary")
    seen.phase("failed")
    assert seen.text("title") == title
    assert seen.page.evaluate("!window.media || media.getTracks().every((track) => track.readyState === 'ended')"), "the picture is let go"
    seen.shot(f"tab-{title.split()[-1]}")


def test_a_pause_stops_everything_but_the_session_and_the_wav_is_what_was_sent(browse: Browse, server: Server, tmp_path: Path) -> None:
    seen = browse(noise(tmp_path, 30))
    page = seen.page
    sent: list[Any] = []
    page.on("websocket", lambda ws: ws.on("framesent", lambda payload: sent.append(payload)))
    page.add_init_script(LOCKS)
    opened(seen, server)
    assert page.is_hidden("#pause")
    page.click("#primary")
    seen.windows(3)
    page.click("#pause")
    seen.phase("paused")
    at_ms, frames = of_page(seen, "page.shown.captured_ms"), len(sent)
    page.wait_for_timeout(1500)
    assert of_page(seen, "page.shown.captured_ms") == at_ms and len(sent) == frames, "nothing is heard or sent"
    assert of_page(seen, "page.shown.found.marks") == [{"kind": "paused", "at_ms": int(at_ms + 0.5)}]
    assert seen.text("pause") == "Go on" and "Paused" in seen.text("panel")
    assert page.evaluate(LEAVES) is False and page.evaluate("locks") == 1, "who leaves is asked, and the screen stays on"
    seen.shot("paused", full=True)
    page.keyboard.press("Alt+p")
    seen.phase("listening")
    seen.windows(6)
    assert re.search(r"A pause of [12]\.\d s", seen.text("notices"))
    page.click("#primary")
    seen.phase("result")
    assert page.is_hidden("#pause") and page.is_visible("#secondary")
    assert page.evaluate(LEAVES) is True and page.evaluate("locks") == 0
    audio = b"".join(frame for frame in sent if isinstance(frame, bytes))
    own_rate = of_page(seen, "page.shown.recording.rate")
    assert of_page(seen, "page.shown.found.done.duration_ms") == pytest.approx(len(audio) / 2 / own_rate * 1000, abs=1)
    wav = base64.b64decode(page.evaluate(WAV))
    assert wav[44:] == audio
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="int16")
    assert rate == own_rate and np.array_equal(samples, np.frombuffer(audio, "<i2"))
    # The fake microphone is noise without a break (but for 10 ms now and then, on a busy machine): a hold that let zeros in would show.
    around = samples[round((at_ms - 500) * rate / 1000) : round((at_ms + 500) * rate / 1000)] == 0
    edges = np.flatnonzero(np.diff(np.concatenate(([0], around, [0]))))
    assert max(np.diff(edges)[::2], default=0) < rate / 80
