"""JSON bodies, read strictly: each thing that is wrong has its error, and whatever is right comes through as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.core.errors import BadField, BadJson, BadMessage, BadUtf8, VoxproofError, WrongContentType
from app.settings import Settings
from app.web.body import MAX_DEPTH, Body, check_content_type, parse_json, parsed, read_json
from app.web.errors import on_voxproof_error

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


class Part(Body):
    size: int


class Order(Body):
    name: str = Field(max_length=5)
    parts: list[Part] = Field(default=[])


@given(JSON)
def test_honest_json_comes_through(content: Any) -> None:
    assert parse_json(json.dumps(content, ensure_ascii=False).encode()) == content


@given(st.binary(max_size=60))
def test_other_bytes_are_refused_or_read_but_never_a_bug(data: bytes) -> None:
    try:
        parsed(data, Order)
    except VoxproofError as exc:
        assert exc.code in ("bad_json", "bad_utf8", "bad_message", "bad_field")


@pytest.mark.parametrize(
    ("text", "error", "field"),
    [
        (b"", BadJson, None),
        (b'{"name":"a"', BadJson, None),
        (b'{"name":NaN}', BadJson, None),
        (b'{"name":"a","parts":-Infinity}', BadJson, None),
        (b'{"name":1e999}', BadJson, None),
        (b'{"name":' + b"9" * 5000 + b"}", BadJson, None),
        (b'{"name":"a","name":"b"}', BadJson, None),
        (b'{"name":"a","parts":[{"size":1,"size":2}]}', BadJson, None),
        (b'{"name":"\\u0000"}', BadJson, None),
        (b'{"name":"\\ud800"}', BadJson, None),
        (b'\xef\xbb\xbf{"name":"a"}', BadJson, None),
        ('{"name":"a"}'.encode("utf-16"), BadUtf8, None),
        (b'{"name":"\xff"}', BadUtf8, None),
        (b'["name"]', BadMessage, None),
        (b"{}", BadField, "name"),
        (b'{"name":7}', BadField, "name"),
        (b'{"name":"abcdef"}', BadField, "name"),
        (b'{"name":"a","other":1}', BadField, "other"),
        (b'{"name":"a","parts":[{"size":1},{"size":"2"}]}', BadField, "parts.1.size"),
        (b'{"name":"a","' + b"x" * 500 + b'":1}', BadField, "x" * 64),
    ],
)
def test_what_is_wrong_has_its_error(text: bytes, error: type[VoxproofError], field: str | None) -> None:
    with pytest.raises(error) as caught:
        parsed(text, Order)
    assert type(caught.value) is error and caught.value.field == field


def test_depth_is_bounded_where_it_is_said_and_far_beyond() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 10_000, 200_000):
        with pytest.raises(BadJson, match="deeper"):
            parse_json(b"[" * depth + b"]" * depth)
        with pytest.raises(BadJson, match="deeper"):
            parse_json(b'{"a":' * depth + b"1" + b"}" * depth)


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(BadField) as caught:
        parsed(b'{"name":"secret!"}', Order)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ('application/json;charset="utf-8"', True),
        ("application/json; charset=latin-1", False),
        ("application/json5", False),
        ("text/plain", False),
        ("", False),
    ],
)
def test_content_type(kind: str, good: bool) -> None:
    request = Request({"type": "http", "headers": [(b"content-type", kind.encode())]})
    if good:
        assert check_content_type(request, "application/json") == "application/json"
    else:
        with pytest.raises(WrongContentType):
            check_content_type(request, "application/json")


@pytest.mark.parametrize(
    ("size", "kind", "status"), [(200, "application/json", 200), (201, "application/json", 413), (9, "text/plain", 415), (5000, "text/plain", 415)]
)
def test_over_http_the_type_comes_before_the_size(size: int, kind: str, status: int) -> None:
    class Services:
        settings = Settings(_env_file=None)  # type: ignore[call-arg]

    async def take(request: Request) -> Response:
        return JSONResponse((await read_json(request, 200, Order)).model_dump())

    app = Starlette(routes=[Route("/", take, methods=["POST"])], exception_handlers={VoxproofError: on_voxproof_error})
    app.state.services = Services()
    body = b'{"name":"a"}'.ljust(size)
    with TestClient(app) as client:
        answer = client.post("/", content=body, headers={"content-type": kind})
        chunked = client.post("/", content=iter([body[:5], body[5:]]), headers={"content-type": kind})
    assert answer.status_code == chunked.status_code == status
    if status == 200:
        assert answer.json() == {"name": "a", "parts": []}
