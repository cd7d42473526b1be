"""Seed 002's clients, cut out of its text and run against a server that is set up by the seed's own `.env` names.

Only the address in them is changed, to the test server's. The files they read are MP3 of a voice, and lie where they say. axios is not on every
machine: NODE_PATH leads to a stand-in of a few lines, and the snippet itself is as printed.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import soundfile

from tests.audio import sound_file
from tests.integration.seed import block_with, blocks
from tests.integration.server import ROOT, Server
from tests.toy import voice

SEED, SITE, KEY = "002", "https://api.voicedetection.com", "your_api_key_here"
FAKE, REAL = sound_file(voice(3.0, "spoof"), kind="MP3"), sound_file(voice(3.0, "bonafide"), kind="MP3")

AXIOS = """
exports.post = async (url, data, {headers}) => {
  const answer = await fetch(url, {method: 'POST', body: JSON.stringify(data), headers});
  const response = {status: answer.status, data: await answer.json()};
  if (!answer.ok) throw Object.assign(new Error('status ' + answer.status), {response});
  return response;
};
"""


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[Server]:
    """A server whose settings come from a `.env` with the seed's names."""
    folder = tmp_path_factory.mktemp("seeded")
    given = {"API_KEY": KEY, "MODEL_PATH": str(toy), "LOG_LEVEL": "INFO", "MAX_WORKERS": "2", "DATABASE_URL": f"sqlite:///{folder}/voice_db.db"}
    (text,) = [block for block in blocks("bash", SEED) if block.startswith("API_KEY=")]
    lines = dict(line.split("=", 1) for line in text.splitlines())
    assert lines.keys() - given.keys() == {"REDIS_URL"}  # which tests/integration/test_limits.py uses, with a real Redis
    (folder / ".env").write_text("".join(f"{name}={given[name]}\n" for name in lines if name in given), "utf-8")
    with Server(folder, None, data_dir=folder, detect_requests_per_minute=0, detect_requests_per_hour=0, address_requests_per_minute=0) as running:
        yield running
        assert not running.traces(), "\n".join(running.lines[-60:])


@pytest.fixture
def env() -> dict[str, str]:
    """The environment without proxies: the server is on this machine."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def here(snippet: str, server: Server) -> str:
    assert snippet.count(SITE) == 1
    return snippet.replace(SITE, server.http)


def test_the_env_names_are_heard(seeded: Server) -> None:
    assert any("model toy" in line for line in seeded.lines)
    assert httpx2.post(seeded.http + "/detect", json={}).status_code == 403
    assert httpx2.post(seeded.http + "/detect", json={}, headers={"x-api-key": KEY}).status_code == 422


@pytest.mark.parametrize(("audio", "prediction"), [(FAKE, "AI_GENERATED"), (REAL, "HUMAN")], ids=["fake", "real"])
def test_python(seeded: Server, tmp_path: Path, env: dict[str, str], audio: bytes, prediction: str) -> None:
    (tmp_path / "sample_audio.mp3").write_bytes(audio)
    (tmp_path / "client.py").write_text(here(block_with("python", "sample_audio.mp3", SEED), seeded), "utf-8")
    ran = subprocess.run([sys.executable, "client.py"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    first, second = ran.stdout.splitlines()
    assert first == f"Prediction: {prediction}"
    assert second.startswith("Confidence: ") and 50 < float(second.removeprefix("Confidence: ").removesuffix("%")) <= 100


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("broken", [False, True], ids=["a voice", "no audio"])
def test_javascript(seeded: Server, tmp_path: Path, env: dict[str, str], broken: bool) -> None:
    (tmp_path / "modules" / "axios").mkdir(parents=True)
    (tmp_path / "modules" / "axios" / "index.js").write_text(AXIOS, "utf-8")
    (tmp_path / "human_voice.mp3").write_bytes(b"no audio at all" if broken else REAL)
    (tmp_path / "client.js").write_text(here(block_with("javascript", "axios", SEED), seeded), "utf-8")
    command, env = ["node", "client.js"], {**env, "NODE_PATH": str(tmp_path / "modules")}
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    if broken:
        assert ran.stderr.startswith("Error: { detail: '")
    else:
        first, second = ran.stdout.splitlines()
        assert first == "Prediction: HUMAN" and 0.5 < float(second.removeprefix("Confidence: ")) <= 1


def test_curl(seeded: Server, tmp_path: Path, env: dict[str, str]) -> None:
    """GNU's base64 wraps its lines, so what arrives is JSON with raw line breaks in a string."""
    (tmp_path / "sample.mp3").write_bytes(FAKE)
    snippet = here(block_with("bash", "base64 -i sample.mp3", SEED), seeded)
    ran = subprocess.run(["bash", "-c", snippet], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert '"prediction":"AI_GENERATED"' in ran.stdout and '"language":"hindi"' in ran.stdout


@pytest.mark.slow
def test_the_load_test(seeded: Server, tmp_path: Path, env: dict[str, str]) -> None:
    """The seed's command, headless for a few seconds: requests succeed, and none fails."""
    (command,) = [block for block in blocks("bash", SEED) if "locust" in block]
    words = command.replace("http://localhost:8000", seeded.http).split()
    assert words[0] == "locust" and words[1:3] == ["-f", "tests/load_test.py"]
    assert len(soundfile.read(ROOT / "tests" / "fixtures" / "voice-female.wav")[0]) > 16000
    options = ["--headless", "-u", "4", "-r", "4", "-t", "4s", "--stop-timeout", "40", "--csv", str(tmp_path / "load"), "--only-summary"]
    ran = subprocess.run(
        [sys.executable, "-m", *words, *options], cwd=ROOT, env={**env, "API_KEY": KEY}, capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stderr
    rows = {row["Name"]: row for row in csv.DictReader((tmp_path / "load_stats.csv").open())}
    assert int(rows["/detect"]["Request Count"]) >= 4 and {row["Failure Count"] for row in rows.values()} == {"0"}
