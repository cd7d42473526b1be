"""The wheel is the product: built here, installed elsewhere without the checkout, it must find its data and give a verdict."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = ("static", "templates", "models")
VERDICTS = {"bonafide", "spoof", "uncertain", "no_speech"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the locked hatchling, so without the network."""
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT), cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel alone in a folder; its dependencies come from the environment that runs the tests."""
    target = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(target), str(wheel), cwd=target)
    return target


def test_the_wheel_carries_the_data(wheel: Path) -> None:
    """Every file of the three folders, and nothing of the lab's or the tests' surroundings."""
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in DATA:
        ours = [file for file in (ROOT / folder).rglob("*") if file.is_file() and not is_scrap(file)]
        missing = [str(file.relative_to(ROOT)) for file in ours if f"app/_data/{file.relative_to(ROOT).as_posix()}" not in names]
        assert not missing, f"not in the wheel: {missing}"
    strangers = {name.split("/")[0] for name in names} - {"app", "voxproof"}
    assert all(name.endswith(".dist-info") for name in strangers), strangers


def test_an_installed_program_finds_its_data(installed: Path, tmp_path: Path) -> None:
    script = "import json; from app.assets import asset_dir; print(json.dumps([str(asset_dir(n)) for n in ('static', 'templates', 'models')]))"
    found = [Path(line) for line in json.loads(run(sys.executable, "-c", script, cwd=tmp_path, path=installed))]
    for folder, name in zip(found, DATA, strict=True):
        assert folder == installed / "app" / "_data" / name
        if any(file.is_file() and not is_scrap(file) for file in (ROOT / name).rglob("*")):
            assert folder.is_dir(), f"{name} is missing from the installed program"


def test_an_installed_program_gives_a_verdict(installed: Path, tmp_path: Path) -> None:
    clips = sorted((ROOT / "tests" / "fixtures").rglob("*.wav"))
    if not (ROOT / "app" / "cli" / "main.py").is_file():
        pytest.skip("app/cli/main.py does not exist yet")
    if not clips:
        pytest.skip("no WAV file under tests/fixtures yet")
    if not list((ROOT / "models").rglob("card.json")):
        pytest.skip("no model under models/ yet")
    # The console script that pip wrote runs on this environment's Python; `path` puts the installed wheel before the checkout.
    printed = run(sys.executable, str(installed / "bin" / "voxproof"), "check", "--json", str(clips[0]), cwd=tmp_path, path=installed)
    (line,) = [json.loads(text) for text in printed.splitlines() if text.strip()]
    assert {"file", "verdict", "score", "llr", "speech_ms", "duration_ms", "segments"} <= line.keys()
    assert line["verdict"] in VERDICTS
    assert Path(line["file"]).name == clips[0].name
    assert line["duration_ms"] > 0


def run(*command: str, cwd: Path, path: Path | None = None) -> str:
    """Standard output of a command that must succeed; the child sees nothing of our settings or import path."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("VOXPROOF_", "PYTHON"))}
    if path:
        env["PYTHONPATH"] = str(path)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=100, check=False)
    # `check` answers 1 for a spoof: a verdict, no failure.
    assert done.returncode in ({0, 1} if "check" in command else {0}), f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def is_scrap(file: Path) -> bool:
    return "__pycache__" in file.parts or file.name.startswith(".")
