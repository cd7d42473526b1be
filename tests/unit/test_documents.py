"""The documents describe the whole table, validate under their own specifications, and hold no schema that is not a model's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.testclient import TestClient

from app.core.errors import every_error
from app.core.messages import Message
from app.core.wire import CLIENT_TYPES
from app.main import create_app
from app.scoring.load import load
from app.settings import Settings
from app.status import STATUS
from app.web.contract import EVENTS
from app.web.errors import problem
from app.web.openapi import raised
from app.web.routes import CHANNELS, ENDPOINTS
from tests.documents import problems
from tests.toy import toy_model  # noqa: F401 - a fixture

ROWS = [(row.method, re.sub(r":\w+\}", "}", row.path)) for row in ENDPOINTS]


@pytest.fixture(scope="module")
def client(toy_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: F811
    folder = tmp_path_factory.mktemp("data")
    settings = Settings(_env_file=None, model=str(toy_model), data_dir=folder)  # type: ignore[call-arg]
    with TestClient(
        create_app(settings, load(str(toy_model), toy_model.parent)), base_url="http://127.0.0.1:8000", client=("127.0.0.1", 5)
    ) as client:
        yield client


@pytest.fixture(scope="module")
def openapi(client: TestClient) -> dict[str, Any]:
    return dict(client.get("/openapi.json").json())


@pytest.fixture(scope="module")
def asyncapi(client: TestClient) -> dict[str, Any]:
    return dict(client.get("/asyncapi.json").json())


def test_every_route_is_described(openapi: dict[str, Any]) -> None:
    assert all(row.about for row in ENDPOINTS), [row.path for row in ENDPOINTS if not row.about]
    described = {(method.upper(), path) for path, methods in openapi["paths"].items() for method in methods}
    assert described == set(ROWS) and len(ROWS) == len(set(ROWS))


def test_every_socket_is_described(asyncapi: dict[str, Any]) -> None:
    assert all(channel.about for channel in CHANNELS)
    assert {channel["address"] for channel in asyncapi["channels"].values()} == {channel.path for channel in CHANNELS}


def test_openapi_is_valid(openapi: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(openapi).iter_errors()] == []
    assert openapi["openapi"].startswith("3.1.")


def test_operations_are_named_once_and_tagged(openapi: dict[str, Any]) -> None:
    operations = [operation for methods in openapi["paths"].values() for operation in methods.values()]
    operations += [each["post"] for each in openapi["webhooks"].values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in openapi["tags"]}
    assert all(set(operation["tags"]) <= tags for operation in operations)


@pytest.mark.parametrize("which", ["openapi", "asyncapi"])
def test_references_lead_somewhere(which: str, request: pytest.FixtureRequest) -> None:
    document = request.getfixturevalue(which)
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        node: Any = document
        for part in reference.split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]


def test_refusals_stand_with_their_status_and_shape(openapi: dict[str, Any]) -> None:
    for row in ENDPOINTS:
        about = row.about
        assert about
        responses = openapi["paths"][re.sub(r":\w+\}", "}", row.path)][row.method.lower()]["responses"]
        examples = {code: (int(status), example["value"], media["schema"]) for status, answer in responses.items()
                    for media in answer.get("content", {}).values() for code, example in media.get("examples", {}).items()}  # fmt: skip
        assert set(examples) == {error.code for error in raised(row, about)}, row.path
        for code, (status, value, schema) in examples.items():
            assert problems(openapi, schema, value) == [], (row.path, code)
            if row.refuse is problem:
                assert status == STATUS[code].http and value["type"] == f"/docs#error-{code}"


def test_what_is_shown_is_what_the_schemas_say(openapi: dict[str, Any]) -> None:
    shown = 0
    for methods in openapi["paths"].values():
        for operation in methods.values():
            bodies = [operation.get("requestBody", {}), *(answer for status, answer in operation["responses"].items() if status < "4")]
            for media in (media for body in bodies for media in body.get("content", {}).values() if "example" in media):
                assert problems(openapi, media["schema"], media["example"]) == [], operation["operationId"]
                shown += 1
    assert shown > 5


def test_conversations_shown_are_what_the_schemas_say(asyncapi: dict[str, Any]) -> None:
    messages = {message["name"]: message["payload"] for message in asyncapi["components"]["messages"].values()}
    rows = [row for channel in CHANNELS if channel.about for _, row in channel.about.shown if isinstance(row, dict)]
    assert rows
    for row in rows:
        assert problems(asyncapi, messages[row["type"]], row) == [], row


def test_security_names_the_scope_of_the_row(openapi: dict[str, Any]) -> None:
    for row in ENDPOINTS:
        security = openapi["paths"][re.sub(r":\w+\}", "}", row.path)][row.method.lower()]["security"]
        if row.scope is None:
            assert row.about and (security == [] or row.about.extra["security"] == security)
        else:
            assert security == [{scheme: [] if row.scope == "any" else [row.scope]} for scheme in ("bearer", "apiKey")]


def test_every_message_class_is_in_asyncapi(asyncapi: dict[str, Any]) -> None:
    said = {kind.type for kind in Message.__subclasses__() if kind.__module__ == "app.core.messages"}
    names = {
        name: {asyncapi["components"]["messages"][each]["name"] for each in channel["messages"]} for name, channel in asyncapi["channels"].items()
    }
    assert said | set(CLIENT_TYPES) <= names["stream"]
    for name in CLIENT_TYPES:
        message = next(m for m in asyncapi["components"]["messages"].values() if m["name"] == name)
        assert problems(asyncapi, message["payload"], {"type": "nobody"})


def test_this_model_narrows_what_is_taken(openapi: dict[str, Any]) -> None:
    parameters = {each["name"]: each["schema"] for each in openapi["paths"]["/v1/detect"]["post"]["parameters"]}
    assert (parameters["hop_seconds"]["minimum"], parameters["hop_seconds"]["maximum"]) == (0.25, 4) and parameters["profile"]["enum"] == [
        "fast",
        "balanced",
        "strict",
    ]


def test_the_page_names_everything(client: TestClient, openapi: dict[str, Any], asyncapi: dict[str, Any]) -> None:
    answer = client.get("/docs", headers={"Host": "voice.example:8443"})
    page = answer.text
    assert answer.headers["content-type"].startswith("text/html")
    for methods in openapi["paths"].values():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page
    for error in every_error():
        assert f'id="error-{error.code}"' in page
    for event in EVENTS:
        assert event in page
    for name, channel in asyncapi["channels"].items():
        assert f'id="socket-{name}"' in page and channel["address"] in page
    missing = {link for link in re.findall(r'href="#([^"]+)"', page) if f'id="{link}"' not in page}
    assert not missing, missing
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids)), sorted(each for each in set(ids) if ids.count(each) > 1)
    # Nothing from elsewhere, nothing inline, and examples that name the server that was asked.
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page) and not re.search(r"<style|\sstyle=|\son\w+=|<script>", page)
    assert "http://voice.example:8443/v1/detect" in page and "127.0.0.1:8000" not in page
    assert "script-src 'self'" in answer.headers["content-security-policy"] and "unsafe" not in answer.headers["content-security-policy"]


def test_a_host_that_is_none_is_not_repeated(client: TestClient) -> None:
    assert "<script" not in client.get("/docs", headers={"Host": "x<script>alert(1)</script>"}).text.split("</head>")[1]


def test_methods(client: TestClient) -> None:
    """405 names what there is, in the path's own shape; HEAD goes where GET does; OPTIONS is answered; sockets say what they are."""
    refused = client.put("/v1/detect")
    assert refused.status_code == 405 and refused.headers["allow"] == "OPTIONS, POST" and refused.json()["code"] == "method_not_allowed"
    older = client.get("/detect")
    assert older.status_code == 405 and set(older.json()) == {"detail"} and older.headers["allow"] == "OPTIONS, POST"
    assert client.options("/livez").status_code == 204 and client.options("/livez").headers["allow"] == "GET, HEAD, OPTIONS"
    head = client.head("/livez")
    assert head.status_code == 200 and client.post("/static/js/docs.js").headers["allow"] == "GET, HEAD"
    assert client.delete("/v1/webhooks").headers["allow"] == "GET, HEAD, OPTIONS, POST"
    plain = client.get("/v1/stream")
    assert plain.status_code == 426 and plain.headers["upgrade"] == "websocket" and plain.json()["code"] == "upgrade_required"
    lost = client.get("/nowhere")
    assert lost.status_code == 404 and lost.json()["code"] == "not_found" and lost.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("query", "field"), [("?profle=fast", "profle"), ("?profile=fast&profile=strict", "profile"), ("?enrollment_id=x", "enrollment_id")]
)
def test_parameters_nobody_knows_are_refused(client: TestClient, query: str, field: str) -> None:
    answer = client.post("/v1/detect" + query, content=b"x")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "bad_field", field)


def test_a_problem_links_to_its_explanation_wherever_it_is_mounted(client: TestClient) -> None:
    assert client.get("/nowhere").json()["type"] == "/docs#error-not_found"
    mounted = TestClient(client.app, root_path="/voice", base_url="http://127.0.0.1")
    assert mounted.get("/nowhere").json()["type"] == "/voice/docs#error-not_found"
