"""Uploads that are no audio, claim the impossible, are malformed, too large or too slow: each gets its code, in the problem shape, in time.

What a decoder makes of damaged files is unit-tested; here it is the whole way through a server that goes on serving others.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import struct
import time
import zipfile
from collections.abc import AsyncIterator

import httpx2
import numpy as np
import pytest

from app.status import STATUS
from tests.audio import recorder_webm, sound_file, wav, wav_format
from tests.integration.conftest import Unharmed
from tests.integration.server import Server
from tests.integration.talk import Row
from tests.integration.uploads import form, post
from tests.toy import voice

GOOD = sound_file(voice(2.0))
MULTIPART = {"content-type": "multipart/form-data; boundary=b"}
JSON = {"content-type": "application/json"}


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("clip.wav", GOOD)
    return out.getvalue()


def claiming(channels: int, rate: int, length: int) -> bytes:
    """A WAV of a few real samples whose header says otherwise."""
    return (
        struct.pack("<4sI4s", b"RIFF", 0xFFFFFFFF, b"WAVE") + wav_format(1, channels, rate, 16) + struct.pack("<4sI", b"data", length) + b"\1\0" * 800
    )


def floats(*values: float) -> bytes:
    samples = (voice(2.0)[:, 0] / 32768).astype(np.float32)
    samples[8000 : 8000 + len(values)] = values
    return sound_file(samples, subtype="FLOAT")


REFUSED: dict[str, tuple[bytes, str]] = {
    "text": (b"This is a shopping list, not a recording.\n" * 100, "unsupported_audio"),
    "random bytes": (np.random.default_rng(5).bytes(50_000), "unsupported_audio"),
    "zip": (zipped(), "unsupported_audio"),
    "ELF": (b"\x7fELF\x02\x01\x01" + bytes(5000), "unsupported_audio"),
    "playlist": (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "unsupported_audio"),
    "SDP": (b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n", "unsupported_audio"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(200), "unsupported_audio"),
    "empty": (b"", "empty_audio"),
    "one byte": (b"R", "unsupported_audio"),
    "a WAV header and no more": (wav(voice(1.0))[:44], "unusable_audio"),
    "half a WAV header": (GOOD[:20], "unusable_audio"),
    "no samples": (sound_file(voice(0.0)), "empty_audio"),
    "4 billion Hz": (claiming(1, 4_000_000_000, 1600), "unsupported_audio"),
    "500 channels": (claiming(500, 16000, 1600), "unsupported_audio"),
    "no channels": (claiming(0, 16000, 1600), "unusable_audio"),
    "4 kHz": (sound_file(voice(2.0, rate=4000), 4000), "unsupported_audio"),
    "a WebM header and no more": (recorder_webm(1.0)[:120], "unusable_audio"),
    "a WebM without its head": (recorder_webm(2.0)[600:], "unsupported_audio"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_no_usable_audio(server: Server, unharmed: Unharmed, name: str) -> None:
    file, code = REFUSED[name]
    async with unharmed(server), httpx2.AsyncClient(base_url=server.http, timeout=30) as http:
        answers = [
            await http.post("/v1/detect", content=file),
            await http.post("/v1/detect", files={"file": ("voice.wav", file, "audio/wav")}),
            await http.post("/v1/detect", json={"audio_base64": base64.b64encode(file).decode()}),
        ]
        for answer in answers:
            problem_of(answer, code)


USABLE: dict[str, tuple[bytes, int, set[str]]] = {
    "4 GB claimed": (claiming(1, 16000, 0xFFFFFFFE), 50, set()),  # what a recorder writes that does not know the length yet
    "1 GB claimed": (claiming(1, 16000, 1 << 30), 50, {"truncated"}),
    "truncated WAV": (GOOD[:40_001], 1248, {"truncated"}),
    "truncated FLAC": (sound_file(voice(2.0), kind="FLAC")[:20_000], 0, {"truncated"}),
    "truncated WebM": (recorder_webm(2.0)[:6000], 0, set()),
    "NaN": (floats(float("nan"), float("inf"), float("-inf")), 2000, {"non_finite_audio"}),
    "enormous": (floats(3e38, -3e38), 2000, set()),
}


@pytest.mark.parametrize("name", USABLE)
async def test_damaged_audio_is_used_as_far_as_it_goes(server: Server, unharmed: Unharmed, name: str) -> None:
    file, duration_ms, warnings = USABLE[name]
    async with unharmed(server), httpx2.AsyncClient(base_url=server.http, timeout=30) as http:
        answer = await http.post("/v1/detect", content=file)
        assert answer.status_code == 200, answer.text
        content = answer.json()
        assert content["duration_ms"] == duration_ms if duration_ms else 300 < content["duration_ms"] < 2000
        assert warnings <= {warning["code"] for warning in content["warnings"]}
        assert content["llr"] is None or abs(content["llr"]) < 100


FORMS: dict[str, tuple[bytes, dict[str, str], str]] = {
    "no file": (form(('name="other"', b"x")), MULTIPART, "bad_message"),
    "file is text": (form(('name="file"', GOOD)), MULTIPART, "bad_message"),
    "two files": (form(('name="file"; filename="a"', GOOD), ('name="file"; filename="b"', GOOD)), MULTIPART, "bad_message"),
    "10,000 parts": (form(*[(f'name="n{number}"', b"v") for number in range(10_000)]), MULTIPART, "bad_message"),
    "no parts": (b"--b--\r\n", MULTIPART, "bad_message"),
    "no body": (b"", MULTIPART, "bad_message"),
    "no boundary": (form(('name="file"; filename="a"', GOOD)), {"content-type": "multipart/form-data"}, "bad_message"),
    "another boundary": (form(('name="file"; filename="a"', GOOD)), {"content-type": "multipart/form-data; boundary=zzz"}, "bad_message"),
    "an endless boundary": (form(('name="file"; filename="a"', GOOD)), {"content-type": "multipart/form-data; boundary=" + "b" * 300}, "bad_message"),
    "cut off": (form(('name="file"; filename="a"', GOOD), end=False)[:-900], MULTIPART, "bad_message"),
    "no headers": (b"--b\r\n\r\nxx\r\n--b--\r\n", MULTIPART, "bad_message"),
    "no name": (form(('filename="a"', GOOD)), MULTIPART, "bad_message"),
    "not multipart": (b"hello", MULTIPART, "bad_message"),
    "empty file": (form(('name="file"; filename="a"', b"")), MULTIPART, "empty_audio"),
    "charset undefined": (
        form(('name="file"; filename="a"', GOOD)),
        {"content-type": "multipart/form-data; boundary=b; charset=undefined"},
        "bad_message",
    ),
    "charset punycode": (
        form(('name="file"; filename="ä"', GOOD)),
        {"content-type": "multipart/form-data; boundary=b; charset=punycode"},
        "bad_message",
    ),
    "bad JSON": (b"{", JSON, "bad_json"),
    "deep JSON": (b"[" * 100_000, JSON, "bad_json"),
    "JSON of bytes": (b"\xff\x00\xfe", JSON, "bad_utf8"),
    "JSON list": (b"[]", JSON, "bad_message"),
    "JSON without audio": (b'{"audio":"x"}', JSON, "bad_field"),
    "JSON number": (b'{"audio_base64":5}', {"content-type": "application/json; charset=utf-8"}, "bad_field"),
    "JSON rubbish": (b'{"audio_base64":"%%%"}', JSON, "bad_base64"),
    "JSON surrogate": (b'{"audio_base64":"\\ud800"}', JSON, "bad_json"),
    "JSON empty": (b'{"audio_base64":""}', JSON, "empty_audio"),
}


@pytest.mark.parametrize("name", FORMS)
async def test_a_malformed_body(server: Server, unharmed: Unharmed, name: str) -> None:
    body, headers, code = FORMS[name]
    async with unharmed(server), httpx2.AsyncClient(base_url=server.http, timeout=30) as http:
        problem_of(await http.post("/v1/detect", content=body, headers=headers), code)


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd", "C:\\\\windows\\\\x", "", "a" * 1000, "\xff\xfe", "x.wav\x00.exe", "%00", 'a\\"b', "; filename*=UTF-8''%ff", "🎤.wav"],
)
async def test_file_names_mean_nothing(server: Server, name: str) -> None:
    wanted = httpx2.post(server.http + "/v1/detect", content=GOOD, timeout=30).json()
    raw_name = name.encode("utf-8").decode("latin-1")
    answer = httpx2.post(server.http + "/v1/detect", content=form((f'name="file"; filename="{raw_name}"', GOOD)), headers=MULTIPART, timeout=30)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["sha256"], answer.json()["llr"]) == (wanted["sha256"], wanted["llr"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("threshold=nan", "config.threshold"),
        ("hop_seconds=0", "config.hop_seconds"),
        ("profile=mild", "config.profile"),
        ("interim=7", "config.interim"),
    ],
)
async def test_a_bad_query(server: Server, query: str, field: str) -> None:
    answer = httpx2.post(f"{server.http}/v1/detect?{query}", content=GOOD, timeout=30)
    assert problem_of(answer, "bad_config")["field"] == field


async def test_an_unknown_query_field_is_told(server: Server) -> None:
    answer = httpx2.post(server.http + "/v1/detect?profil=strict", content=GOOD, timeout=30)
    problem_of(answer, "bad_field")
    assert answer.json()["field"] == "profil" and "profile" in answer.json()["detail"]


async def endless(piece: bytes, total: int, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(total // len(piece)):
        yield piece
        if pause_s:
            await asyncio.sleep(pause_s)  # the slowness is the test


@pytest.mark.parametrize("kind", ["application/octet-stream", "multipart/form-data; boundary=b", "application/json"])
async def test_too_large_is_refused_before_it_is_read(hasty: Server, unharmed: Unharmed, kind: str) -> None:
    """200 MB in chunks, whose length nobody says: the limit is 1 MB, and the answer comes when that is passed."""

    async def body() -> AsyncIterator[bytes]:
        if kind.startswith("multipart"):
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        async for piece in endless(b"A" * 50_000, 200_000_000):
            yield piece

    async with unharmed(hasty):
        before = hasty.memory_bytes()
        answer = await post(hasty, "/v1/detect", [f"Content-Type: {kind}"], body(), chunked=True)
        assert answer.status == 413 and answer.content["code"] == "upload_too_large"
        assert answer.sent < 20_000_000  # what the kernels hold, and no more
        assert hasty.memory_bytes() - before < 30_000_000


async def test_too_large_by_its_own_word(hasty: Server) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    started = time.monotonic()
    answer = await post(hasty, "/v1/detect", ["Content-Length: 999999999999", "Expect: 100-continue"], nothing(), chunked=False)
    assert (answer.status, answer.content["code"], answer.sent) == (413, "upload_too_large", 0)
    assert time.monotonic() - started < 1


async def test_an_upload_slower_than_the_limit(hasty: Server, unharmed: Unharmed) -> None:
    async with unharmed(hasty):
        started = time.monotonic()
        answer = await post(hasty, "/v1/detect", ["Content-Type: audio/wav"], endless(b"RIFF", 4000, 0.05), chunked=True)
        assert answer.status == 408 and answer.content["code"] == "upload_too_slow" and answer.content["retryable"] is True
        assert answer.headers["connection"] == "close"  # the rest may never come
        assert 0.9 < time.monotonic() - started < 5


async def test_an_upload_that_breaks_off(server: Server, unharmed: Unharmed) -> None:
    async with unharmed(server):
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"POST /v1/detect HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n" + GOOD[:5000])
            await writer.drain()
            writer.transport.abort()


async def test_too_many_seconds(hasty: Server) -> None:
    long = sound_file(np.zeros(16000 * 21, np.int16), kind="FLAC")
    assert len(long) < 1_000_000
    problem_of(httpx2.post(hasty.http + "/v1/detect", content=long, timeout=30), "audio_too_long")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("GET", "/v1/detect", 405, "method_not_allowed"), ("DELETE", "/v1/tokens", 405, "method_not_allowed"),
     ("GET", "/v1/stream", 426, "upgrade_required"), ("GET", "/static/%00", 404, "not_found"),
     ("POST", "/v1/detect/", 404, "not_found"),
     ("GET", "/static/..%2fapp%2fmain.py", 404, "not_found"),
     ("POST", "/static/js/main.js", 405, "method_not_allowed")],
)  # fmt: skip
def test_addresses_and_methods(server: Server, method: str, path: str, status: int, code: str) -> None:
    answer = httpx2.request(method, server.http + path, timeout=30)
    assert answer.status_code == status
    problem_of(answer, code)
    if path == "/v1/detect":
        assert answer.headers["allow"] == "OPTIONS, POST"


def problem_of(answer: httpx2.Response, code: str) -> Row:
    """RFC 9457, with our code and the table's status."""
    assert answer.status_code == STATUS[code].http, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content: Row = json.loads(answer.text)
    assert content["type"] == f"/docs#error-{code}" and content["code"] == code
    assert content["status"] == STATUS[code].http and content["retryable"] is STATUS[code].retryable
    assert content["detail"] and content["title"] and content["request_id"]
    return content
