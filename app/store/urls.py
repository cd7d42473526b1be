"""Database URLs as people write them -> which database, and how its driver is to reach it. Loads no driver, so that asking costs nothing.

`postgres://`, `postgresql://` and `postgresql+psycopg2://` all mean PostgreSQL, whose URL goes to the driver as libpq would read it (`sslmode`
and the rest); `sqlite:///x.db` is a file beside the working directory, `sqlite:////x.db` one at the root.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from app.core.errors import BadSetting

FILE = "voxproof.db"


@dataclass(frozen=True)
class Place:
    """One of the two: a file of SQLite's, or the URL of a PostgreSQL, which may hold a password and so is never shown."""

    file: Path | None = None
    dsn: str | None = field(default=None, repr=False)


def place_of(url: str | None, data_dir: Path) -> Place:
    """Raises BadSetting, which names the scheme and nothing else of the URL."""
    if not url:
        return Place(file=data_dir.expanduser() / FILE)
    scheme, colon, rest = url.strip().partition(":")
    kind = scheme.lower().partition("+")[0]
    if colon and kind in ("postgres", "postgresql") and rest.startswith("//"):
        return Place(dsn=f"postgresql:{rest}")
    if colon and kind == "sqlite" and (found := re.fullmatch(r"///([^?]+)", rest)) and ":memory:" not in rest:
        return Place(file=Path(unquote(found[1])).expanduser())
    if kind == "sqlite":
        raise BadSetting("database_url: SQLite needs a file, as in sqlite:///voxproof.db or sqlite:////var/lib/voxproof/voxproof.db.")
    raise BadSetting(f"database_url: {kind[:20] if colon and kind.isalnum() else 'this'} is no database we know; use sqlite: or postgresql:.")
