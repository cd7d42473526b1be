"""The older contract (seed 003): `GET /`, `POST /analyze` and `WS /ws` with their own field names, error shapes and habits.

Pages of that time send data-URLs of WebM and call them `.wav`; a socket answers one message after another and survives every mistake.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
from typing import Any

import httpx2
import numpy as np
import pytest

from app.scoring.load import Detector
from tests.audio import media_file, sound_file
from tests.integration.conftest import Unharmed
from tests.integration.material import assert_same, encoded, outcome_here, outcome_of_rows, wav_of
from tests.integration.seed import about
from tests.integration.server import Server
from tests.integration.talk import S16, Talk, frame, raw, talk
from tests.integration.uploads import form
from tests.toy import voice

REAL, FAKE, SILENCE = voice(3.0, "bonafide"), voice(3.0, "spoof"), voice(3.0, "silence")
KEYS = {"classification", "confidence", "raw_score"}
LIVE = {"live": "1", "cluster_time_limit": "500"}


def packed(file: bytes) -> str:
    return base64.b64encode(file).decode()


def recorded(kind: str, container: str, codec: str) -> bytes:
    """As a browser's MediaRecorder writes it: 48 kHz, no sizes."""
    samples = voice(3.0, "spoof" if kind == "deepfake" else "bonafide", 48000)
    options = LIVE if container == "webm" else {"movflags": "frag_every_frame+empty_moov+default_base_moof"}
    return media_file(samples, 48000, container, codec, live=True, options=options)


async def ask(it: Talk, **fields: Any) -> dict[str, Any]:
    await it.send(json.dumps(fields))
    return json.loads(await asyncio.wait_for(it.connection.recv(), 30))


def judged(answer: dict[str, Any], classification: str) -> None:
    """Exactly three keys; the sign of the score is the answer, below zero real."""
    assert answer.keys() == KEYS
    assert answer["classification"] == classification
    assert 0.5 <= answer["confidence"] <= 1
    assert isinstance(answer["raw_score"], float) and math.isfinite(answer["raw_score"])
    assert (answer["raw_score"] > 0) == (classification == "deepfake")
    assert math.isclose(answer["confidence"], 1 / (1 + math.exp(-abs(answer["raw_score"]))), abs_tol=1e-5)


@pytest.mark.parametrize("accept", ["application/json", "*/*", None])
def test_the_root_tells_programs_what_the_seed_says(server: Server, accept: str | None) -> None:
    with httpx2.Client() as http:
        request = http.build_request("GET", server.http + "/", headers={"accept": accept} if accept else {})
        if accept is None:
            del request.headers["accept"]
        answer = http.send(request)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert answer.json() == about()


def test_the_root_gives_browsers_the_page(server: Server) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
    answer = httpx2.get(server.http + "/", headers={"accept": accept})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    assert answer.text.lower().startswith("<!doctype html>") and "accept" in answer.headers["vary"].lower()
    assert "script-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(("samples", "classification"), [(REAL, "real"), (FAKE, "deepfake")], ids=["real", "deepfake"])
@pytest.mark.parametrize("kind", ["WAV", "MP3", "FLAC", "OGG"])
def test_analyze(server: Server, samples: np.ndarray, classification: str, kind: str) -> None:
    answer = httpx2.post(server.http + "/analyze", files={"file": ("voice.mp3", sound_file(samples, kind=kind))}, timeout=30)
    assert answer.status_code == 200
    judged(answer.json(), classification)


