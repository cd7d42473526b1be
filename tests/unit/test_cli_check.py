"""`voxproof check`: what it prints, its exit codes, and that it says what POST /v1/detect says of the same file."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from app.cli import check, sources
from app.cli.main import app
from app.cli.progress import Progress
from app.core import wire
from app.core.windows import Scored
from app.main import create_app
from app.scoring.load import Detector
from app.service.decode import DecodeLimits
from app.settings import Settings
from tests import fake
from tests.audio import recorder_webm, sound_file, wav
from tests.toy import make_model, voice

runner = CliRunner()

FILES: dict[str, bytes] = {
    "human.wav": wav(voice(6.2, "bonafide")),
    "machine.flac": sound_file(voice(5, "spoof", 44100), 44100, "FLAC"),
    "quiet.wav": wav(voice(3, "silence")),
    "short.wav": wav(voice(0.3, "spoof")),
    "two.wav": wav(voice(5, "spoof", channels=2), 16000),
    "many.wav": sound_file(voice(4, "bonafide", channels=5), 16000),
    "page.webm": recorder_webm(4),
    "cut.wav": wav(voice(4, "bonafide"), data_length=400_000),
    "empty.wav": b"",
    "words.txt": b"this is not audio, whatever it is called",
}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check")
    make_model(folder / "toy")
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("VOXPROOF_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VOXPROOF_MODEL", str(folder / "toy"))


def checked(*arguments: str, given: bytes | None = None) -> Result:
    done = runner.invoke(app, ["check", *arguments], input=given)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def lines(*arguments: str, given: bytes | None = None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in checked("--json", *arguments, given=given).stdout.splitlines()]


def test_a_line_a_file_in_their_order() -> None:
    found = lines("machine.flac", "human.wav", "quiet.wav")
    assert [(line["file"], line["verdict"]) for line in found] == [("machine.flac", "spoof"), ("human.wav", "bonafide"), ("quiet.wav", "no_speech")]
    promised = {"file", "verdict", "score", "llr", "speech_ms", "duration_ms", "segments", "channels", "spoof_ranges", "warnings", "sha256", "model"}
    assert promised <= found[0].keys()
    assert found[0]["sha256"] == hashlib.sha256(FILES["machine.flac"]).hexdigest()
    assert lines("human.wav") == [found[1]], "the same file must give the same line"


def test_it_says_what_the_server_says(folder: Path) -> None:
    settings = Settings(model=str(folder / "toy"), _env_file=None)
    with TestClient(create_app(settings), base_url="http://127.0.0.1", client=("127.0.0.1", 50_000)) as client:
        for query in ({}, {"profile": "strict", "channel_mode": "mix", "hop_seconds": "0.3", "threshold": "0.8"}):
            flags = [word for name, value in query.items() for word in (f"--{name.replace('_', '-')}", value)]
            for ours in lines(*FILES, *flags):
                name = ours.pop("file")
                theirs = client.post("/v1/detect", content=FILES[name], params=query).json()
                if "error" in ours:
                    assert ours["error"] == {"code": theirs["code"], "message": theirs["detail"]}
                    continue
                for made_up in ("request_id", "session_id"):
                    del theirs[made_up]
                assert close(ours) == close(theirs), name


def close(value: Any) -> Any:
    """Scores within rounding of a batch are the same."""
    if isinstance(value, float):
        return pytest.approx(value, abs=1e-3)
    if isinstance(value, dict):
        return {name: close(each) for name, each in value.items()}
    return [close(each) for each in value] if isinstance(value, list) else value


def test_what_cannot_be_checked_does_not_stop_the_rest(folder: Path) -> None:
    (folder / "sub").mkdir(exist_ok=True)
    found = lines("nope.wav", "sub", "words.txt", "empty.wav", "/dev/null", "human.wav")
    codes = ["not_found", "not_a_file", "unsupported_audio", "empty_audio", "not_a_file"]
    assert [line["error"]["code"] for line in found[:-1]] == codes
    assert found[-1]["verdict"] == "bonafide"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(folder: Path) -> None:
    (folder / "locked.wav").touch(0o000)
    assert lines("locked.wav")[0]["error"]["code"] == "unreadable"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["human.wav", "machine.flac"], 0),
        (["human.wav", "machine.flac", "--fail-on", "spoof"], 1),
        (["human.wav", "--fail-on", "spoof,uncertain", "--fail-on", "no_speech"], 0),
        (["quiet.wav", "--fail-on", "spoof", "--fail-on", "no_speech"], 1),
        (["human.wav", "nope.wav"], 2),
        (["nope.wav", "machine.flac", "--fail-on", "spoof"], 1),
        (["nope.wav", "machine.flac", "--fail-on", "no_speech"], 2),
    ],
)
def test_exit_codes(arguments: list[str], code: int) -> None:
    assert checked(*arguments).exit_code == checked("--json", *arguments).exit_code == code


def test_the_table_in_a_pipe_is_plain() -> None:
    text = checked("machine.flac", "two.wav", "nope.wav", "cut.wav").stdout
    assert text.isascii() and "\x1b" not in text
    rows = text.splitlines()
    assert rows[0].split() == ["file", "verdict", "score", "speech", "length", "spoofed"]
    assert rows[1].split()[:2] == ["machine.flac", "spoof"] and rows[1].endswith("0:00.0-0:05.0")
    assert rows[3].split()[:2] == ["nope.wav", "error"] and rows[3].endswith("There is no such file.")
    assert any(row.startswith("two.wav: channel 2: spoof") for row in rows[5:])
    assert any(row.startswith("cut.wav: truncated: ") for row in rows[5:])


def test_standard_input_is_a_file() -> None:
    (line,) = lines("-", given=FILES["machine.flac"])
    assert line["file"] == "-" and line["verdict"] == "spoof" and line["sha256"] == hashlib.sha256(FILES["machine.flac"]).hexdigest()
    assert lines("-", given=b"")[0]["error"]["code"] == "empty_audio"


def test_a_pipe_is_a_file_too(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=(folder / "pipe").write_bytes, args=[FILES["human.wav"]])
    writer.start()
    assert lines("pipe")[0]["verdict"] == "bonafide"
    writer.join()


def test_an_endless_pipe_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PIPE_BYTES", 10_000)
    monkeypatch.setattr(sources, "BLOCK_BYTES", 1000)
    read, write = os.pipe()
    os.write(write, bytes(20_000))
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": pipe, "closed": False, "isatty": lambda self: False})())
        assert outcome("-")["error"]["code"] == "upload_too_large"


def test_audio_that_is_too_long_is_refused() -> None:
    assert lines("human.wav", "--max-seconds", "5")[0]["error"]["code"] == "audio_too_long"


def test_an_impossible_hop_is_said_once() -> None:
    done = checked("human.wav", "machine.flac", "--hop-seconds", "9")
    assert done.exit_code == 2 and "hop_seconds must be" in done.stderr and len(done.output.splitlines()) == 1


@pytest.mark.parametrize("problem", ["missing", "altered", "card"])
def test_a_model_problem_is_one_line(problem: str, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    if problem == "missing":
        (model / "head.onnx").unlink()
    elif problem == "altered":
        (model / "head.onnx").write_bytes(b"something else")
    else:
        (model / "card.json").write_text("{}")
    done = checked("human.wav", "--model", str(model))
    assert done.exit_code == 2 and done.output.startswith("voxproof: ") and len(done.output.splitlines()) == 1


class Counting(fake.FakeScorer):
    """Notes how many windows come at once."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def score(self, windows: Any) -> list[Scored]:
        self.batches.append(len(windows))
        return super().score(windows)


def outcome(name: str, scorer: Any = None) -> dict[str, Any]:
    detector = Detector(None, fake.model(), scorer or fake.FakeScorer())  # type: ignore[arg-type]
    return asyncio.run(check.check_file(name, detector, wire.Config(), DecodeLimits(), Progress()))


def test_windows_come_in_batches() -> None:
    scorer = Counting()
    assert outcome("human.wav", scorer)["verdict"] == "spoof", "the fake detector hears loudness"
    assert max(scorer.batches) == 8 and sum(scorer.batches) == 12


def test_the_bar_is_for_long_files_and_watchers(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "long.wav").write_bytes(wav(voice(40, "bonafide")))
    shown: list[str] = []
    monkeypatch.setattr("app.cli.progress._bar", lambda name: shown.append(name) or _Bar())
    outcome("long.wav")
    assert not shown, "nobody watches"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    outcome("human.wav")
    assert not shown, "six seconds are no wait"
    outcome("long.wav")
    assert shown == ["long.wav"]


class _Bar:
    task_ids = (0,)

    def update(self, task: int, completed: float, reached: str) -> None:
        assert 0 <= completed <= 1 and ":" in reached

    def stop(self) -> None:
        pass
