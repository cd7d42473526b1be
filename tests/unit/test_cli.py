"""The command's surface: help that comes at once, options that are refused in one line, the lab only when named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from app import __version__
from app.cli.main import app
from app.cli.options import read_config, read_fail_on, read_settings

runner = CliRunner()

HEAVY = ("onnxruntime", "av", "numpy", "soundfile", "pydantic", "uvicorn", "starlette", "websockets", "rich", "torch", "app.main", "app.lab")


def test_help_loads_nothing_heavy() -> None:
    script = f"import sys; from app.cli.main import app; app(['--help'], standalone_mode=False); print('|', *(set({HEAVY}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert not done.stdout.rpartition("|")[2].split()


@pytest.mark.parametrize("command", [[], ["serve"], ["check"], ["stream"], ["lab"]])
def test_every_command_explains_itself(command: list[str]) -> None:
    done = runner.invoke(app, [*command, "--help"])
    assert done.exit_code == 0 and "Usage: " in done.stdout


@pytest.mark.parametrize("name", ["serve", "check", "stream"])
def test_every_option_has_one_sentence(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    helps = [parameter.help for parameter in command.params if parameter.name != "help"]
    assert len(helps) >= 4 and all(text and text.endswith(".") and ". " not in text for text in helps), helps


def test_version() -> None:
    done = runner.invoke(app, ["--version"])
    assert done.exit_code == 0 and done.stdout == f"voxproof {__version__}\n"


def test_the_lab_gets_its_own_words() -> None:
    done = runner.invoke(app, ["lab", "--help"])
    assert done.exit_code == 0 and "train" in done.stdout and "export" in done.stdout
    assert runner.invoke(app, ["lab", "nonsense"]).exit_code == 2


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    done = runner.invoke(app, ["lab", "train"])
    assert done.exit_code == 2 and "pip install 'voxproof[lab]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "x", "--fail-on", "spoof,fake"], "--fail-on takes spoof"),
        (["check", "x", "--threshold", "1.5"], "--threshold: "),
        (["stream", "x", "--url", "ftp://x"], "not the address of a server"),
        (["stream", "x", "--url", "ws://"], "not the address of a server"),
        (["stream", "x", "--url", "ws://h:99999"], "not the address of a server"),
        (["serve", "--port", "70000"], "--port"),
        (["check", "x", "--profile", "slow"], "--profile"),
        (["check"], "Missing argument"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], words: str) -> None:
    done = runner.invoke(app, arguments)
    assert done.exit_code == 2 and words in done.stderr and "Traceback" not in done.output


def test_settings_of_the_environment_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("VOXPROOF_PORT", "many"), ("VOXPROOF_ALLOWED_ORIGINS", "not json")):
        done = runner.invoke(app, ["serve"], env={name: value})
        assert done.exit_code == 2 and name.removeprefix("VOXPROOF_").lower() in done.stderr and len(done.stderr.splitlines()) == 1


def test_flags_come_before_the_environment_and_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXPROOF_PORT", "8001")
    (tmp_path / ".env").write_text("VOXPROOF_PORT=8002\nVOXPROOF_HOST=::1\n")
    settings = read_settings(host=None, port=8003, model=None)
    assert (settings.host, settings.port, settings.model) == ("::1", 8003, "standard")
    assert read_settings(port=None).port == 8001


def test_config_and_verdicts_are_read() -> None:
    config = read_config(profile="strict", threshold=0.7, channel_mode="mix", hop_seconds=None)
    assert (config.profile, config.threshold, config.channel_mode, config.hop_seconds) == ("strict", 0.7, "mix", None)
    assert read_config().model_dump(exclude_unset=True) == {}
    assert read_fail_on(["spoof, uncertain", "no_speech"]) == {"spoof", "uncertain", "no_speech"}
    assert read_fail_on(None) == frozenset()
