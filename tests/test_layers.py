"""The design's rules about who may import whom, read from the source by `ast`, so that a slip fails with its file and line.

A room is a folder or module straight under `app/`. A room that does not exist yet breaks no rule.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "app"

BELOW = {"core"}  # what every room but `core` and `client` may import, besides ABOVE_CORE
ABOVE_CORE = {"settings", "status", "assets", "logs", "traces"}
ADAPTERS = {"scoring", "store"}
# room -> the rooms it may import; its own and ABOVE_CORE (see `allowed`) come on top.
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "settings": BELOW,
    "status": BELOW,
    "assets": set(),
    "logs": set(),
    "traces": BELOW,
    "scoring": BELOW,
    "store": BELOW,
    "service": BELOW | ADAPTERS,
    "web": BELOW | ADAPTERS | {"service"},
    "rpc": BELOW | ADAPTERS | {"service"},
    "client": set(),  # and CLIENT_MAY
    "cli": BELOW | ADAPTERS | {"service", "client"},  # and `main`, lazily
    "main": BELOW | ADAPTERS | {"service", "web", "rpc"},
    "lab": BELOW | {"scoring", "service"},
}
CLIENT_MAY = ("app.core.wire", "app.core.errors")
CLI_LAZY = {"main"}  # only inside functions: `voxproof --help` must not load a server

# vendor -> the rooms that may import it
VENDORS: dict[str, set[str]] = {
    "starlette": {"web", "main"},
    "uvicorn": {"web", "main", "cli"},
    "jinja2": {"web", "main", "lab"},
    "python_multipart": {"web"},
    "markupsafe": {"web", "lab"},
    "pygments": {"web"},  # where the documentation is first asked for
    "grpc": {"rpc", "main"},
    "typer": {"cli", "lab/cli"},
    "click": {"cli", "lab/cli"},
    "rich": {"cli", "lab/cli"},
    "onnxruntime": {"scoring", "lab"},
    "av": {"service", "lab"},
    "pydantic_settings": {"settings"},
    "httpx2": {"client", "service"},  # `service`: webhooks
    "httpx": set(),  # unmaintained: httpx2
    **{vendor: {"store"} for vendor in ("sqlalchemy", "alembic", "aiosqlite", "asyncpg", "obstore", "redis", "limits")},
    "celery": {"service"},
    "prometheus_client": {"service"},
    "structlog": {"logs"},
    "opentelemetry": {"traces"},
    **{vendor: {"lab"} for vendor in ("torch", "torchaudio", "librosa", "numba", "scipy", "sklearn", "onnx", "onnxscript", "tqdm")},
}
CORE_MUST_NOT_IMPORT = {"time", "asyncio", "os", "random", "socket", "threading", "datetime", "secrets"}
SLOW_OR_OPTIONAL = ("limits", "librosa", "numba", "torch", "celery", "grpc", "sqlalchemy", "av", "scipy", "alembic", "asyncpg", "obstore", "redis")

MAX_LINES = 300
EXCUSE = "over 300 lines because"


class Import(NamedTuple):
    """One imported name: `module` is absolute, `lazy` means inside a function, `checked_only` means under TYPE_CHECKING."""

    file: Path
    line: int
    module: str
    lazy: bool
    checked_only: bool

    @property
    def where(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


def test_rooms_are_known() -> None:
    unknown = sorted({room_of(file) for file in sources()} - MAY_IMPORT.keys() - {"__init__", "__main__"})
    assert not unknown, f"app/ has rooms that the design does not name: {unknown}; give them a row in MAY_IMPORT"


def test_imports_point_downwards() -> None:
    assert_none(wrong for entry in app_imports() if (wrong := wrong_direction(entry)))


def test_vendors_stay_in_their_rooms() -> None:
    assert_none(
        f"{entry.where}: imports {entry.module}; only {sorted(rooms) or 'nobody'} may"
        for entry in app_imports()
        if (rooms := VENDORS.get(entry.module.split(".")[0])) is not None and not rooms & places(entry.file)
    )


def test_core_is_sans_io() -> None:
    assert_none(wrong for file in sources("core") for wrong in io_in(file))


def test_the_server_starts_without_the_slow_and_the_optional() -> None:
    if not (APP / "main.py").is_file():
        pytest.skip("app/main.py does not exist yet")
    script = f"import sys, app.main; print(*sorted(set({SLOW_OR_OPTIONAL!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"`import app.main` failed in a fresh interpreter:\n{done.stderr}"
    assert not done.stdout.split(), f"`import app.main` loads {done.stdout.split()}; import them where they are used"


def test_long_files_say_why() -> None:
    assert_none(
        f'{file.relative_to(ROOT)}: {count} lines; split it, or open it with a line that says "{EXCUSE} ..."'
        for folder in ("app", "tests", "bench", "static", "voxproof")
        for file in sorted((ROOT / folder).rglob("*"))
        if file.suffix in {".py", ".js", ".ts", ".css", ".html"} and "_pb2" not in file.name
        if (count := len(lines := file.read_text(encoding="utf-8").splitlines())) > MAX_LINES and EXCUSE not in lines[0]
    )


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("app/core/x.py", "from app.scoring import load", "core may not import scoring"),
        ("app/core/x.py", "from ..settings import Settings", "core may not import settings"),
        ("app/web/x.py", "import app.main", "web may not import main"),
        ("app/web/x.py", "from app import rpc", "web may not import rpc"),
        ("app/service/x.py", "def f():\n    import app.lab.train", "service may not import lab"),
        ("app/client/x.py", "from app.core import session", "client may import only"),
        ("app/cli/x.py", "import app.main", "only inside a function"),
        ("app/cli/x.py", "def f():\n    import app.main", None),
        ("app/client/x.py", "from ..core import wire", None),
        ("app/web/x.py", "from app.settings import Settings", None),
        ("app/main.py", "from .web import routes", None),
        ("app/core/x.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import app.service", "core may not import service"),
    ],
)
def test_the_rule_itself(file: str, text: str, complaint: str | None) -> None:
    found = [wrong for entry in imports_in(ROOT / file, ast.parse(text)) if (wrong := wrong_direction(entry))]
    assert (complaint is None and not found) or (complaint is not None and any(complaint in wrong for wrong in found)), found


@pytest.mark.parametrize("text", ["async def f(): ...", "open('x')", "import time", "from os import path", "Path().read_text()"])
def test_the_rule_about_io_itself(text: str) -> None:
    assert list(io_in(ROOT / "app/core/x.py", ast.parse(text)))


# --- helpers


def wrong_direction(entry: Import) -> str | None:
    """The complaint about one import, or None."""
    if entry.module.split(".")[0] != "app" or entry.module == "app":
        return None
    here, there = room_of(entry.file), entry.module.split(".")[1]
    if here == there or here in {"__init__", "__main__"} or there not in MAY_IMPORT:
        return None
    if here == "client":
        if any(entry.module == name or entry.module.startswith(f"{name}.") for name in CLIENT_MAY):
            return None
        return f"{entry.where}: client may import only {' and '.join(CLIENT_MAY)}, not {entry.module}"
    if here == "cli" and there in CLI_LAZY:
        lazy = entry.lazy or entry.checked_only
        return None if lazy else f"{entry.where}: cli imports {there} only inside a function, so that `voxproof --help` is quick"
    allowed = MAY_IMPORT[here] | (set() if here in {"core", "assets"} else ABOVE_CORE)
    return None if there in allowed else f"{entry.where}: {here} may not import {there} ({entry.module})"


def io_in(file: Path, tree: ast.Module | None = None) -> Iterator[str]:
    tree = tree or ast.parse(file.read_text(encoding="utf-8"))
    for entry in imports_in(file, tree):
        if entry.module.split(".")[0] in CORE_MUST_NOT_IMPORT:
            yield f"{entry.where}: core imports {entry.module}; it takes bytes and gives values"
    for node in ast.walk(tree):
        where = f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"{where}: core has no await and no async"
        elif isinstance(node, ast.Call) and called(node) in {"open", "read_text", "read_bytes", "write_text", "write_bytes"}:
            yield f"{where}: core calls {called(node)}(); files are read by adapters"


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""


def app_imports() -> Iterator[Import]:
    for file in sources():
        yield from imports_in(file, ast.parse(file.read_text(encoding="utf-8"), str(file)))


def imports_in(file: Path, tree: ast.Module) -> Iterator[Import]:
    package = [*file.relative_to(ROOT).parent.parts]

    def walk(node: ast.AST, lazy: bool, checked_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(file, child.lineno, alias.name, lazy, checked_only)
            elif isinstance(child, ast.ImportFrom):
                base = package[: len(package) - child.level + 1] if child.level else []
                module = ".".join([*base, *([child.module] if child.module else [])])
                # `from app import web` and `from app.core import wire` name modules; `from app.core.wire import X` does not.
                shallow = module.split(".")[0] == "app" and module.count(".") < 2 and not (ROOT / f"{module.replace('.', '/')}.py").is_file()
                for name in [f"{module}.{alias.name}" for alias in child.names] if shallow else [module]:
                    yield Import(file, child.lineno, name, lazy, checked_only)
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            yield from walk(child, lazy or function, checked_only or checking)

    yield from walk(tree, False, False)


def sources(room: str = "") -> list[Path]:
    return sorted(file for file in (APP / room).rglob("*.py") if "_data" not in file.parts)


def room_of(file: Path) -> str:
    return file.relative_to(APP).parts[0].removesuffix(".py")


def places(file: Path) -> set[str]:
    """A file's room, and its room with the next part: `lab` and `lab/cli`."""
    parts = file.relative_to(APP).with_suffix("").parts
    return {parts[0], "/".join(parts[:2])}


def assert_none(complaints: Iterator[str]) -> None:
    found = list(complaints)
    assert not found, "\n" + "\n".join(found)