async def test_analyze_says_the_session_s_own_score(server: Server, detector: Detector) -> None:
    """Both channels heard as one, as the contract knows no channels."""
    samples = np.hstack((FAKE, REAL))
    wanted = await outcome_here(sound_file(samples), detector, channel_mode="mix")
    answer = httpx2.post(server.http + "/analyze", files={"file": sound_file(samples)}, timeout=30).json()
    assert_same({"llr": answer["raw_score"]}, {"llr": wanted["llr"]})


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (form(('name="file"; filename="a"', b"no audio at all, but text")), {}, 415, "unsupported_audio"),
        (form(('name="file"; filename="a"', sound_file(SILENCE))), {}, 422, "no_speech"),
        (form(('name="file"; filename="a"', b"")), {}, 422, "empty_audio"),
        (form(('name="sound"; filename="a"', sound_file(REAL))), {}, 400, "bad_message"),
        (b"{", {"content-type": "application/json"}, 400, "bad_json"),
    ],
    ids=["not audio", "silence", "empty", "wrong field", "bad JSON"],
)
async def test_analyze_refuses_in_its_own_shape(
    server: Server, unharmed: Unharmed, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    async with unharmed(server), httpx2.AsyncClient(timeout=30) as http:
        answer = await http.post(server.http + "/analyze", content=body, headers={"content-type": "multipart/form-data; boundary=b", **headers})
        assert answer.status_code == status
        content = answer.json()
        assert content.keys() == {"detail", "error", "code"} and content["code"] == code
        assert content["error"] == content["detail"] and content["error"].startswith("Failed to process audio: ")


async def test_many_messages_on_one_socket(server: Server) -> None:
    async with talk(server.ws("/ws")) as it:
        for samples, classification in [(REAL, "real"), (FAKE, "deepfake"), (FAKE, "deepfake"), (REAL, "real")]:
            judged(await ask(it, audio_data=packed(sound_file(samples)), file_type=".wav"), classification)
        judged(await ask(it, audio_data=packed(sound_file(FAKE, kind="MP3")), file_type=".mp3"), "deepfake")


async def test_questions_sent_without_waiting_are_answered_in_order(server: Server) -> None:
    order = ["real", "deepfake", "real", "real", "deepfake"]
    async with talk(server.ws("/ws")) as it:
        await it.send(*(json.dumps({"audio_data": packed(sound_file(FAKE if each == "deepfake" else REAL))}) for each in order))
        answers = [json.loads(await asyncio.wait_for(it.connection.recv(), 30)) for _ in order]
    assert [answer["classification"] for answer in answers] == order


@pytest.mark.parametrize("classification", ["real", "deepfake"])
@pytest.mark.parametrize(("container", "codec", "claimed"), [("webm", "libopus", "audio/wav"), ("mp4", "aac", "audio/mp3"), ("webm", "libopus", "")])
async def test_what_browsers_record_under_any_name(server: Server, container: str, codec: str, claimed: str, classification: str) -> None:
    """A data-URL from FileReader, labelled `.wav`, that holds WebM or MP4."""
    url = f"data:{claimed};base64," + packed(recorded(classification, container, codec))
    async with talk(server.ws("/ws")) as it:
        judged(await ask(it, audio_data=url, file_type=".wav"), classification)


MISTAKES: dict[str, str | bytes] = {
    "not JSON": "hello",
    "a list": "[]",
    "no audio": "{}",
    "a number": '{"audio_data":5}',
    "null": '{"audio_data":null}',
    "rubbish": '{"audio_data":"%%%"}',
    "an empty string": '{"audio_data":""}',
    "an empty data-URL": '{"audio_data":"data:audio/wav;base64,"}',
    "not audio": json.dumps({"audio_data": packed(b"a shopping list " * 50)}),
    "no speech": json.dumps({"audio_data": packed(sound_file(SILENCE))}),
    "too short for a verdict": json.dumps({"audio_data": packed(sound_file(FAKE[:3000]))}),
    "empty text": "",
    "binary": sound_file(REAL),
    "deep": "[" * 50_000,
    "a stop": '{"type":"stop"}',
}


async def test_every_mistake_is_answered_and_the_socket_stays_open(server: Server, unharmed: Unharmed) -> None:
    async with unharmed(server), talk(server.ws("/ws")) as it:
        for name, mistake in MISTAKES.items():
            await it.send(mistake)
            answer = json.loads(await asyncio.wait_for(it.connection.recv(), 30))
            assert answer.keys() == {"error"} and answer["error"].startswith("Failed to process audio: "), name
        judged(await ask(it, audio_data=packed(sound_file(FAKE))), "deepfake")


async def test_a_file_of_eleven_megabytes_fits_into_a_message(server: Server) -> None:
    samples = np.tile(FAKE, (114, 1))
    async with talk(server.ws("/ws")) as it:
        text = packed(sound_file(samples))
        assert 14_000_000 < len(text) < 16_000_000
        judged(await ask(it, audio_data=text), "deepfake")


async def test_a_start_turns_the_socket_native(server: Server, detector: Detector) -> None:
    pcm = encoded(FAKE, "pcm_s16le")
    async with talk(server.ws("/ws"), subprotocols=["voxproof.v1", "token.x"]) as it:
        await it.send({"type": "start", "audio": S16})
        assert (await it.next())["type"] == "ready"
        await it.send(pcm, {"type": "stop"})
        assert await it.rest() == 1000
    assert_same(outcome_of_rows(it.rows), await outcome_here(wav_of(pcm, "pcm_s16le", 16000, 1), detector))


async def test_a_start_that_comes_later_is_a_mistake_like_others(server: Server) -> None:
    async with talk(server.ws("/ws")) as it:
        judged(await ask(it, audio_data=packed(sound_file(REAL))), "real")
        assert (await ask(it, type="start", audio=S16)).keys() == {"error"}
        judged(await ask(it, audio_data=packed(sound_file(FAKE))), "deepfake")


async def test_text_that_is_not_utf8(server: Server, unharmed: Unharmed) -> None:
    async with unharmed(server), raw(server.port, "/ws") as it:
        await it.write(frame(b'{"audio_data":"\xff"}', 1))
        rows, code = await it.rest()
        assert code == 1007 and [list(row) for row in rows] == [["error"]]
