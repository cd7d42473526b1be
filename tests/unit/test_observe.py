"""What stands around every request and socket: ids, metrics, spans and log lines, on a small application of our own."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from app import logs, traces
from app.core.errors import BadSetting
from app.service.metrics import Metrics
from app.web.observe import Observed
from tests import fake
from tests.unit.test_metrics import read

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def hello(request: Request) -> Response:
    request.state.principal = SimpleNamespace(owner="acme", key_id="k1")
    request.state.address = "192.0.2.7"
    return PlainTextResponse(request.state.request_id)


async def fails(request: Request) -> Response:
    raise KeyError("a bug")


async def refused(request: Request) -> Response:
    request.state.error_code = "rate_limited"
    return PlainTextResponse("no", 429)


async def talk(websocket: WebSocket) -> None:
    if websocket.query_params.get("deny"):
        await websocket.send_denial_response(PlainTextResponse("no", 403))
        return
    await websocket.accept()
    try:
        await websocket.receive_text()
    except WebSocketDisconnect:
        return
    await websocket.close(4400)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def services(spans: InMemorySpanExporter) -> Iterator[Any]:
    traced = traces.start(None, spans)
    yield SimpleNamespace(metrics=Metrics(fake.INFO), traces=traced, draining=False)
    traced.close()


@pytest.fixture
def client(services: Any) -> TestClient:
    routes = [
        Route("/things/{name}", hello), Route("/fails", fails), Route("/refused", refused), Route("/livez", hello), Route("/v1/reports/sar", hello),
        WebSocketRoute("/talk", talk),
        Mount("/static", PlainTextResponse("file")),
    ]  # fmt: skip
    app = Starlette(routes=routes, middleware=[Middleware(Observed)])
    app.state.services = services
    return TestClient(app, raise_server_exceptions=False)


def test_routes_are_templates_and_the_unknown_is_one(client: TestClient, services: Any) -> None:
    for path in ("/things/a", "/things/b", "/static/x.js", "/nope", "/nope/2", "/fails", "/refused"):
        client.get(path)
    client.post("/things/a")
    found = {name: value for name, value in read(services.metrics).items() if name.startswith(("http_requests", "errors"))}
    assert found == {
        "http_requests_total{method=GET,route=/things/{name},status=200}": 2,
        "http_requests_total{method=POST,route=/things/{name},status=405}": 1,
        "http_requests_total{method=GET,route=/static,status=200}": 1,
        "http_requests_total{method=GET,route=other,status=404}": 2,
        "http_requests_total{method=GET,route=/fails,status=500}": 1,
        "http_requests_total{method=GET,route=/refused,status=429}": 1,
        "errors_total{code=rate_limited,transport=http}": 1,
    }


@pytest.mark.parametrize("given", ["abc-123_x.y", "a" * 64])
def test_a_request_keeps_the_id_it_came_with(client: TestClient, given: str) -> None:
    answer = client.get("/things/a", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == answer.text == given


@pytest.mark.parametrize("given", ["", "a" * 65, 'x" y', "é", "a,b", "<script>"])
def test_other_ids_are_replaced(client: TestClient, given: str) -> None:
    answer = client.get("/things/a", headers={"X-Request-ID": given.encode()})
    assert answer.headers["X-Request-ID"] == answer.text != given and len(answer.text) == 16
    assert client.get("/things/a").text != answer.text


@pytest.mark.parametrize(("text", "code"), [("x", 4400), (None, 1000)])
def test_sockets_are_counted_by_who_closed_them_first(client: TestClient, services: Any, text: str | None, code: int) -> None:
    with client.websocket_connect("/talk") as socket:
        if text is not None:
            socket.send_text(text)
            with pytest.raises(WebSocketDisconnect):
                socket.receive_text()
    assert read(services.metrics)[f"sockets_closed_total{{close_code={code},route=/talk}}"] == 1


def test_a_socket_refused_before_the_upgrade_is_a_request(client: TestClient, services: Any) -> None:
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect("/talk?deny=1"):
        pass
    found = read(services.metrics)
    assert found["http_requests_total{method=GET,route=/talk,status=403}"] == 1
    assert not [name for name in found if name.startswith("sockets_closed")]


def test_a_line_says_who_and_what_and_never_the_query(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "app.web.access"):
        client.get("/things/a?token=s3cr3t", headers={"X-Request-ID": "r1"})
        client.get("/livez")
    (record,) = caplog.records  # probes are quiet
    line = json.loads(logs.Lines("json").format(record))
    assert {name: line[name] for name in ("message", "method", "route", "status", "owner", "key_id", "address")} == {
        "message": "request", "method": "GET", "route": "/things/{name}", "status": 200, "owner": "acme", "key_id": "k1", "address": "192.0.2.7",
    }  # fmt: skip
    assert line["duration_ms"] >= 0 and "s3cr3t" not in json.dumps(line)


def test_a_draining_server_lets_its_connections_go(client: TestClient, services: Any) -> None:
    assert "connection" not in client.get("/things/a").headers
    services.draining = True
    assert client.get("/things/a").headers["connection"] == "close"


# --- traces


def test_spans_follow_the_caller(client: TestClient, spans: InMemorySpanExporter) -> None:
    client.get("/things/a?x=1", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    client.get("/fails")
    first, second = spans.get_finished_spans()
    assert (first.name, first.kind.name) == ("GET /things/{name}", "SERVER") and first.attributes is not None and first.parent is not None
    assert f"{first.context.trace_id:032x}" == TRACE and f"{first.parent.span_id:016x}" == PARENT
    assert dict(first.attributes) == {"http.request.method": "GET", "http.route": "/things/{name}", "http.response.status_code": 200}
    assert second.parent is None and second.status.status_code.name == "ERROR"


def test_a_caller_that_is_not_sampled_is_not_traced(client: TestClient, spans: InMemorySpanExporter) -> None:
    client.get("/things/a", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    assert not spans.get_finished_spans()


def test_of_reports_there_is_no_trace(client: TestClient, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "app.web.access"):
        for path in ("/v1/reports/sar", "/v1/reports%2Fsar"):
            assert client.get(path, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}).status_code == 200
    assert not spans.get_finished_spans() and not caplog.records


def test_a_socket_is_a_span(client: TestClient, spans: InMemorySpanExporter) -> None:
    with client.websocket_connect("/talk"):
        pass
    (span,) = spans.get_finished_spans()
    assert span.name == "WS /talk" and dict(span.attributes or {}) == {"http.route": "/talk", "close_code": 1000}


async def test_a_batch_belongs_to_its_callers(spans: InMemorySpanExporter) -> None:
    traced, marks = traces.start(None, spans), list[Any]()

    async def ask(name: str) -> None:
        with traced.span(name):
            await asyncio.sleep(0)
            marks.append(traced.mark())

    await asyncio.gather(ask("one"), ask("two"))
    now = asyncio.get_running_loop().time()
    traced.batch("score", now - 1, now - 0.5, {"voxproof.windows": 3}, [*marks, marks[0]])
    traced.batch("score", now - 1, now - 0.5, {}, [])
    one, two, batch, alone = spans.get_finished_spans()
    assert batch.parent == one.context and [link.context for link in batch.links] == [two.context] and alone.parent is None
    assert batch.end_time is not None and batch.start_time is not None and batch.end_time - batch.start_time == pytest.approx(0.5e9, rel=1e-3)
    traced.close()


def test_without_an_endpoint_nothing_is_traced() -> None:
    off = traces.start(None)
    with off.span("x", {}) as span:
        assert span is None and off.mark() is None
    off.batch("y", 0, 1, {}, [])
    off.close()


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://host", "http://"])
def test_an_endpoint_must_be_an_address(endpoint: str) -> None:
    with pytest.raises(BadSetting, match="otlp_endpoint"):
        traces.start(endpoint)


def test_a_missing_package_is_told_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "find_spec", lambda name: None)
    with pytest.raises(BadSetting, match=r"pip install 'voxproof\[otel\]'"):
        traces.start("http://127.0.0.1:4318")
