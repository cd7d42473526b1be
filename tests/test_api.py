"""The older contract of `POST /detect` (seed 002) in this process, to the letter: its answer, its error table row by row, its odd habits.

The seed runs `pytest tests/test_api.py -v`; its own example test is in here, cut out of its text. The clients it prints run in
tests/integration/test_seed_detect.py, its limits at their boundaries in tests/integration/test_limits*.py.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app import __version__
from app.core.errors import ScoringFailed
from app.main import create_app
from app.settings import Settings
from tests.audio import sound_file
from tests.integration.seed import seed_text
from tests.toy import make_model, voice

SEED = "002"
KEY = "test_key"
LANGUAGES = ["tamil", "english", "hindi", "malayalam", "telugu"]
FAKE, REAL = sound_file(voice(3.0, "spoof"), kind="MP3"), sound_file(voice(3.0, "bonafide"), kind="MP3")
FORBIDDEN = {"detail": "Invalid API Key"}
MB = 1 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


def served(folder: Path, **settings: Any) -> TestClient:
    model = make_model(folder / "toy")
    options = {"detect_requests_per_minute": 0, "detect_requests_per_hour": 0, "key_requests_per_minute": 0, "address_requests_per_minute": 0}
    made = Settings(_env_file=None, model=str(model), data_dir=folder / "data", api_key=KEY, **{**options, **settings})  # type: ignore[arg-type,call-arg]
    return TestClient(create_app(made), client=("127.0.0.1", 50_000), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with served(folder) as client:
        yield client


def packed(audio: bytes) -> str:
    return base64.b64encode(audio).decode()


def ask(client: TestClient, body: Any = None, key: str | None = KEY, **headers: str) -> tuple[int, Any]:
    """Status and content; `body` is JSON to be or bytes."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {} if "content_type" in headers else {"content-type": "application/json"}
    given = {name.replace("_", "-"): value for name, value in headers.items()} | ({"x-api-key": key} if key is not None else {})
    answer = client.post("/detect", content=sent, headers={**kind, **{name: value for name, value in given.items() if value}})
    return answer.status_code, answer.json()


def good(audio: bytes = FAKE, language: str = "english") -> dict[str, str]:
    return {"audio_base64": packed(audio), "language": language}


def complaint(place: str | int | None, message: str, kind: str) -> dict[str, Any]:
    return {"loc": ["body", *([] if place is None else [place])], "msg": message, "type": kind}


BASE64 = complaint("audio_base64", "Invalid base64 encoding", "value_error")
LANGUAGE = complaint(
    "language", "unexpected value; permitted: 'tamil', 'english', 'hindi', 'malayalam', 'telugu'", "value_error.const"
)  # fmt: skip
NO_DICT = complaint(None, "value is not a valid dict", "type_error.dict")

# --- what it answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("audio", "prediction"), [(FAKE, "AI_GENERATED"), (REAL, "HUMAN")], ids=["fake", "real"])
def test_seven_fields_of_the_seeds_types(client: TestClient, audio: bytes, prediction: str) -> None:
    before = datetime.now(UTC)
    status, content = ask(client, good(audio, "tamil"))
    assert status == 200
    shown = json.loads(example("Voice Detection", "prediction"))
    assert list(content) == list(shown) and {name: type(value) for name, value in content.items()} == {n: type(v) for n, v in shown.items()}
    assert content["prediction"] == prediction and 0.5 < content["confidence"] <= 1 and content["language"] == "tamil"
    assert abs(content["audio_duration_seconds"] - 3.0) < 0.1 and content["processing_time_ms"] > 0 and content["model_version"] == "0.0.1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", content["timestamp"])
    assert abs((datetime.fromisoformat(content["timestamp"]) - before).total_seconds()) < 30


@pytest.mark.parametrize("language", LANGUAGES)
def test_five_languages(client: TestClient, language: str) -> None:
    status, content = ask(client, good(language=language))
    assert status == 200 and content["language"] == language


@pytest.mark.parametrize(
    "text",
    ["data:audio/mpeg;base64," + packed(FAKE), re.sub("(.{76})", r"\1\n", packed(FAKE)), "  " + packed(FAKE).rstrip("=") + "\r\n"],
    ids=["data-URL", "wrapped", "unpadded"],
)
def test_base64_as_it_is_found(client: TestClient, text: str) -> None:
    assert ask(client, {"audio_base64": text, "language": "hindi"})[0] == 200


def test_health(client: TestClient) -> None:
    answer = client.get("/health")  # without a key
    content = answer.json()
    assert answer.status_code == 200 and list(content) == ["status", "timestamp", "version"]
    assert (content["status"], content["version"]) == ("healthy", __version__)
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}Z", content["timestamp"])


