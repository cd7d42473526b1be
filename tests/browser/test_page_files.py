"""Files on the page: picked, dropped, refused."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import NAMES, Browse, Server, noise

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.data
def test_a_file_is_checked(browse: Browse, server: Server, clips: dict[str, Path]) -> None:
    seen = browse()
    seen.page.goto(server.url)
    seen.page.set_input_files("#picker", clips["spoof"])
    seen.phase("result")
    assert seen.text("title") == NAMES["spoof"]
    assert seen.text("fact-time") == "0:10"
    assert "spoof.wav" in seen.text("source")
    seen.shot("file-result", full=True)


@pytest.mark.data
def test_a_dropped_file_on_a_phone_in_the_dark(browse: Browse, server: Server, clips: dict[str, Path]) -> None:
    seen = browse(viewport={"width": 390, "height": 844}, color_scheme="dark", device_scale_factor=2)
    seen.page.goto(server.url)
    seen.shot("phone-dark-idle", full=True)
    seen.page.evaluate(
        """(base64) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], "call.wav", { type: "audio/wav" }));
            window.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        b64encode(clips["bonafide"].read_bytes()).decode(),
    )
    seen.phase("result")
    assert seen.text("title") == NAMES["bonafide"]
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the phone"
    seen.shot("phone-dark-result", full=True)


def test_garbage_is_refused_in_words(browse: Browse, server: Server, tmp_path: Path) -> None:
    garbage = tmp_path / "holiday.wav"
    garbage.write_bytes(np.random.default_rng(0).bytes(50_000))
    seen = browse()
    seen.expect("status of 4(15|22)")
    seen.page.goto(server.url)
    seen.page.set_input_files("#picker", garbage)
    seen.phase("failed")
    assert seen.text("title") == "This is not an audio file we can read"
    assert seen.page.is_enabled("#secondary")
    seen.shot("not-audio")


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
    seen.page.set_input_files("#picker", big)
    seen.until("document.querySelector('#title').textContent === 'The file is too big'")
    assert "2.0 MB" in seen.text("sentence")
