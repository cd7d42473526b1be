"""`POST /v1/voice/deepfake` as the Sonotheia client (seed 000) calls it: multipart `audio` and JSON `metadata`, Bearer key, its labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import requests

from app.status import STATUS
from tests.audio import sound_file
from tests.integration.conftest import Unharmed
from tests.integration.server import Server
from tests.integration.uploads import form
from tests.toy import voice

FAKE, REAL, SILENT = sound_file(voice(3.0, "spoof")), sound_file(voice(3.0, "bonafide")), sound_file(voice(3.0, "silence"))
UNSURE = sound_file(np.round(9000 * np.sin(2 * np.pi * 760 * np.arange(48_000) / 16_000)).astype(np.int16))
FIELDS = ["score", "label", "latency_ms", "session_id", "recommended_action"]
KEY = "the-only-key"
PATH = "/v1/voice/deepfake"
MULTIPART = {"content-type": "multipart/form-data; boundary=b"}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("keyed")
    with Server(folder, toy, data_dir=folder, api_key=KEY) as running:
        yield running
        assert not running.traces(), "\n".join(running.lines[-60:])


def ask(server: Server, audio: bytes = FAKE, key: str | None = None, **data: str) -> requests.Response:
    """As a client of that time did: requests, a file and a field."""
    session = requests.Session()
    session.trust_env = False
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return session.post(server.http + PATH, files={"audio": ("call.wav", audio, "audio/wav")}, data=data, headers=headers, timeout=30)


@pytest.mark.parametrize(
    ("audio", "label", "action"),
    [(FAKE, "likely_synthetic", "deny"), (REAL, "likely_real", "allow"), (UNSURE, None, "review")],
    ids=["spoof", "bonafide", "uncertain"],
)
def test_the_answer(server: Server, audio: bytes, label: str | None, action: str) -> None:
    answer = ask(server, audio, metadata=json.dumps({"session_id": f"my-session-{action}", "channel": "ivr"}))
    content = answer.json()
    assert answer.status_code == 200 and list(content) == FIELDS
    assert 0 <= content["score"] <= 1 and isinstance(content["latency_ms"], int) and content["session_id"] == f"my-session-{action}"
    assert content["recommended_action"] == action and content["label"] == (label or content["label"])
    assert (content["score"] > 0.5) == (content["label"] == "likely_synthetic")
    kept = httpx2.get(f"{server.http}/v1/sessions/my-session-{action}").json()
    assert kept["audio"]["sha256"] == hashlib.sha256(audio).hexdigest() and kept["score"] == content["score"] and kept["kind"] == "deepfake"


@pytest.mark.parametrize("data", [{}, {"metadata": ""}, {"metadata": "{}"}, {"metadata": '{"session_id":null}'}])
def test_a_session_id_is_made_where_none_is_given(server: Server, data: dict[str, str]) -> None:
    first, second = ask(server, **data).json(), ask(server, **data).json()
    assert first["session_id"] != second["session_id"] and first["score"] == second["score"]


def test_metadata_may_come_as_a_file(server: Server) -> None:
    files = {"audio": ("a", REAL), "metadata": ("metadata.json", b'{"session_id":"filed"}', "application/json")}
    assert httpx2.post(server.http + PATH, files=files, timeout=30).json()["session_id"] == "filed"


def test_the_key_is_a_bearer(keyed: Server) -> None:
    for key in (None, "wrong", "x" + KEY):
        answer = ask(keyed, key=key)
        assert answer.status_code == 401 and answer.json().keys() == {"detail", "error", "code"} and answer.json()["code"] == "unauthorized"
    assert ask(keyed, key=KEY, metadata='{"session_id":"s1"}').status_code == 200
    assert httpx2.get(keyed.http + "/v1/sessions/s1").status_code == 401


AUDIO = ('name="audio"; filename="a.wav"', REAL)
REFUSED: dict[str, tuple[bytes, dict[str, str], str]] = {
    "no form": (REAL, {"content-type": "audio/wav"}, "wrong_content_type"),
    "JSON": (b"{}", {"content-type": "application/json"}, "wrong_content_type"),
    "no file": (form(('name="metadata"', b"{}")), MULTIPART, "bad_message"),
    "audio is text": (form(('name="audio"', REAL)), MULTIPART, "bad_message"),
    "another name": (form(('name="file"; filename="a"', REAL)), MULTIPART, "bad_message"),
    "10,000 parts": (form(*[(f'name="n{number}"', b"v") for number in range(10_000)]), MULTIPART, "bad_message"),
    "10,000 files": (form(*[('name="audio"; filename="a"', b"v")] * 10_000), MULTIPART, "bad_message"),
    "cut off": (form(AUDIO, end=False)[:-900], MULTIPART, "bad_message"),
    "empty file": (form(('name="audio"; filename="a"', b"")), MULTIPART, "empty_audio"),
    "not audio": (form(('name="audio"; filename="a"', b"a shopping list " * 50)), MULTIPART, "unsupported_audio"),
    "no speech": (form(('name="audio"; filename="a"', SILENT)), MULTIPART, "no_speech"),
    "metadata no JSON": (form(AUDIO, ('name="metadata"', b"session_id=1")), MULTIPART, "bad_json"),
    "metadata a list": (form(AUDIO, ('name="metadata"', b"[1]")), MULTIPART, "bad_field"),
    "metadata deep": (form(AUDIO, ('name="metadata"', b"[" * 4000)), MULTIPART, "bad_json"),
    "metadata NaN": (form(AUDIO, ('name="metadata"', b'{"a":NaN}')), MULTIPART, "bad_json"),
    "metadata twice a name": (form(AUDIO, ('name="metadata"', b'{"a":1,"a":2}')), MULTIPART, "bad_json"),
    "metadata not UTF-8": (form(AUDIO, ('name="metadata"; filename="m"', b'{"a":"\xff"}')), MULTIPART, "bad_utf8"),
    "metadata of 5 KB": (form(AUDIO, ('name="metadata"', b'{"a":"' + b"x" * 5000 + b'"}')), MULTIPART, "bad_field"),
    "session_id a number": (form(AUDIO, ('name="metadata"', b'{"session_id":5}')), MULTIPART, "bad_field"),
    "session_id empty": (form(AUDIO, ('name="metadata"', b'{"session_id":""}')), MULTIPART, "bad_field"),
    "session_id endless": (form(AUDIO, ('name="metadata"', b'{"session_id":"' + b"x" * 129 + b'"}')), MULTIPART, "bad_field"),
}


async def test_refusals_have_a_code_and_harm_nobody(server: Server, unharmed: Unharmed) -> None:
    async with unharmed(server), httpx2.AsyncClient(timeout=30) as http:
        for name, (body, headers, code) in REFUSED.items():
            answer = await http.post(server.http + PATH, content=body, headers=headers)
            content: dict[str, Any] = answer.json()
            assert (answer.status_code, content["code"]) == (STATUS[code].http, code), name
            assert content.keys() == {"detail", "error", "code"} and content["detail"] == content["error"], name


NAMES = ["../../../../etc/passwd", "/etc/passwd", "C:\\x.wav", "%2e%2e/x", "a\x01b", "x" * 4000, "'; drop table sessions"]


@pytest.mark.parametrize("file_name", NAMES)
def test_names_of_files_are_only_names(server: Server, tmp_path: Path, file_name: str) -> None:
    answer = httpx2.post(server.http + PATH, content=form((f'name="audio"; filename="{file_name}"', REAL)), headers=MULTIPART, timeout=30)
    assert answer.status_code == 200 and file_name not in answer.text
