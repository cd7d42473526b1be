"""What every test shares: where the speech data lies, and a plain list, at the end of a run, of what was skipped and why."""

import os
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

from app.settings import OLDER_NAMES

ROOT = Path(__file__).resolve().parent.parent
collect_ignore = ["load_test.py"]  # Locust's: importing it bends the whole process

for name in OLDER_NAMES.values():  # API_KEY, DATABASE_URL … of the machine that tests are no settings of what is tested
    os.environ.pop(name, None)

hypothesis.settings.register_profile("voxproof", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("voxproof")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real and spoofed speech. It is too big for the repository, so tests that need it skip without it."""
    named = os.environ.get("VOXPROOF_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        if named:
            pytest.fail(f"VOXPROOF_TEST_DATA names no folder: {named}")
        pytest.skip("the speech data is not beside this checkout")
    return folder


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """After pytest's own summary: each skipped test under its reason, so that a green run cannot hide what it left out."""
    yield
    by_reason: defaultdict[str, list[str]] = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "") or str(report.longrepr)
        by_reason[reason.removeprefix("Skipped: ")].append(report.nodeid)
    terminalreporter.section("left out of this run")
    for reason, tests in sorted(by_reason.items()):
        terminalreporter.write_line(f"{reason}:")
        for test in tests:
            terminalreporter.write_line(f"    {test}")
    if not by_reason:
        terminalreporter.write_line("nothing was skipped")
