"""The documentation page: readable in both schemes at both widths, usable by keyboard and without scripts, one language for all examples."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.browser.conftest import Browse, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

# The contrast of every text with what lies behind it, the smallest first; large text may have 3, other text needs 4.5 (WCAG 2.2 AA).
CONTRAST = """() => {
  const parse = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    return [...numbers.slice(0, 3).map((n) => n * scale), numbers[3] ?? 1];
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      layers.unshift(colour);
      if (colour[3] === 1) break;
    }
    return layers.reduce((below, [r, g, b, a]) => [r, g, b].map((value, i) => value * a + below[i] * (1 - a)), [255, 255, 255]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => { const v = value / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = new Map();
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("option, .unseen, .skip")) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(style.color).slice(0, 3)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < needed) found.set(`${element.tagName}.${element.className}: ${element.textContent.trim().slice(0, 30)}`, ratio.toFixed(2));
  }
  return Object.fromEntries(found);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "viewport"), [("wide", WIDE), ("phone", PHONE)])
def test_it_can_be_read(browse: Browse, server: Server, scheme: str, name: str, viewport: dict[str, int]) -> None:
    seen = browse(viewport=viewport, color_scheme=scheme)
    seen.page.goto(server.url + "/docs")
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the screen"
    seen.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page unfolded is wider than the screen"
    assert seen.page.evaluate(CONTRAST) == {}
    seen.shot(f"docs-{name}-{scheme}")


def test_headings_and_landmarks(browse: Browse, server: Server) -> None:
    seen = browse(viewport=WIDE)
    seen.page.goto(server.url + "/docs")
    levels = seen.page.evaluate("[...document.querySelectorAll('main :is(h1,h2,h3,h4)')].map((each) => Number(each.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), "a level of headings is left out"
    for landmark in ("main", "header", "nav[aria-label]"):
        assert seen.page.locator(landmark).count() >= 1
    unnamed = "[...document.querySelectorAll('button, input, [role]')].filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length))"
    assert seen.page.evaluate(f"{unnamed}.map((each) => each.outerHTML).filter((each) => !each.includes('announce'))") == []


def test_the_keyboard_chooses_a_language_for_all_examples_and_it_is_kept(browse: Browse, server: Server) -> None:
    seen = browse(viewport=WIDE)
    page = seen.page
    page.goto(server.url + "/docs#postV1Detect")
    page.focus("#tab-postV1Detect-sh")
    page.keyboard.press("ArrowRight")
    shown = "#postV1Detect .panel:visible >> nth=0"
    assert "import requests" in page.inner_text(shown) and server.url in page.inner_text(shown)
    assert page.is_checked("#tab-postV1Tokens-py")
    page.reload()
    assert page.is_checked("#tab-postV1Tokens-py")


def test_examples_are_copied(browse: Browse, server: Server) -> None:
    seen = browse(viewport=WIDE, permissions=["clipboard-read", "clipboard-write"])
    page = seen.page
    page.goto(server.url + "/docs")
    page.click("#postV1Detect .copy >> nth=0")
    page.wait_for_selector("#postV1Detect .copy:has-text('Copied')")
    assert page.evaluate("navigator.clipboard.readText()") == page.text_content("#postV1Detect .panel >> nth=0")


def test_contents_are_filtered_and_a_link_to_an_error_opens_there(browse: Browse, server: Server) -> None:
    seen = browse(viewport=WIDE)
    page = seen.page
    page.goto(server.url + "/docs#error-rate_limited")
    seen.until("document.querySelector('#error-rate_limited').getBoundingClientRect().top < innerHeight / 2")
    page.fill("#filter", "/v1/tokens")
    assert page.locator(".side li:visible").all_inner_texts() == ["POST\nMake a browser token"]


def test_it_works_without_scripts_on_a_phone(browse: Browse, server: Server) -> None:
    seen = browse(viewport=PHONE, java_script_enabled=False)
    page = seen.page
    page.goto(server.url + "/docs")
    assert not page.is_visible("#filter") and not page.is_visible(".copy >> nth=0")
    assert not page.is_visible(".side a >> nth=0")
    page.click("#contents > summary")
    page.click(".side a:has-text('Judge live audio')")
    page.click("label[for=tab-socket-stream-py]")
    assert "websockets.connect" in page.inner_text("#socket-stream .panel:visible >> nth=0")
    page.click("#stream-Verdict > summary")
    assert page.is_visible("#stream-Verdict .name:has-text('as_of_ms')")
