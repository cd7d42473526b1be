"""The chart: one axis for sound and verdict. Zoom, pan, cursor and read-out by pointer, keys and fingers; the table; the picture for the report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.browser.conftest import NAMES, Browse, Server, Watched

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# What a test asks of the page's own objects.
CHART = "import('./static/js/main.js').then(({{ page }}) => {{ const {{ chart }} = page; return {0}; }})"


def ask(seen: Watched, expression: str) -> Any:
    return seen.page.evaluate(CHART.format(expression))


def axis(seen: Watched) -> tuple[float, float]:
    """From and to, after the next frame."""
    seen.page.wait_for_timeout(120)
    from_ms, to_ms = ask(seen, "[chart.axis.from_ms, chart.axis.to_ms]")
    return float(from_ms), float(to_ms)


def inked(seen: Watched, track: str) -> float:
    """The share of a track's pixels that are not its ground."""
    seen.expect("willReadFrequently")
    return float(
        ask(
            seen,
            f"""(() => {{
                const {{ layout, context, plot }} = chart, dpr = plot.width / plot.clientWidth;
                const {{ top, height }} = layout.{track}, box = [layout.left + 2, top + 2, layout.right - layout.left - 4, height - 4];
                const {{ data }} = context.getImageData(...box.map((v) => Math.round(v * dpr)));
                let inked = 0;
                for (let i = 3; i < data.length; i += 4) inked += data[i] > 8;
                return inked * 4 / data.length;
            }})()""",
        )
    )


def unlike_painted_anew(seen: Watched) -> int:
    """How many pixels of the tracks differ from those of ribbons painted from nothing."""
    return int(
        ask(
            seen,
            """new Promise((done) => {
                const next = (act) => requestAnimationFrame(() => requestAnimationFrame(act));
                const pixels = () => new Uint32Array(chart.context.getImageData(0, 0, chart.plot.width, chart.plot.height).data.buffer);
                next(() => {
                    const before = pixels();
                    chart.screen.forget();
                    chart.redraw({ tracks: true });
                    next(() => done(pixels().reduce((sum, pixel, i) => sum + (pixel !== before[i]), 0)));
                });
            })""",
        )
    )


