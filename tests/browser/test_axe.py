"""axe-core over every state of the page: no finding that is serious or critical, whatever the language, the theme and the width.

The states are made by bench/states.py, without sound or waiting. axe comes in by the debugger's protocol (Runtime.evaluate), which a page's
Content-Security-Policy does not concern: the policy stays on. Nothing is ignored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from bench.states import known, report, show
from tests.browser.conftest import Browse, Server, Watched

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

BAD = ("serious", "critical")
DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 360, "height": 780}
LOOKS = [  # each state in each of these
    pytest.param("en", "light", DESKTOP, id="en-light-desktop"),
    pytest.param("hi", "dark", PHONE, id="hi-dark-phone"),
]
OTHERS = [("hi", "light", DESKTOP), ("en", "dark", PHONE), ("en", "dark", DESKTOP)]
WHOLE = ["idle", "no_speech", "paused", "restarted", "result_spoof", "two_channels", "history"]  # the others differ from these in the panel only
FEW = ["idle", "uncertain", "file_ranges"]  # in all the others
RUN = """async ([within, ...options]) => {
    const { violations } = await axe.run(within ?? document, { resultTypes: ["violations"], preload: false, ...Object.assign({}, ...options) });
    const said = ({ target, failureSummary }) => `${target}: ${failureSummary}`;
    return violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, nodes: nodes.map(said) }));
}"""


@pytest.mark.parametrize(("language", "theme", "size"), LOOKS)
def test_every_state(browse: Browse, server: Server, language: str, theme: str, size: dict[str, int]) -> None:
    seen = browse(viewport=size, color_scheme=theme, reduced_motion="reduce")
    page = opened(seen, server)
    states, troubles = known(page)
    found = []
    for state in states:
        if state != "failed":
            show(page, state, language=language)
            found += findings(page, state, None if state in WHOLE else "#panel")
    for trouble in troubles:
        show(page, "failed", language=language, detail=trouble)
        found += findings(page, trouble, "#panel")
    assert not found, "\n".join(found)


def test_every_look(browse: Browse, server: Server) -> None:
    seen = browse(reduced_motion="reduce")
    page = opened(seen, server)
    page.evaluate("document.querySelector('#panel').append(document.createElement('button'))")
    found = findings(page, "a button without a name", "#panel")
    assert found, "axe sees nothing"
    page.evaluate("document.querySelector('#panel').lastChild.remove()")
    found = []
    for language, theme, size in OTHERS:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.set_viewport_size(size)
        for state in FEW:
            show(page, state, language=language)
            found += findings(page, f"{state}, {language}, {theme}, {size['width']} px")
    assert not found, "\n".join(found)


def test_what_is_folded_away(browse: Browse, server: Server, tmp_path: Path) -> None:
    """Everything that opens is opened, on the page and beside it."""
    seen = browse(reduced_motion="reduce")
    page = opened(seen, server)
    show(page, "file_ranges")
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
    found = findings(page, "everything unfolded")
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    found += findings(page, "everything unfolded, dark")
    found += findings_of_report(browse, report(page, tmp_path))
    places = {"docs", *page.evaluate("[...document.links].map((link) => link.href).filter((href) => href.startsWith(location.origin))")}
    for place in sorted(places - {page.url}):
        address = place if place.startswith("http") else f"{server.url}/{place}"
        answer = page.context.request.get(address)
        if "#" in address or not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        page.goto(address)
        page.evaluate(AXE_SCRIPT)
        # These are long, and contrast is nine tenths of the work: it is looked at in every sixth section and row.
        found += findings(page, address, None, {"rules": {"color-contrast": {"enabled": False}}})
        page.evaluate("document.querySelectorAll('main section, tbody tr').forEach((one, at) => { if (at % 6) one.remove() })")
        found += findings(page, address, None, {"runOnly": ["color-contrast"]})
    assert not found, "\n".join(found)


def findings_of_report(browse: Browse, path: Path) -> list[str]:
    page = browse().page
    page.goto(path.as_uri())
    page.evaluate(AXE_SCRIPT)
    return findings(page, "the report")


def opened(seen: Watched, server: Server) -> Any:
    seen.expect("status of 404")  # the server is asked for the hash of a session that was made up
    seen.page.goto(server.url)
    seen.page.wait_for_selector("html[data-ready]")
    seen.page.evaluate(AXE_SCRIPT)
    return seen.page


def findings(page: Any, where: str, within: str | None = None, options: dict[str, Any] | None = None) -> list[str]:
    bad = [one for one in page.evaluate(RUN, [within, options or {}]) if one["impact"] in BAD]
    return [f"{where}: {one['id']} ({one['impact']}): {one['help']}\n    " + "\n    ".join(one["nodes"][:4]) for one in bad]
