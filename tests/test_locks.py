"""The lock files: three sizes of one resolution, hashed, free of addresses, and in step with `pyproject.toml`.

`requirements-run.lock` (the server) is part of `requirements.lock` (and the tests' tools), which is part of
`requirements-lab.lock` (and the lab, but for torch). `make lock` writes them.
"""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements-run.lock", "requirements.lock", "requirements-lab.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = {
    "requirements-run.lock": PROJECT["dependencies"],
    "requirements.lock": PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"],
    "requirements-lab.lock": [line for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()) for line in lines],
}


@pytest.mark.parametrize(("smaller", "larger"), [LOCKS[:2], LOCKS[1:]])
def test_a_smaller_lock_is_part_of_the_larger(smaller: str, larger: str) -> None:
    theirs = pins(larger)
    differing = {name: (pin, theirs.get(name)) for name, pin in pins(smaller).items() if theirs.get(name) != pin}
    assert not differing, f"{smaller} and {larger} differ in {sorted(differing)}: run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_pinned_hashed_and_names_no_registry(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    assert all(hashes for _, hashes in pins(lock).values())
    heavy = [name for name in pins(lock) if name == "torch" or name.startswith(("nvidia-", "cuda-", "triton"))]
    assert not heavy, f"{lock} would install {heavy}: name them in [tool.uv.pip] no-emit-package"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_all_that_the_project_declares(lock: str) -> None:
    missing = {canonical(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in DECLARED[lock]} - pins(lock).keys() - {"torch"}
    assert not missing, f"{lock} lacks {sorted(missing)}: run `make lock`"


def test_torch_is_pinned_once() -> None:
    lines = (ROOT / "requirements-torch.lock").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [
        line for line in PROJECT["optional-dependencies"]["lab"] if line.startswith("torch")
    ]


def pins(lock: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Name -> the pin (without its marker, which widens as a lock grows) and its hashes."""
    found = {}
    for entry in re.split(r"\n(?=[\w])", re.sub(r"(?m)^#.*\n", "\n", (ROOT / lock).read_text(encoding="utf-8"))):
        if entry.strip():
            pin = entry.strip().split("\\")[0].split(";")[0].strip()
            assert "==" in pin, f"{lock}: not pinned: {pin}"
            found[canonical(pin.split("==")[0])] = (pin, frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", entry)))
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
