"""Log lines: their two forms, what they know of a request, and that no secret ever stands in one."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import random
import secrets
import string
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app import logs
from app.service.keys import make_secret

Written = io.StringIO


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("test.logs")
    logger.propagate, logger.handlers = False, []
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.handlers = []


def listen(logger: logging.Logger, form: Any = "json", known: tuple[str, ...] = ()) -> Written:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.Lines(form, known))
    logger.handlers = [handler]
    return written


def test_json_lines(logger: logging.Logger) -> None:
    written = listen(logger)
    logger.info("hello %s", "you", extra={"status": 200, "nested": {"a": [1, None, True]}})
    line = json.loads(written.getvalue())
    assert list(line)[:4] == ["time", "level", "logger", "message"]
    assert line["time"].endswith("Z")
    assert {name: line[name] for name in line if name != "time"} == {
        "level": "info", "logger": "test.logs", "message": "hello you", "status": 200, "nested": {"a": [1, None, True]},
    }  # fmt: skip


def test_text_lines(logger: logging.Logger) -> None:
    written = listen(logger, "text")
    logger.error("no %s", "luck", extra={"status": 500, "code": None})
    assert written.getvalue().split(" ", 1)[1] == "ERROR test.logs: no luck status=500\n"


@pytest.mark.parametrize("form", ["json", "text"])
def test_one_line_a_record_whatever_is_in_it(logger: logging.Logger, form: str) -> None:
    written = listen(logger, form)
    logger.info("forged", extra={"route": "x\n2026 ERROR app: forged"})
    assert len(written.getvalue().splitlines()) == 1 and "forged" in written.getvalue()


@pytest.mark.parametrize("form", ["json", "text"])
def test_tracebacks_are_there_and_clean(logger: logging.Logger, form: str) -> None:
    written = listen(logger, form)
    try:
        raise ValueError("the header was 'Authorization: Bearer s3cr3t-s3cr3t'")
    except ValueError:
        logger.exception("failed")
    assert "Traceback" in written.getvalue() and "ValueError" in written.getvalue()
    assert "s3cr3t" not in written.getvalue()


async def test_what_is_bound_stays_in_its_task(logger: logging.Logger) -> None:
    written = listen(logger)

    async def serve(number: int) -> None:
        logs.bind(request_id=f"r{number}")
        await asyncio.sleep(0)
        logs.bind(session_id=f"s{number}")
        await asyncio.sleep(0)
        logger.info("%d", number)

    await asyncio.gather(*(serve(n) for n in range(5)))
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert sorted((line["message"], line["request_id"], line["session_id"]) for line in lines) == [(str(n), f"r{n}", f"s{n}") for n in range(5)]


def test_uvicorn_speaks_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    root, kept = logging.getLogger(), list(logging.getLogger().handlers)
    level = root.level
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    try:
        logs.configure("info", "auto")
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.", extra={"color_message": "x"})
        logging.getLogger("uvicorn.error").info("Started server process")
    finally:
        root.handlers, root.level = kept, level
    (line,) = [json.loads(each) for each in written.getvalue().splitlines()]
    assert (line["logger"], line["level"], line["message"]) == ("uvicorn.error", "warning", "Invalid HTTP request received.")
    assert "color_message" not in line


# --- secrets

PLAIN = string.ascii_letters + string.digits + "-_."
secret_texts = st.text(PLAIN, min_size=8, max_size=60).filter(lambda text: any(each.isalnum() for each in text))
CARRIERS = (
    "Authorization: Bearer {}", "authorization: bearer {}", "Authorization: Basic {}", "X-API-Key: {}", '{{"api_key": "{}"}}', "{{'token': '{}'}}",
    "password={}", "resume_token={}", "GET /v1/stream?token={} 200", "/ws?a=1&key={}", "postgresql://user:{}@host/db", "redis://:{}@127.0.0.1:6379/0",
    "Sec-WebSocket-Protocol: voxproof.v1, token.{}", "Cookie: session={}", "client_secret = {}", "webhook-signature: v1,{}",
)  # fmt: skip


@given(secret=secret_texts, carrier=st.sampled_from(CARRIERS), before=st.text(max_size=20), after=st.sampled_from(["", " ", '"', " and more", "\n"]))
def test_no_secret_gets_out_however_it_travels(secret: str, carrier: str, before: str, after: str) -> None:
    assume(secret not in before + carrier)
    assert secret not in logs.redacted(before + " " + carrier.format(secret) + after)


@given(secret=secret_texts, name=st.sampled_from(["token", "api_key", "Authorization", "resume_token", "webhook_secret", "X-API-Key", "password"]))
def test_no_secret_gets_out_of_a_field(secret: str, name: str) -> None:
    assert logs.redacted({name: secret, "list": [{name: [secret]}]}) == {name: logs.GONE, "list": [{name: logs.GONE}]}


@given(st.data())
def test_no_secret_gets_out_of_a_line(data: st.DataObject) -> None:
    """One of our keys, a token, a resume token or the key of the environment, anywhere in a record."""
    own = data.draw(st.text(PLAIN + "$!#", min_size=4, max_size=30).filter(lambda text: any(each not in "redact[]" for each in text)))
    secret = data.draw(st.sampled_from([make_secret(), own]))
    where = data.draw(st.sampled_from(["message", "argument", "extra", "exception", "bound"]))
    logger = logging.getLogger("test.logs.property")
    logger.propagate, logger.level = False, logging.DEBUG
    written = listen(logger, data.draw(st.sampled_from(["json", "text"])), (own,))
    around = f"«{secret}»"
    if where == "message":
        logger.info(around)
    elif where == "argument":
        logger.info("%s", [around])
    elif where == "extra":
        logger.info("plain", extra={"facts": {"deep": (around,)}})
    elif where == "bound":
        logs.bind(fact=around)
        logger.info("plain")
        logs.bind(fact=None)
    else:
        try:
            raise RuntimeError(around)
        except RuntimeError:
            logger.exception("failed")
    assert f"«{secret}»" not in written.getvalue() and logs.GONE in written.getvalue()


def test_a_long_text_costs_no_more_than_its_length() -> None:
    began = time.process_time()
    for text in ("token" * 40_000, "token " * 30_000, "://a@" * 30_000, "?a" * 50_000, "vp_" * 40_000):
        logs.redacted(text)
    assert time.process_time() - began < 5, "two minutes where it is quadratic"


def test_random_words_go_even_where_nothing_announces_them(monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random(4)
    monkeypatch.setattr(secrets, "token_bytes", source.randbytes)
    kept = [text for text in (secrets.token_urlsafe(24) for _ in range(5000)) if text in logs.redacted(f"it is {text}.")]
    assert len(kept) < 10  # a guess by looks: what announces itself is found for certain, by the tests above


@pytest.mark.parametrize(
    "text",
    [
        "session 4bc3a57147eae07d25d2e0471bccce63 ended", "6d2f3c1e-0b7a-4c55-9a51-0c6ee0f4d1aa",
        "eb088378991a3580cfd5e4b4e2d4888aa175dd8d97296293c35d174f88ae7e29",
        "WebSocketsSansIOProtocol", "test_a_model_problem_is_one_line_and_exit_2", "/v1/sessions/{id}", "http://127.0.0.1:8000/v1/detect",
        "the answer is 42 = 6 * 7", "app.service.decoder_pool", "The token is not valid.", "No keys are configured; localhost or 127.0.0.1.",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert logs.redacted(text) == text
