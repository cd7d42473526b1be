"""Operating the server: metrics that are exact, readiness that is true, logs that can be read, traces that arrive."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from tests.integration.material import encoded, wav_of
from tests.integration.server import Server
from tests.integration.servers_of_others import RedisServer
from tests.integration.talk import started, stream, talk
from tests.toy import voice

PCM = encoded(voice(3.0, "spoof"), "pcm_s16le")
FILE = wav_of(PCM, "pcm_s16le", 16000, 1)
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}


async def scrape(server: Server, headers: dict[str, str] | None = None) -> dict[str, float]:
    """Our samples, by name and sorted label values."""
    async with httpx2.AsyncClient() as http:
        answer = await http.get(server.http + "/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    families = openmetrics_parser if "openmetrics" in answer.headers["content-type"] else parser
    found = {}
    for family in families.text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found[" ".join([sample.name.removeprefix("voxproof_"), *(value for _, value in sorted(sample.labels.items()))])] = sample.value
    return found


async def scraped(server: Server, wanted: dict[str, float], patience_s: float = 10) -> dict[str, float]:
    """The metrics, once these counters have come to what is wanted: what happens after a close frame is not over when the client has it."""
    async with asyncio.timeout(patience_s):
        while {name: (found := await scrape(server)).get(name, 0) for name in wanted} != wanted:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("operations")
    with Server(folder, toy, data_dir=folder, resume_window_seconds=30) as running:
        yield running
        assert not running.traces(), "\n".join(running.lines[-60:])


async def test_the_numbers_are_those_of_the_traffic(own: Server) -> None:
    before = await scrape(own)
    for _ in range(2):
        rows = await stream(own.ws(), [PCM[:50_000], PCM[50_000:]])
    segments = sum(row["type"] == "segment" for row in rows)
    two = await stream(own.ws(), [PCM], audio={"encoding": "pcm_s16le", "sample_rate": 16000, "channels": 2})  # 1.5 s of two channels
    async with talk(own.ws()) as refused:
        await refused.send({"type": "start", "audio": {"encoding": "pcm_s16le", "sample_rate": 3}})
        assert await refused.rest() == 4400
    async with started(own.ws()) as cut:
        await cut.send(PCM[:32_000], "not json")
        await cut.next("segment")
        cut.abort()
    async with httpx2.AsyncClient() as http:
        good = await http.post(own.http + "/v1/detect", content=FILE)
        bad = await http.post(own.http + "/v1/detect", content=b"nothing of the kind")
        assert (good.status_code, bad.status_code) == (200, 415)
        await http.get(own.http + "/nowhere/at/all")
        await http.get(own.http + "/somewhere/else?token=s3cr3t")
    after = await scraped(own, {"sessions_parked": 1, "sockets_closed_total 1005 /v1/stream": 1})  # 1005: no close frame came

    def more(name: str) -> float:
        return round(after.get(name, 0) - before.get(name, 0), 6)

    assert more("sessions_opened_total") == 4 and more("sessions_ended_total 1000") == 3 and after["sessions_open"] == 0
    assert more("sockets_closed_total 1000 /v1/stream") == 3 and more("sockets_closed_total 4400 /v1/stream") == 1
    assert more("sockets_closed_total 1005 /v1/stream") == 1
    assert more("audio_seconds_total live") == 3 + 3 + 1.5 + 1 and more("audio_seconds_total file") == 3
    live = {name: more(name) for name in after if name.startswith("segments_total live")}
    assert sum(live.values()) == more("lag_seconds_count") == 2 * segments + sum(row["type"] == "segment" for row in two) + 1
    assert more("segments_total file spoof") == segments and more("verdicts_total file spoof") == 1 and more("verdicts_total live spoof") == 3
    assert more("batch_windows_sum") == sum(live.values()) + segments
    assert more("inference_seconds_count") == more("batch_windows_count") <= more("batch_windows_sum")
    assert more("queue_seconds_count bulk") == 1 and more("first_verdict_seconds_count") == 4
    assert more("files_total ok") == 1 and more("files_total unsupported_audio") == 1 and more("file_bytes_total") == len(FILE) + 19
    assert more("decode_seconds_count") == 1
    assert more("errors_total bad_json live") == 1 and more("errors_total unsupported_audio http") == 1 and more("errors_total not_found http") == 2
    assert more("errors_total bad_config live") == 1
    assert more("http_requests_total POST /v1/detect 200") == 1 and more("http_requests_total POST /v1/detect 415") == 1
    assert more("http_requests_total GET other 404") == 2 and more("http_request_seconds_count POST /v1/detect") == 2
    assert [name for name in after if name.startswith("model_info ")] == [f"model_info toy 16000 {(await ready(own))[1]['model']['sha256']} 0.0.1"]
    assert after["event_loop_late_seconds_count"] > 0


async def ready(server: Server, query: str = "", **headers: str) -> tuple[int, Any]:
    async with httpx2.AsyncClient() as http:
        answer = await http.get(server.http + "/readyz" + query, headers=headers)
    assert answer.status_code in (401, 403) or answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()


async def test_both_formats(own: Server) -> None:
    async with httpx2.AsyncClient() as http:
        plain = await http.get(own.http + "/metrics")
        modern = await http.get(own.http + "/metrics", headers=OPENMETRICS)
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert modern.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0") and modern.text.endswith("# EOF\n")
    assert await scrape(own, OPENMETRICS)


async def test_lines_in_the_log(own: Server) -> None:
    rows = await stream(own.ws() + "?sample_rate=16000&encoding=pcm_s16le&token=s3cr3t-s3cr3t", [PCM])
    async with httpx2.AsyncClient() as http:
        answer = await http.get(own.http + "/livez?token=s3cr3t-s3cr3t", headers={"X-Request-ID": "mine-1", "Authorization": "Bearer s3cr3t-s3cr3t"})
        assert answer.headers["x-request-id"] == "mine-1"
        await http.post(own.http + "/v1/detect?token=s3cr3t-s3cr3t", content=b"", headers={"X-Request-ID": "mine-2", "X-API-Key": "s3cr3t-s3cr3t"})
    session_id = rows[0]["session_id"]

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in own.lines if line.startswith("{")]

    async with asyncio.timeout(10):
        while not {"mine-2"} <= {line.get("request_id") for line in lines()}:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    (ended,) = [line for line in lines() if line.get("session_id") == session_id and line["message"] == "session ended"]
    (closed,) = [line for line in lines() if line.get("session_id") == session_id and line["message"] == "socket closed"]
    assert (ended["close_code"], ended["verdict"], ended["audio_s"], ended["owner"]) == (1000, "spoof", 3.0, "local")
    assert (closed["route"], closed["close_code"]) == ("/v1/stream", 1000) and closed["request_id"] == ended["request_id"]
    (request,) = [line for line in lines() if line.get("request_id") == "mine-2"]
    assert (
        (request["message"], request["route"], request["level"]) == ("request", "/v1/detect", "info") and request["status"] >= 400 and request["code"]
    )
    assert "mine-1" not in {line.get("request_id") for line in lines()}  # probes are for debug
    assert not [line for line in own.lines if "s3cr3t" in line or rows[0]["resume_token"] in line]


async def test_health(own: Server) -> None:
    async with httpx2.AsyncClient() as http:
        assert (await http.get(own.http + "/livez")).json() == {"status": "ok"}
        started_ = (await http.get(own.http + "/startupz")).json()
    assert started_["status"] == "started" and started_["up_seconds"] >= 0
    status, plain = await ready(own)
    assert status == 200 and set(plain) == {"status", "model", "streams", "parked"} and plain["status"] == "ready"
    status, verbose = await ready(own, "?verbose")
    assert status == 200 and set(verbose["checks"]) == {"accepting", "model", "scoring", "decoders", "database"}
    assert all(each["ok"] and each["took_ms"] >= 0 for each in verbose["checks"].values())


# --- with keys, with Redis

KEY = "a-key-of-the-environment"


async def test_ready_as_long_as_redis_is(toy: Path, tmp_path: Path, redis_server: RedisServer) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    redis = RedisServer(folder)
    try:
        settings = {"data_dir": tmp_path, "redis_url": redis.url(), "check_timeout_seconds": 1, "redis_timeout_seconds": 0.5, "api_key": KEY}
        server = Server(tmp_path, toy, **settings)
        admin = {"X-API-Key": server.make_key("admin")}
        with server as running:
            assert (await until_ready_is(running, 200))[1]["status"] == "ready"
            assert (await ready(running, "?verbose"))[0] == 401
            assert (await ready(running, "?verbose", **{"X-API-Key": KEY}))[0] == 403
            assert (await ready(running, "?verbose", **admin))[1]["checks"]["redis"]["ok"]
            redis.end()
            _, content = await until_ready_is(running, 503)
            assert content["status"] == "unavailable"
            found = (await ready(running, "?verbose", **admin))[1]["checks"]["redis"]
            assert not found["ok"] and str(redis.port) not in found["text"]
            redis.start()
            assert (await until_ready_is(running, 200))[1]["status"] == "ready"
            redis.pause()  # it takes connections and says nothing
            try:
                async with asyncio.timeout(10):
                    assert (await until_ready_is(running, 503))[0] == 503
            finally:
                redis.go_on()
            async with httpx2.AsyncClient() as http:
                assert (await http.get(running.http + "/metrics")).status_code == 401
                assert (await http.get(running.http + "/metrics", headers={"X-API-Key": KEY})).status_code == 403
                assert (await http.get(running.http + "/metrics", headers=admin)).status_code == 200
            assert not [line for line in running.lines if KEY in line or admin["X-API-Key"] in line]
            assert "Keys: required." in running.lines and f"Data: {tmp_path / 'voxproof.db'}" in running.lines
    finally:
        redis.end()


async def until_ready_is(server: Server, wanted: int, patience_s: float = 15) -> tuple[int, Any]:
    async with asyncio.timeout(patience_s):
        while (found := await ready(server))[0] != wanted:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    return found


async def test_two_servers_share_their_metrics(toy: Path, tmp_path: Path) -> None:
    shared = {"metrics_dir": tmp_path / "metrics", "api_key": KEY, "metrics_public": True}
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    with Server(folders[0], toy, data_dir=folders[0], **shared) as one, Server(folders[1], toy, data_dir=folders[1], **shared) as two:
        async with httpx2.AsyncClient(headers={"X-API-Key": KEY}) as http:
            for running, times in ((one, 1), (two, 2)):
                for _ in range(times):
                    assert (await http.post(running.http + "/v1/detect", content=FILE)).status_code == 200
        for running in (one, two):
            found = await scrape(running)
            assert found["audio_seconds_total file"] == 9 and found["http_requests_total POST /v1/detect 200"] == 3
        async with talk(two.ws(), additional_headers={"X-API-Key": KEY}) as live:
            await live.send({"type": "start", "audio": {"encoding": "pcm_s16le", "sample_rate": 16000}})
            await live.next("ready")
            await scraped(one, {"sessions_open": 1})  # its gauges are read by the other within a beat of its pulse
            two.process.kill()
            two.process.wait()
        found = await scrape(one)
        assert found["audio_seconds_total file"] == 9 and found["sessions_open"] == 0


# --- traces


class Collector(http.server.BaseHTTPRequestHandler):
    spans: list[Any]

    def do_POST(self) -> None:
        request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
        self.spans += [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


async def test_traces_reach_the_collector(toy: Path, tmp_path: Path) -> None:
    handler = type("Handler", (Collector,), {"spans": []})
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        with Server(tmp_path, toy, data_dir=tmp_path, otlp_endpoint=f"http://127.0.0.1:{collector.server_port}") as running:
            async with httpx2.AsyncClient(headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}) as http_:
                assert (await http_.post(running.http + "/v1/detect", content=FILE)).status_code == 200
            await stream(running.ws(), [PCM])
        await asyncio.to_thread(collector.shutdown)
    names = [span.name for span in handler.spans]
    assert {"POST /v1/detect", "file", "decode", "score", "WS /v1/stream"} <= set(names)
    mine = {span.name: span for span in handler.spans if span.trace_id.hex() == trace}
    assert set(mine) == {"POST /v1/detect", "file", "decode", "score"}
    assert mine["file"].parent_span_id == mine["POST /v1/detect"].span_id and mine["score"].parent_span_id == mine["file"].span_id
    assert not running.traces()
