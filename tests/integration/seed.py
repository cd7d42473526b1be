"""The text of seed 003, the older contract, and the code blocks in it: what those who wrote clients against it have in hand."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.integration.server import ROOT


def seed_text() -> str:
    """Skips where the seeds do not lie beside the checkout."""
    found = sorted((ROOT.parent / "shared" / "seeds").glob("003*.txt"))
    if not found:
        pytest.skip("the seeds are not beside this checkout")
    return found[0].read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", seed_text(), re.DOTALL | re.MULTILINE)


def block_with(language: str, phrase: str) -> str:
    """The one code block that holds `phrase`, as it stands."""
    (found,) = [block for block in blocks(language) if phrase in block]
    return found


def about() -> Any:
    """What GET / answers, by the seed."""
    return json.loads(block_with("json", '"endpoints"'))
