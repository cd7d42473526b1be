"""Where the pages, templates and model files lie. The one place that knows that a checkout and an installed program differ.

In goes the name of a folder, out comes its path. A checkout has `static/`, `templates/` and `models/` at the top level,
beside this package; the wheel carries the same folders as `app/_data/<name>` (see `[tool.hatch.build…]` in `pyproject.toml`).
"""

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent


def asset_dir(name: Literal["static", "templates", "models"]) -> Path:
    """The checkout's folder when this package lies in one, else the packaged one (which may be missing: the caller says so).

    `pyproject.toml` beside the package is what makes it a checkout: in `site-packages` a stranger's `static/` proves nothing.
    """
    beside = _PACKAGE.parent / name
    if beside.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return beside
    return _PACKAGE / "_data" / name