def test_the_seeds_own_test(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests" / "samples").mkdir(parents=True)
    (tmp_path / "tests" / "samples" / "ai_voice.mp3").write_bytes(FAKE)
    monkeypatch.chdir(tmp_path)
    (text,) = re.findall(r"```python\n(def test_detect_ai_voice.*?)```", seed_text(SEED), re.S)
    names: dict[str, Any] = {"client": client, "base64": base64}
    exec(text, names)
    names["test_detect_ai_voice"]()


# --- the error table, row by row ------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "", "wrong", KEY + "x", KEY.upper()])
def test_403_for_a_missing_or_wrong_key(client: TestClient, key: str | None) -> None:
    assert ask(client, good(), key=key) == (403, FORBIDDEN) == (403, json.loads(example("Invalid API Key (403)", "detail")))


def test_403_comes_before_anything_is_read(client: TestClient) -> None:
    assert ask(client, b"{", key="wrong") == (403, FORBIDDEN)


def test_400_for_the_seeds_75_2_seconds(client: TestClient) -> None:
    shown = json.loads(example("Invalid Audio Duration (400)", "detail"))
    assert ask(client, good(sound_file(voice(75.2)))) == (400, shown)
    assert ask(client, good(sound_file(voice(75.2), kind="MP3")))[0] == 400


@pytest.mark.parametrize("seconds", [1.0, 1.3, 59.9, 60.0, 60.04])
def test_the_bounds_are_inside(client: TestClient, seconds: float) -> None:
    status, content = ask(client, good(sound_file(voice(seconds, rate=8000), 8000)))
    assert status == 200 and abs(content["audio_duration_seconds"] - seconds) < 0.01


@pytest.mark.parametrize("seconds", [0.2, 0.9, 60.1, 61.0])
def test_400_outside_of_them(client: TestClient, seconds: float) -> None:
    words = f"Audio duration must be between 1-60 seconds. Got {seconds}s"
    assert ask(client, good(sound_file(voice(seconds, rate=8000), 8000))) == (400, {"detail": words})


def test_a_minute_of_mp3_is_a_minute(client: TestClient) -> None:
    assert ask(client, good(sound_file(voice(60.0), kind="MP3")))[0] == 200


def test_413_is_for_more_than_10_mb_decoded(client: TestClient) -> None:
    """10 * 2^20 bytes pass: a WAV whose rest is silence at the end of a minute is too long, so junk after the samples fills it up."""
    head = sound_file(voice(3.0, "spoof"))
    assert ask(client, good(head + bytes(10 * MB - len(head))))[0] == 200
    status, content = ask(client, good(head + bytes(10 * MB - len(head) + 1)))
    assert status == 413 and "10 MB" in content["detail"]


def test_413_while_it_is_read(client: TestClient) -> None:
    """A bomb of blanks: nothing in it to decode, and still it is not kept."""
    body = b'{"language":"hindi","audio_base64":"' + b" " * (16 * MB) + b'"}'
    assert ask(client, body)[0] == 413


@pytest.mark.parametrize("language", ["french", "English", "", " english", "tamil,hindi"])
def test_422_for_a_language(client: TestClient, language: str) -> None:
    shown = json.loads(example("Invalid Language (422)", "detail"))
    assert ask(client, good(language=language)) == (422, {"detail": [LANGUAGE]}) == (422, shown)


@pytest.mark.parametrize("text", ["%%%", "", "abcde", "SGVsbG8*", "ä", "\ud800", "=", "data:audio/mp3;base64,"])
def test_422_for_base64(client: TestClient, text: str) -> None:
    shown = json.loads(example("Invalid Base64 (422)", "detail"))
    assert ask(client, {"audio_base64": text, "language": "telugu"}) == (422, {"detail": [BASE64]}) == (422, shown)


@pytest.mark.parametrize(
    ("body", "complaints"),
    [
        ({}, [complaint("audio_base64", "field required", "value_error.missing"), complaint("language", "field required", "value_error.missing")]),
        ({"audio_base64": "AAAA"}, [complaint("language", "field required", "value_error.missing")]),
        ({"audio_base64": None, "language": None}, [complaint(n, "none is not an allowed value", "type_error.none.not_allowed") for n in good()]),
        ({"audio_base64": [], "language": {}}, [complaint("audio_base64", "str type expected", "type_error.str"), LANGUAGE]),
        ([], [NO_DICT]),
        ("text", [NO_DICT]),
        (b"{", [complaint(1, "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)", "value_error.jsondecode")]),
        (b"", [complaint(None, "field required", "value_error.missing")]),
    ],
    ids=["empty", "one missing", "null", "wrong types", "list", "string", "no JSON", "no body"],
)
def test_422_for_a_body_in_the_words_of_its_time(client: TestClient, body: Any, complaints: list[Any]) -> None:
    assert ask(client, body) == (422, {"detail": complaints})


@pytest.mark.parametrize(
    "audio",
    [b"This is a shopping list. " * 40, FAKE[:3], bytes(5000), sound_file(voice(3.0, "silence")), sound_file(voice(0.0))],
    ids=["text", "cut off", "zeros", "no speech", "no samples"],
)
def test_422_for_audio_that_cannot_be_judged(client: TestClient, audio: bytes) -> None:
    status, content = ask(client, good(audio))
    assert status == 422 and list(content) == ["detail"] and isinstance(content["detail"], str)


@pytest.mark.parametrize("body", [b"[" * 10_000, b'{"a":' * 10_000, b"\xff\xfe\xfd", b'{"language":' + b"9" * 5000 + b"}"])
def test_400_for_what_no_parser_takes(client: TestClient, body: bytes) -> None:
    assert ask(client, body) == (400, {"detail": "There was an error parsing the body"})
    assert ask(client, good())[0] == 200


def test_429_and_its_headers(folder: Path) -> None:
    with served(folder, detect_requests_per_minute=2, detect_requests_per_hour=1000) as client:
        for left in (1, 0):
            answer = client.post("/detect", json=good(), headers={"x-api-key": KEY})
            if answer.headers["x-ratelimit-remaining"] == "1" and not left:
                pytest.skip("a minute began in between")
            assert answer.status_code == 200
            assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("2", str(left))
        answer = client.post("/detect", json=good(), headers={"x-api-key": KEY})
        assert answer.status_code == 429 and isinstance(answer.json()["detail"], str) and list(answer.json()) == ["detail"]
        assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("2", "0")
        assert int(answer.headers["x-ratelimit-reset"]) % 60 == 0 and 0 < int(answer.headers["retry-after"]) <= 60


@pytest.mark.parametrize("trouble", [ScoringFailed(), RuntimeError("a bug")], ids=["our error", "a bug"])
def test_500_when_the_detector_fails(folder: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    with served(folder) as client:

        async def fail(*_: Any, **__: Any) -> Any:
            raise trouble

        monkeypatch.setattr(client.app.state.services.batcher, "score", fail)  # type: ignore[attr-defined]
        status, content = ask(client, good())
        assert status == 500 and list(content) == ["detail"] and "a bug" not in content["detail"]
        monkeypatch.undo()
        assert ask(client, good())[0] == 200


def test_every_status_of_the_seeds_table_is_tested_here() -> None:
    rows = re.findall(r"^\| (\d{3}) \|", seed_text(SEED), re.M)
    own = Path(__file__).read_text("utf-8")
    assert rows == ["400", "403", "413", "422", "429", "500"] and all(f"def test_{status}_" in own for status in rows)


# --- habits that nobody wrote down ----------------------------------------------------------------------------


def test_of_a_field_that_comes_twice_the_last_counts(client: TestClient) -> None:
    body = b'{"language":"french","language":"hindi","audio_base64":"%s"}' % packed(FAKE).encode()
    status, content = ask(client, body)
    assert status == 200 and content["language"] == "hindi"


def test_unknown_fields_are_ignored(client: TestClient) -> None:
    assert ask(client, {**good(), "format": "mp3", "nested": {"deep": [1, 2]}})[0] == 200


@pytest.mark.parametrize(("kind", "status"), [("", 200), ("application/json; charset=utf-8", 200), ("application/vnd.x+json", 200)])
def test_types_that_are_json(client: TestClient, kind: str, status: int) -> None:
    assert ask(client, good(), content_type=kind)[0] == status


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "rubbish"])
def test_types_that_are_not(client: TestClient, kind: str) -> None:
    assert ask(client, good(), content_type=kind) == (422, {"detail": [NO_DICT]})


def test_other_methods(client: TestClient) -> None:
    answer = client.get("/detect")
    assert answer.status_code == 405 and "detail" in answer.json()


def example(heading: str, phrase: str) -> str:
    """The first JSON block with this phrase after this heading of the seed."""
    text = seed_text(SEED)
    blocks = re.findall(r"```json\n(.*?)```", text[text.index(heading) :], re.S)
    return next(block for block in blocks if phrase in block)
