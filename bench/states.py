"""The page's states without waiting for them: `show(page, "spoof")` in a Playwright page that has ours open. See states.js for what there is.

Used by bench/page.py and by the browser tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_suffix(".js").read_text("utf-8")


def show(page: Any, state: str, *, language: str | None = None, detail: str | None = None) -> None:
    """`detail`: of the state `failed`, what is wrong (a key of words.trouble)."""
    page.evaluate(_SCRIPT, {"state": state, "language": language, "detail": detail})


def report(page: Any, folder: Path) -> Path:
    """The report of what is on show, as somebody would save it."""
    page.wait_for_selector("#keep-report:enabled")
    with page.expect_download() as download:
        page.click("#keep-report")
    path = folder / "report.html"
    download.value.save_as(path)
    return path


def known(page: Any) -> tuple[list[str], list[str]]:
    """Every state there is, and everything that can be wrong."""
    found = page.evaluate(_SCRIPT, {"state": "", "language": None, "detail": "list"})
    return found["states"], found["troubles"]
