"""Settings from the environment and `.env`: the older contract's names are aliases, ours win, and nothing of the machine leaks in."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import OLDER_NAMES, Settings
from tests.integration.seed import blocks
from tests.toy import make_model

SEED = {"API_KEY": "k", "MODEL_PATH": "/models", "LOG_LEVEL": "INFO", "MAX_WORKERS": "4", "REDIS_URL": "redis://r:6379", "DATABASE_URL": "postgresql://d"}
OURS = {
    "API_KEY": "other", "MODEL": "classic", "MODELS_DIR": "/own", "LOG_LEVEL": "debug", "SCORING_WORKERS": "2", "REDIS_URL": "redis://own",
    "DATABASE_URL": "sqlite:///own.db",
}  # fmt: skip


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [f"VOXPROOF_{name}" for name in OURS] + list(SEED):
        monkeypatch.delenv(name, raising=False)


def read() -> dict[str, object]:
    settings = Settings()
    assert settings.api_key is None or "**" in repr(settings.api_key)
    return {**{name: getattr(settings, name) for name in OLDER_NAMES}, "api_key": settings.api_key and settings.api_key.get_secret_value()}


OLDER = {
    "api_key": "k", "model": "standard", "models_dir": Path("/models"), "log_level": "INFO", "scoring_workers": 4, "redis_url": "redis://r:6379",
    "database_url": "postgresql://d",
}  # fmt: skip
OWN = {
    "api_key": "other", "model": "classic", "models_dir": Path("/own"), "log_level": "debug", "scoring_workers": 2, "redis_url": "redis://own",
    "database_url": "sqlite:///own.db",
}  # fmt: skip


def test_the_seeds_names_are_all_known() -> None:
    (text,) = [block for block in blocks("bash", "002") if block.startswith("API_KEY=")]
    assert {line.partition("=")[0] for line in text.splitlines()} == set(OLDER_NAMES.values()) == set(SEED)


@pytest.mark.parametrize("where", ["environment", "file"])
def test_they_are_heard(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "file":
        Path(".env").write_text("".join(f"{name}={value}\n" for name, value in SEED.items()))
    else:
        for name, value in SEED.items():
            monkeypatch.setenv(name, value)
    assert read() == OLDER


@pytest.mark.parametrize("ours_in", ["environment", "file"])
@pytest.mark.parametrize("theirs_in", ["environment", "file"])
def test_our_names_win_wherever_they_stand(ours_in: str, theirs_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []
    for where, names in ((theirs_in, SEED), (ours_in, {f"VOXPROOF_{name}": value for name, value in OURS.items()})):
        for name, value in names.items():
            if where == "file":
                lines.append(f"{name}={value}\n")
            else:
                monkeypatch.setenv(name, value)
    Path(".env").write_text("".join(lines))
    assert read() == OWN


def test_the_environment_comes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("REDIS_URL=redis://file\n")
    monkeypatch.setenv("REDIS_URL", "redis://environment")
    assert Settings().redis_url == "redis://environment"
    assert Settings(redis_url="redis://argument").redis_url == "redis://argument"


def test_model_path_may_be_one_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODEL_PATH", str(make_model(tmp_path / "models" / "toy")))
    assert (Settings().model, Settings().models_dir) == (str(tmp_path / "models" / "toy"), None)
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "models"))
    assert (Settings().model, Settings().models_dir) == ("standard", tmp_path / "models")


def test_an_empty_value_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SEED:
        monkeypatch.setenv(name, "")
    assert read() == {**{name: Settings.model_fields[name].default for name in OLDER_NAMES}}


def test_an_empty_key_of_ours_is_a_mistake_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXPROOF_API_KEY", "")
    with pytest.raises(ValidationError):
        Settings()
