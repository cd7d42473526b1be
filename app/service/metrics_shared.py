"""Metrics of several processes in one folder, so that any of them answers for all. Called by `metrics`.

The library keeps the values of each process in memory-mapped files named after it. Here a process is a random name and a lock file that it
holds while it lives: numbers of processes repeat, above all in containers. Who finds a dead one's files adds its counters to those of `gone`
and drops its gauges. When nobody is left, the next process starts from nothing, as after any restart.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

GONE = "gone"
LOCK = "folder.lock"
ALIVE = ".alive"

Generate = Callable[..., bytes]


class Shared:
    def __init__(self, directory: Path, name: str, held: IO[bytes]) -> None:
        self._directory, self._name, self._held = directory, name, held

    def read(self, generate: Generate) -> bytes:
        """The sum over all processes."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        with _locked(self._directory):
            _bury(self._directory)
            MultiProcessCollector(registry, path=str(self._directory))  # type: ignore[no-untyped-call]
            return generate(registry)

    def leave(self) -> None:
        """This process ends; its counters stay."""
        with suppress(OSError):
            self._held.close()
            (self._directory / f"{self._name}{ALIVE}").unlink(missing_ok=True)


def join(directory: Path) -> Shared:
    """Before the first metric is made: from here on the library writes its values into the folder."""
    from prometheus_client import values

    directory = directory.expanduser().resolve()
    directory.mkdir(parents=True, exist_ok=True)
    name = secrets.token_hex(8)
    with _locked(directory):
        if not _bury(directory):
            for file in directory.glob("*.db"):
                file.unlink()
        held = (directory / f"{name}{ALIVE}").open("wb")
        _take(held)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)  # the library knows no other way to be told
    values.ValueClass = values.MultiProcessValue(lambda: name)  # type: ignore[no-untyped-call]
    return Shared(directory, name, held)


def _bury(directory: Path) -> int:
    """Tidies up after processes that are gone; how many live. Call it with the folder locked."""
    living = {file.stem for file in directory.glob(f"*{ALIVE}") if not _is_dead(file)}
    dead: list[Path] = []
    for file in directory.glob("*.db"):
        kind, _, owner = file.stem.rpartition("_")
        if owner in living or owner == GONE:
            continue
        if kind.startswith("gauge"):
            file.unlink()
        else:
            dead.append(file)
    if dead and living:
        _add_to_gone(directory, dead)
    for file in directory.glob(f"*{ALIVE}"):
        if file.stem not in living:
            file.unlink(missing_ok=True)
    return len(living)


def _add_to_gone(directory: Path, dead: list[Path]) -> None:
    from prometheus_client.mmap_dict import MmapedDict

    for kind in {file.stem.rpartition("_")[0] for file in dead}:
        total = MmapedDict(str(directory / f"{kind}_{GONE}.db"))  # type: ignore[no-untyped-call]
        for file in (file for file in dead if file.stem.rpartition("_")[0] == kind):
            for key, value, *_ in MmapedDict.read_all_values_from_file(str(file)):  # type: ignore[no-untyped-call]
                before, _ = total.read_value(key)  # type: ignore[no-untyped-call]
                total.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]
            file.unlink()
        total.close()  # type: ignore[no-untyped-call]


def _is_dead(file: Path) -> bool:
    """Whether nobody holds it: a process that ended, however it did, has let go."""
    with file.open("rb") as opened:
        try:
            _take(opened)
        except OSError:
            return False
        return True


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    import fcntl

    with (directory / LOCK).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _take(file: IO[bytes]) -> None:
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
