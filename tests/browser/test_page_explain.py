"""What the page explains: in two languages, with the rates of the operating points, the reasons of an answer, and the detector's own papers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.browser.conftest import NAMES, Browse, Server, Watched, noise
from tests.browser.test_page import watch_shifts

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGE = "import('./static/js/main.js').then(({ page }) => EXPRESSION)"
HINDI = {"bonafide": "आवाज़ इंसान की लगती है", "spoof": "आवाज़ मशीन की बनाई लगती है"}
UNTRANSLATED = """() => [...document.querySelectorAll('main *, header *, footer *')]
    .filter((element) => element.checkVisibility() && !element.closest('code, pre, option, canvas, #source, .name, [translate=no]'))
    .flatMap((element) => [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data.trim()))
    .filter((text) => /[A-Za-z]{3,} [A-Za-z]{2,}/.test(text))"""


def of_page(seen: Watched, expression: str) -> Any:
    return seen.page.evaluate(PAGE.replace("EXPRESSION", expression))


def opened(seen: Watched, url: str) -> Watched:
    seen.page.goto(url)
    seen.page.wait_for_selector("html[data-ready]")
    return seen


def sideways(seen: Watched) -> int:
    return int(seen.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.data
def test_the_language_changes_under_a_result_and_is_remembered(browse: Browse, server: Server, clips: dict[str, Path]) -> None:
    seen = opened(browse(), server.url)
    page = seen.page
    assert page.locator("html").get_attribute("lang") == "en" and page.locator("#language option").all_inner_texts() == ["English", "हिन्दी"]
    page.set_input_files("#picker", clips["spoof"])
    seen.phase("result")
    assert seen.text("title") == NAMES["spoof"]
    page.select_option("#language", "hi")
    assert page.locator("html").get_attribute("lang") == "hi" and "आवाज़" in page.title()
    assert seen.text("title") == HINDI["spoof"] and "सेकंड" in seen.text("sentence")
    assert page.locator(".point-name").all_inner_texts() == ["तेज़", "संतुलित", "सख्त"]
    assert page.evaluate(UNTRANSLATED) == [], "no English sentence is left on the page"
    assert sideways(seen) <= 0
    seen.shot("result-hindi", full=True)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.locator("html").get_attribute("lang") == "hi" and page.input_value("#language") == "hi"
    opened(seen, server.url + "/?lang=en")
    assert page.locator("html").get_attribute("lang") == "en", "the address counts more than what is remembered"
    page.select_option("#language", "hi")
    assert "lang=" not in page.url, "and a choice by hand more than the address"


def test_the_browser_s_own_language_is_the_first(browse: Browse, server: Server) -> None:
    seen = opened(browse(locale="hi-IN"), server.url)
    assert seen.page.locator("html").get_attribute("lang") == "hi"
    assert seen.page.evaluate(UNTRANSLATED) == []
    blocked = browse(locale="fr-FR")
    blocked.page.add_init_script("Storage.prototype.getItem = Storage.prototype.setItem = () => { throw new DOMException('no', 'SecurityError'); }")
    opened(blocked, server.url)
    assert blocked.page.locator("html").get_attribute("lang") == "en"
    blocked.page.select_option("#language", "hi")
    assert blocked.page.locator("html").get_attribute("lang") == "hi", "nothing can be remembered, and nothing else is different"


@pytest.mark.data
def test_another_operating_point_counts_at_once(browse: Browse, server: Server, clips: dict[str, Path]) -> None:
    seen = browse(clips["spoof"])
    heard: list[dict[str, Any]] = []
    sent: list[dict[str, Any]] = []
    page = seen.page
    page.on("websocket", lambda ws: ws.on("framereceived", lambda data: heard.append(json.loads(data))))
    page.on("websocket", lambda ws: ws.on("framesent", lambda data: sent.append(json.loads(data)) if isinstance(data, str) else None))
    opened(seen, server.url)
    facts = of_page(seen, "page.facts")
    page.click("#primary")
    seen.windows(3)
    assert of_page(seen, "page.chart.scene.band") == facts["points"]["balanced"]
    page.check("input[name=point][value=strict]")
    seen.until("[...document.querySelectorAll('.point')].find((card) => card.matches(':has(:checked)')).dataset.point === 'strict'")
    seen.windows(5)
    assert [message["config"]["profile"] for message in sent if message["type"] == "update"] == ["strict"]
    assert [message["config"]["profile"] for message in heard if message["type"] == "updated"] == ["strict"]
    assert of_page(seen, "page.chart.scene.band") == facts["points"]["strict"], "the chart's grey band moves with it"
    page.click("#primary")
    seen.phase("result")
    assert of_page(seen, "page.shown.found.config.profile") == "strict"
    page.click("#primary")
    seen.phase("listening")
    assert [message["config"]["profile"] for message in sent if message["type"] == "start"] == ["balanced", "strict"]


def test_rates_are_those_of_the_card_and_its_papers_open(browse: Browse, server: Server) -> None:
    seen = opened(browse(), server.url)
    page = seen.page
    card = httpx2.get(server.url + "/model/card.json").json()
    split = next((name for name in ("eval", "dev") if name in card["figures"]), "")  # a model that is just being made has neither
    for name, point in card["operating_points"].items():
        text = page.locator(f"[data-point={name}] .rates").inner_text()
        figures = card["figures"][split]["at_operating_points"][name] if split else {}
        names = {"bonafide_called_spoof": "false_alarm", "spoof_called_bonafide": "miss", "uncertain": "uncertain"}
        for share in (figures.get(theirs, point[ours]) for theirs, ours in names.items()):
            assert f" {int(share * 100 + 0.5)} " in f" {text} " or (share < 0.005 and "fewer than 1 " in text), (name, share, text)
    counts = [str(card["figures"][split][f"n_{kind}"]) for kind in ("bonafide", "spoof")] if split == "eval" else ["its limits were chosen with"]
    assert all(count in seen.text("measured") for count in counts)
    page.click(".reading summary")
    assert page.locator("#limits tr").count() == len(card["operating_points"])
    assert f"{card['operating_points']['balanced']['spoof_llr']:+.2f}" in page.locator("#limits").inner_text().replace("−", "-")
    seen.shot("explain", full=True)
    with page.expect_popup() as opening:  # in a tab of its own: nobody loses a recording over a link
        page.locator("footer").get_by_text("The detector’s report").click()
    report = opening.value
    report.wait_for_url("**/model")
    assert card["name"] in report.title() and report.locator("svg").count() > 5
    assert report.evaluate("getComputedStyle(document.querySelector('section')).borderTopLeftRadius") == "14px", "its own style is let through"
    with page.expect_popup() as opening:
        page.locator("footer").get_by_text("Its card (JSON)").click()
    opening.value.wait_for_url("**/model/card.json")


def test_a_detector_of_somebody_s_own_is_not_credited_with_rates(browse: Browse, make_server: Any, tmp_path: Path) -> None:
    from tests.toy import make_model

    seen = opened(browse(), make_server(model=make_model(tmp_path / "toy")).url)
    page = seen.page
    assert set(page.locator(".rates").all_inner_texts()) == {"Nobody has measured how often it errs."}
    assert "Measured on" not in seen.text("measured") and not page.locator(".bars").first.is_visible()
    assert page.locator("footer a").all_inner_texts() == ["Its card (JSON)", "For programs: the API"], "no report, so no link to one"


def test_reasons_say_what_is_heard_and_what_to_do(browse: Browse, server: Server, tmp_path: Path) -> None:
    seen = opened(browse(noise(tmp_path)), server.url)
    page = seen.page
    assert page.locator("#why li").count() == 3 and "loudspeaker" in seen.text("why")
    page.click("#primary")
    seen.windows(4)
    assert seen.text("why") == "There is sound, but nobody talks. Let somebody talk."
    assert seen.text("why-heading") == "Why there is no answer"
    assert seen.text("now") == "", "no advice without a verdict"
    page.click("#primary")
    seen.phase("result")
    assert "Choose a recording in which somebody talks." in seen.text("why")


@pytest.mark.data
@pytest.mark.parametrize("language", ["en", "hi"])
def test_on_a_phone_nothing_moves_and_nothing_is_cut_off(browse: Browse, server: Server, clips: dict[str, Path], language: str) -> None:
    seen = browse(clips["spoof"], viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = seen.page
    opened(seen, f"{server.url}/?lang={language}")
    watch_shifts(page)
    page.tap("#primary")
    page.wait_for_selector("#panel[data-tone=spoof]", timeout=15_000)
    seen.windows(9)
    assert page.evaluate("window.shifts") < 0.001, "the page moved under the reader's eyes"
    assert sideways(seen) <= 0
    small = """[...document.querySelectorAll('main button, main select, main summary, main label, header select, footer a')]
        .filter((one) => one.checkVisibility() && !one.closest('footer'))
        .map((one) => [one.id || one.className || one.textContent.trim(), Math.round(one.getBoundingClientRect().height)])
        .filter(([, height]) => height < 44)"""
    assert page.evaluate("matchMedia('(pointer: coarse)').matches")
    seen.shot(f"phone-{language}")
    labels = {name for name, _ in page.evaluate(small)}
    assert not labels & {"primary", "pause", "secondary", "language", "point", "chart-fit", "play"}, labels
    cut = """[...document.querySelectorAll('#title, #sentence, #status, .point-name, .rates, .reasons h2, #now')]
        .filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.id || one.className)"""
    assert page.evaluate(cut) == []
    page.tap("#primary")
    seen.phase("result")


def test_at_twice_the_size_one_column_is_read(browse: Browse, server: Server) -> None:
    """200 % of 1280 px is 640, and 400 % is 320: what WCAG calls reflow."""
    for width in (640, 320):
        seen = opened(browse(viewport={"width": width, "height": 512}), server.url + "/?lang=hi")
        seen.page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert sideways(seen) <= 0, width
