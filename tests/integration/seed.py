"""The texts of the seeds, the older contracts, and the code blocks in them: what those who wrote clients against them have in hand."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.integration.server import ROOT


def seed_text(number: str = "003") -> str:
    """Skips where the seeds do not lie beside the checkout."""
    found = sorted((ROOT.parent / "shared" / "seeds").glob(f"{number}*.txt"))
    if not found:
        pytest.skip("the seeds are not beside this checkout")
    return found[0].read_text("utf-8")


def blocks(language: str, number: str = "003") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", seed_text(number), re.DOTALL | re.MULTILINE)


def block_with(language: str, phrase: str, number: str = "003") -> str:
    """The one code block that holds `phrase`, as it stands."""
    (found,) = [block for block in blocks(language, number) if phrase in block]
    return found


def about() -> Any:
    """What GET / answers, by the seed."""
    return json.loads(block_with("json", '"endpoints"'))
