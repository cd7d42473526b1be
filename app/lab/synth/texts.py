"""Our own sentences, one a line in `texts/<language>.txt`: calls from a bank, news, chat, errands. Read by `make`."""

from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).with_name("texts")


@lru_cache
def sentences(language: str) -> tuple[str, ...]:
    return tuple(line for line in (FOLDER / f"{language}.txt").read_text(encoding="utf-8").splitlines() if line.strip())


def languages() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.txt"))
