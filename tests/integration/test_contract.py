"""Real answers of every route, and real traffic of the sockets, against the documents the same server gives out.

Schemas forbid what they do not name, so a field that is answered and not documented fails as well as one that is missing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest

from app.core import pcm
from tests.documents import answer_problems, operation_of, problems
from tests.integration.material import wav_of
from tests.integration.server import Server
from tests.integration.talk import S16, Row, Talk, talk
from tests.toy import voice

WAV = wav_of(voice(3.0, "spoof").tobytes(), "pcm_s16le", 16000, 1)
BASE64 = base64.b64encode(WAV).decode()


class Client:
    """Asks, and holds each answer against the document."""

    def __init__(self, http: httpx2.Client, key: str) -> None:
        self._http, self.key = http, {"Authorization": f"Bearer {key}"}
        self.openapi = http.get("/openapi.json").json()
        self.seen: set[tuple[str, str, int]] = set()

    def ask(self, method: str, path: str, status: int, **options: Any) -> httpx2.Response:
        answer = self._http.request(method, path, **{"headers": self.key, **options})
        assert answer.status_code == status, answer.text
        template, operation = operation_of(self.openapi, method, path.partition("?")[0])
        content = answer.json() if answer.headers.get("content-type", "").split(";")[0].endswith("json") else None
        found = answer_problems(self.openapi, operation, status, answer.headers, answer.text, content)
        assert found == [], (method, path, status, found)
        if "X-RateLimit-Limit" in operation["responses"].get("200", {}).get("headers", {}):
            assert int(answer.headers["x-ratelimit-remaining"]) < int(answer.headers["x-ratelimit-limit"])
        self.seen.add((method, template, status))
        return answer


@pytest.fixture(scope="module")
def client(documented: tuple[Server, str]) -> Iterator[Client]:
    server, key = documented
    with httpx2.Client(base_url=server.http, timeout=30) as http:
        yield Client(http, key)


def test_every_route_answers_as_documented(client: Client) -> None:
    ask = client.ask
    for path in ("/", "/livez", "/startupz", "/readyz", "/health", "/openapi.json", "/asyncapi.json", "/docs", "/model", "/model/card.json"):
        ask("GET", path, 200, headers={"Accept": "*/*"})
    ask("GET", "/", 200, headers={"Accept": "text/html"})
    ask("GET", "/readyz?verbose=true", 200)
    ask("GET", "/readyz?verbose", 401, headers={})
    ask("GET", "/metrics", 200)
    ask("GET", "/metrics", 200, headers={**client.key, "Accept": "application/openmetrics-text"})
    ask("GET", "/metrics", 401, headers={})

    ask("POST", "/v1/detect?detail=full&profile=strict", 200, content=WAV)
    ask("POST", "/v1/detect", 200, files={"file": WAV})
    ask("POST", "/v1/detect", 200, json={"audio_base64": BASE64})
    ask("POST", "/v1/detect", 200, content=wav_of(voice(1.0, "silence").tobytes(), "pcm_s16le", 16000, 1))
    ask("POST", "/v1/detect", 401, headers={}, content=WAV)
    ask("POST", "/v1/detect", 401, headers={"X-API-Key": "wrong"}, content=WAV)
    ask("POST", "/v1/detect", 415, content=b"this is no sound")
    ask("POST", "/v1/detect", 422, content=b"")
    ask("POST", "/v1/detect", 400, json={"audio_base64": "%%%"})
    ask("POST", "/v1/detect", 422, json={"audio_base64": BASE64, "profile": "fast"})
    ask("POST", "/v1/detect", 400, headers={**client.key, "Content-Type": "application/json"}, content=b'{"audio_base64":"","audio_base64":""}')
    ask("POST", "/v1/detect?threshold=7", 400, content=WAV)
    ask("POST", "/v1/detect?profle=fast", 422, content=WAV)

    ask("POST", "/analyze", 200, files={"file": WAV})
    ask("POST", "/analyze", 415, content=b"this is no sound")
    ask("POST", "/analyze", 401, headers={}, content=WAV)
    ask("POST", "/detect", 200, json={"audio_base64": BASE64, "language": "tamil"})
    ask("POST", "/detect", 422, json={"audio_base64": BASE64, "language": "latin"})
    ask("POST", "/detect", 422, json={"audio_base64": "%%%", "language": "hindi"})
    ask("POST", "/detect", 403, headers={}, json={"audio_base64": BASE64, "language": "hindi"})
    ask(
        "POST",
        "/detect",
        400,
        json={"audio_base64": base64.b64encode(wav_of(voice(0.5).tobytes(), "pcm_s16le", 16000, 1)).decode(), "language": "hindi"},
    )

    made = ask("POST", "/v1/tokens", 201, json={"expires_in_seconds": 10}).json()
    ask("POST", "/v1/tokens", 403, headers={"Authorization": f"Bearer {made['token']}"}, json={})
    ask("POST", "/v1/tokens", 422, json={"expires_in_seconds": 5})
    ask("POST", "/v1/tokens", 415, content=b"{}")


def test_sessions_and_reports_answer_as_documented(client: Client) -> None:
    ask = client.ask
    ask("POST", "/v1/voice/deepfake", 200, files={"audio": WAV}, data={"metadata": '{"session_id": "contract-1"}'})
    ask("POST", "/v1/voice/deepfake", 400, files={"file": WAV})
    ask("POST", "/v1/voice/deepfake", 401, headers={}, files={"audio": WAV})
    ask("GET", "/v1/sessions/contract-1", 200)
    ask("GET", "/v1/sessions/nobody", 404)

    report = {"session_id": "contract-1", "decision": "review", "reason": "A voice that is not hers."}
    case = ask("POST", "/v1/reports/sar", 201, json=report).json()["case_id"]
    ask("POST", "/v1/reports/sar", 200, json=report)
    ask("POST", "/v1/reports/sar", 422, json={**report, "decision": "perhaps"})
    ask("POST", "/v1/reports/sar", 401, headers={}, json=report)
    ask("POST", "/v1/reports/sar", 201, files={"audio": WAV}, data={**report, "session_id": "contract-2"})
    ask("POST", "/v1/reports/sar", 415, files={"audio": b"no sound"}, data={**report, "session_id": "contract-3"})
    ask("GET", "/v1/reports/sar", 200)
    ask("GET", "/v1/reports/sar?limit=0", 422)
    ask("GET", f"/v1/reports/sar/{case}", 200)
    ask("GET", "/v1/reports/sar/nobody", 404)
    for kind in ("json", "csv", "html"):
        ask("GET", f"/v1/reports/sar/{case}/export?format={kind}", 200)
        ask("GET", f"/v1/reports/sar/export?format={'jsonl' if kind == 'json' else kind}", 200)
    ask("GET", f"/v1/reports/sar/{case}/audio", 404)
    other = ask("GET", "/v1/reports/sar", 200).json()["cases"][0]["case_id"]
    ask("GET", f"/v1/reports/sar/{other}/audio", 200)


def test_webhooks_answer_as_documented(client: Client) -> None:
    ask = client.ask
    made = ask("POST", "/v1/webhooks", 201, json={"url": "http://127.0.0.1:9/", "events": ["session.finished"]}).json()
    ask("POST", "/v1/webhooks", 422, json={"url": "https://10.0.0.1/", "events": ["session.finished"]})
    ask("GET", "/v1/webhooks", 200)
    ask("POST", f"/v1/webhooks/{made['id']}/test", 200)
    ask("POST", "/v1/webhooks/nobody/test", 404)
    ask("DELETE", f"/v1/webhooks/{made['id']}", 204)
    ask("DELETE", f"/v1/webhooks/{made['id']}", 404)


def test_no_route_was_left_out(client: Client) -> None:
    """After the tests above; each operation has answered well, and most have refused."""
    good = {(method, path) for method, path, status in client.seen if status < 400}
    every = {(method.upper(), path) for path, methods in client.openapi["paths"].items() for method in methods}
    assert every - good == set()


# --- sockets ------------------------------------------------------------------------------------------------


class Recorder:
    """Both directions of sockets, by message name, checked as they are noted."""

    def __init__(self, server: Server, key: str) -> None:
        self.server, self.key = server, key
        self.headers = {"Authorization": f"Bearer {key}"}
        self.asyncapi = httpx2.get(server.http + "/asyncapi.json").json()
        self.seen: set[str] = set()

    def check(self, name: str, action: str, row: Row) -> None:
        references = self.asyncapi["operations"][f"{name}.{action}"]["messages"]
        messages = [self.asyncapi["components"]["messages"][each["$ref"].rpartition("/")[2]] for each in references]
        fitting = [message["name"] for message in messages if "type" not in row or message["name"] == row["type"]]
        fitting = [each["name"] for each in messages if each["name"] in fitting and not problems(self.asyncapi, each["payload"], row)]
        assert len(fitting) == 1, (
            name,
            action,
            row,
            [problems(self.asyncapi, each["payload"], row) for each in messages if each["name"] == row.get("type")],
        )
        self.seen.add(f"{action} {fitting[0]}")


@pytest.fixture(scope="module")
def recorder(documented: tuple[Server, str]) -> Recorder:
    return Recorder(*documented)


async def spoken(recorder: Recorder, *messages: bytes | Row, audio: Row = S16, **start: Any) -> Talk:
    async with talk(recorder.server.ws(), additional_headers=recorder.headers) as it:
        for message in [{"type": "start", "audio": audio, **start}, *messages]:
            if isinstance(message, dict) and message.get("type") != "nonsense":
                recorder.check("stream", "receive", message)
            await it.send(message)
        await it.rest()
        for row in it.rows:
            recorder.check("stream", "send", row)
        return it


async def test_live_traffic_is_as_documented(recorder: Recorder) -> None:
    """Every message of both directions that can be had from a healthy server, in one session and a few short ones."""
    loud = np.clip(voice(4.0, "spoof").astype(np.int32) * 4, -32768, 32767).astype(np.int16).tobytes()
    it = await spoken(
        recorder, loud[:80_000], {"type": "audio", "data": base64.b64encode(loud[80_000:]).decode(), "seq": 1}, {"type": "keepalive"},
        {"type": "finalize", "id": "f1"}, {"type": "update", "config": {"profile": "fast"}}, {"type": "nonsense"},
        {"type": "update", "config": {"hop_seconds": 1}},
        voice(6.0, "bonafide").tobytes(), voice(2.0, "silence").tobytes(), {"type": "finalize"}, {"type": "stop"},
        config={"detail": "full", "profile": "balanced"}, metadata={"call": 17}, unheard_of=1,
    )  # fmt: skip
    assert it.rows[0]["unknown_fields"] == ["unheard_of"]
    two = np.repeat(voice(2.0, "spoof"), 2, axis=1).tobytes()
    await spoken(recorder, two, {"type": "stop"}, audio={**S16, "channels": 2, "channel_labels": ["agent", "caller"]})
    await spoken(recorder, audio={"encoding": "mulaw", "sample_rate": 8000}, resume={"session_id": "x", "resume_token": "y", "last_seq": 3})
    wanted = {f"send {kind}" for kind in ("ready", "segment", "verdict", "alert", "ack", "warning", "finalized", "updated", "error", "done")}
    wanted |= {f"receive {kind}" for kind in ("start", "audio", "keepalive", "finalize", "update", "stop")}
    assert wanted <= recorder.seen, wanted - recorder.seen


async def test_the_older_socket_is_as_documented(recorder: Recorder) -> None:
    async with talk(recorder.server.ws("/ws"), additional_headers=recorder.headers) as it:
        for message in ({"audio_data": BASE64, "file_type": "audio/wav"}, {"audio_data": "%%%"}):
            recorder.check("ws", "receive", message)
            await it.send(message)
            recorder.check("ws", "send", json.loads(await it.connection.recv()))
    assert {"send TwoClass", "send FileError"} <= recorder.seen


def twilio(token: str) -> Iterator[Row]:
    levels = pcm.decode(bytes(range(256)), "mulaw", 1)[0]
    call = np.abs(voice(2.0, "spoof", 8000).reshape(-1, 1) - levels).argmin(axis=1).astype(np.uint8).tobytes()
    yield {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    start = {"streamSid": "MZ1", "callSid": "CA1", "accountSid": "AC1", "tracks": ["inbound"],
             "customParameters": {"token": token, "replies": "true"},
             "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}}  # fmt: skip
    yield {"event": "start", "sequenceNumber": "1", "start": start, "streamSid": "MZ1"}
    for i in range(0, len(call), 160):
        media = {"track": "inbound", "chunk": str(i // 160 + 1), "timestamp": str(i // 8), "payload": base64.b64encode(call[i : i + 160]).decode()}
        yield {"event": "media", "sequenceNumber": str(i // 160 + 2), "media": media, "streamSid": "MZ1"}
    yield {"event": "stop", "sequenceNumber": str(len(call) // 160 + 2), "streamSid": "MZ1"}


async def test_a_phone_call_is_as_documented(recorder: Recorder) -> None:
    token = httpx2.post(recorder.server.http + "/v1/tokens", headers=recorder.headers, json={}).json()["token"]
    async with talk(recorder.server.ws("/v1/twilio")) as it:
        for message in twilio(token):
            recorder.check("twilio", "receive", message)
            await it.send(message)
        await it.rest()
    assert it.rows and it.rows[-1]["type"] == "done"
    for row in it.rows:
        recorder.check("twilio", "send", row)