@pytest.mark.data
def test_a_file_by_keys_pointer_table_and_picture(browse: Browse, server: Server, clips: dict[str, Path], tmp_path: Path) -> None:
    samples, rate = soundfile.read(clips["spoof"], dtype="float32")
    loud = np.clip(np.concatenate([samples, samples[: 2 * rate] * 40]), -1, 1)  # 12 s, the last two clipped
    path = tmp_path / "spoof.wav"
    soundfile.write(path, loud, rate, subtype="PCM_16")
    seen = browse()
    page = seen.page
    page.goto(server.url)
    page.set_input_files("#picker", path)
    seen.phase("result")
    seen.until("document.querySelector('#plot').getAttribute('aria-valuemax') === '12'")
    assert axis(seen) == pytest.approx((0, 12_000), abs=60)
    for track, least in {"wave": 0.02, "spectrum": 0.5, "score": 0.01, "speech": 0.2}.items():
        assert inked(seen, track) > least, track

    # The keyboard alone: a cursor, its words, zoom, pan, all of it again.
    page.evaluate("window.sought = []")
    ask(seen, "void chart.addEventListener('seek', (event) => window.sought.push(event.detail.ms))")
    page.focus("#plot")
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    page.wait_for_timeout(120)
    at_s = float(page.get_attribute("#plot", "aria-valuenow") or 0)
    assert at_s == pytest.approx(0.8 * 12, abs=0.1)
    said = page.get_attribute("#plot", "aria-valuetext") or ""
    assert NAMES["spoof"] in said and "Score" in said and "LLR +" in said and "kHz" in said
    assert page.get_attribute("#plot", "role") == "slider" and page.get_attribute("#plot", "aria-label")
    readout = seen.text("readout")
    assert NAMES["spoof"] in readout and re.search(r"0:0\d\.\d–0:1\d\.\d", readout), readout
    page.keyboard.press("+")
    page.keyboard.press("+")
    near = axis(seen)
    assert near[0] < at_s * 1000 < near[1] and near[1] - near[0] < 5000
    page.keyboard.press("Shift+ArrowLeft")
    assert axis(seen)[0] == pytest.approx(near[0] - 0.1 * (near[1] - near[0]), abs=30)
    page.keyboard.press("End")
    page.wait_for_timeout(120)
    assert axis(seen)[1] == pytest.approx(12_000, abs=60)
    assert "clipped" in seen.text("readout")
    page.keyboard.press("Enter")
    page.keyboard.press("0")
    assert axis(seen) == pytest.approx((0, 12_000), abs=60)
    page.keyboard.press("Escape")

    # The pointer: read-out without a click, zoom at its place, drag, click.
    box = page.locator("#plot").bounding_box()
    assert box
    middle = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 100}
    page.mouse.move(**middle)
    page.wait_for_timeout(120)
    under = float(page.get_attribute("#plot", "aria-valuenow") or 0)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    zoomed = axis(seen)
    assert zoomed[1] - zoomed[0] < 7000
    assert float(page.get_attribute("#plot", "aria-valuenow") or 0) == pytest.approx(under, abs=0.1)
    page.mouse.down()
    page.mouse.move(middle["x"] + 100, middle["y"], steps=4)
    page.mouse.up()
    dragged = axis(seen)
    assert dragged[0] < zoomed[0] - 200, "dragged to the right, earlier sound comes into sight"
    page.keyboard.down("Shift")
    page.mouse.wheel(0, 200)
    page.keyboard.up("Shift")
    assert axis(seen)[0] > dragged[0] + 200
    assert len(page.evaluate("sought")) == 1, "neither a drag nor a wheel is a click"
    page.mouse.click(**middle)
    last = page.evaluate("sought.at(-1)")
    assert last == pytest.approx(ask(seen, "chart.screen.scale.ms(chart.plot.clientWidth / 2)"), abs=30)
    page.click("#chart-fit")
    seen.until("document.querySelector('#chart-fit').getAttribute('aria-pressed') === 'true'")  # drawn with the next frame
    ask(seen, "void chart.reveal(2000, 4000)")
    from_ms, to_ms = axis(seen)
    assert from_ms < 2000 and to_ms > 4000 and to_ms - from_ms < 3500

    # However one came here, the ribbons show what they would show painted anew.
    for move in ("axis.zoom(0.3, 3000)", "axis.pan(400)", "axis.pan(-1700)", "axis.pan(2600)", "axis.zoom(1.7)", "axis.pan(-333)"):
        ask(seen, f"void (chart.{move}, chart.redraw({{ tracks: true }}))")
        page.wait_for_timeout(60)
    assert unlike_painted_anew(seen) == 0

    # The same as a table, only while it is open.
    assert page.locator("#chart-table tbody tr").count() == 0
    page.click("#chart-fit")
    page.click("#chart-table summary")
    page.wait_for_selector("#chart-table tbody tr")
    windows = int(seen.text("fact-windows"))
    assert page.locator("#chart-table tbody tr").count() == windows
    row = page.inner_text("#chart-table tbody tr:nth-child(2)")
    assert NAMES["spoof"] in row and re.search(r"[+−]\d+\.\d\d", row)

    # The picture for the report: white, wide as asked, with the verdict's colour in it, also while something else is on show.
    width, height, corner, orange = ask(
        seen,
        """(page.visit.select(null), chart.picture({ check: page.visit.checks[0], width: 800, from_ms: 0, to_ms: 6000 }))
        .then(createImageBitmap).then((image) => {
            const canvas = new OffscreenCanvas(image.width, image.height), c = canvas.getContext("2d");
            c.drawImage(image, 0, 0);
            const { data } = c.getImageData(0, 0, image.width, image.height);
            let orange = 0;
            for (let i = 0; i < data.length; i += 4) orange += data[i] === 0xb5 && data[i + 1] === 0x42 && data[i + 2] === 0x0a;
            return [image.width, image.height, [...data.slice(0, 3)], orange];
        })""",
    )
    assert width == 1600 and height > 700 and corner == [255, 255, 255] and orange > 2000
    seen.shot("chart-file", full=True)


@pytest.mark.data
def test_live_it_follows_and_lets_go(browse: Browse, server: Server, clips: dict[str, Path]) -> None:
    seen = browse(clips["bonafide"], color_scheme="dark")
    page = seen.page
    page.goto(server.url)
    page.wait_for_selector("html[data-ready]")
    page.evaluate(
        """() => {
            window.moved = [];
            const inside = ({ node }) => (node?.nodeType === 1 ? node : node?.parentElement)?.closest(".chart");
            const add = ({ sources }) => moved.push(...sources.filter(inside).map(({ node }) => node.textContent));
            new PerformanceObserver((list) => list.getEntries().forEach(add)).observe({ type: "layout-shift" });
        }"""
    )
    assert page.is_disabled("#chart-follow")
    page.click("#primary")
    seen.windows(5)
    assert page.evaluate("moved") == [], "the chart moved under the reader's eyes"
    assert page.get_attribute("#chart-follow", "aria-pressed") == "true"
    assert axis(seen) == (0, 30_000)
    assert inked(seen, "spectrum") > 0.05 and inked(seen, "wave") > 0.005
    ask(seen, "void chart.axis.zoom(0.1)")  # 3 s, so that following shows
    before = axis(seen)
    seen.windows(8)
    assert axis(seen)[0] > before[0] + 500, "it goes along with the newest sound"
    page.focus("#plot")
    page.keyboard.press("Shift+ArrowLeft")
    stays = axis(seen)
    seen.windows(10)
    assert axis(seen) == stays and page.get_attribute("#chart-follow", "aria-pressed") == "false"
    page.keyboard.press("l")
    assert axis(seen)[0] > stays[0]
    # What nobody sees is not drawn.
    page.evaluate("window.draws = 0")
    ask(seen, "void ((draw) => { chart.screen.draw = (...a) => { window.draws++; draw(...a); }; })(chart.screen.draw.bind(chart.screen))")
    page.wait_for_timeout(400)
    assert page.evaluate("draws") > 1
    page.evaluate("document.querySelector('footer').scrollIntoView(); document.querySelector('.chart').style.marginBottom = '3000px'")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_timeout(300)
    page.evaluate("window.draws = 0")
    page.wait_for_timeout(500)
    assert page.evaluate("draws") == 0
    page.evaluate("document.querySelector('.chart').style.marginBottom = ''; window.scrollTo(0, 0)")
    seen.shot("chart-live-dark", full=True)
    page.click("#primary")
    seen.phase("result")
    assert axis(seen)[0] == 0, "when it is over, all of it is shown"
    speech = ask(seen, "[chart.scene.found.lanes[0].activity.hops.reduce((sum, hop) => sum + hop.speech_ms, 0), chart.scene.found.done.speech_ms]")
    assert speech[0] == speech[1], "the hops' speech is what the server counted"


@pytest.mark.data
def test_a_phone_pinches_and_taps(browse: Browse, server: Server, clips: dict[str, Path]) -> None:
    seen = browse(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, device_scale_factor=2)
    page = seen.page
    page.goto(server.url)
    page.set_input_files("#picker", clips["spoof"])
    seen.phase("result")
    seen.until("document.querySelector('#plot').getAttribute('aria-valuemax') === '10'")
    page.evaluate("document.querySelector('.plot').scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(200)
    box = page.locator("#plot").bounding_box()
    assert box
    x, y = box["x"] + box["width"] * 0.6, box["y"] + 120
    page.touchscreen.tap(x, y)
    page.wait_for_timeout(150)
    assert NAMES["spoof"] in seen.text("readout")
    whole = axis(seen)
    touch = page.context.new_cdp_session(page)
    for kind, spread in [("touchStart", 30), ("touchMove", 60), ("touchMove", 110), ("touchEnd", None)]:
        points = [] if spread is None else [{"x": x - spread, "y": y, "id": 1}, {"x": x + spread, "y": y, "id": 2}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    pinched = axis(seen)
    assert pinched[1] - pinched[0] < 0.5 * (whole[1] - whole[0])
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "nothing is wider than the phone"
    for name in ("closer", "wider", "fit"):
        size = page.locator(f"#chart-{name}").bounding_box()
        assert size and size["width"] >= 44 and size["height"] >= 44
    seen.shot("chart-phone", full=True)
