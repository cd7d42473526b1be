"""What the server counts, for Prometheus: sessions, audio, verdicts, times, errors, requests. One `Metrics` a process, built by `main`.

Others call its verbs with plain values; nobody else knows the library. Label values are bounded: routes are templates, codes are ours, and
there are no ids. `shared` lets several processes answer as one.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app import __version__
from app.core.messages import ModelInfo
from app.service import metrics_shared
from app.status import STATUS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Source = Literal["live", "file"]
Transport = Literal["http", "live"]

# Seconds. A verdict is due within a fraction of a second and useless after five.
LAG = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
FIRST = (0.5, 0.75, 1, 1.05, 1.1, 1.25, 1.5, 2, 3, 5, 10)  # a second of audio is the least there can be
SCORING = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
QUEUE = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
REQUEST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
DECODE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LATE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
BATCH = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# What peers and uvicorn close with, beside our own.
CLOSE_CODES = {each.close for each in STATUS.values()} | {1000, 1001, 1002, 1005, 1006, 1008, 1010, 1012, 1013}
OTHER = "other"


class Metrics:
    """`directory` is shared with other processes, which then answer as one; None: this process answers for itself."""

    def __init__(self, info: ModelInfo, directory: Path | None = None) -> None:
        self._shared = metrics_shared.join(directory) if directory is not None else None
        from prometheus_client import CollectorRegistry, disable_created_metrics

        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._now: Callable[[], dict[str, float]] = dict
        self._followed: list[tuple[Counter, Mapping[str, int], dict[str, int]]] = []
        self._failures: Callable[[], int] = int
        self._failures_told = 0
        if self._shared is None:
            self._describe_process(self._registry)

        self._sessions_opened = self._counter("sessions_opened", "Live sessions opened or taken up from another process.")
        self._sessions_resumed = self._counter("sessions_resumed", "Times a client came back to its session.")
        self._sessions_ended = self._counter("sessions_ended", "Live sessions that are over, by close code; 1006: lost.", "close_code")
        self._sockets_closed = self._counter("sockets_closed", "WebSockets closed, by route and close code.", "route", "close_code")
        self._audio = self._counter("audio_seconds", "Audio heard, counting time once for all channels.", "source")
        self._segments = self._counter("segments", "Windows judged, by verdict.", "source", "verdict")
        self._verdicts = self._counter("verdicts", "Final verdicts on sessions and files.", "source", "verdict")
        self._lag = self._histogram("lag_seconds", "From receiving the last sample of a segment to sending its verdict.", LAG)
        self._first = self._histogram("first_verdict_seconds", "From the first audio of a session to its first running verdict.", FIRST)
        self._scoring = self._histogram("inference_seconds", "Time the detector took for one batch.", SCORING)
        self._queue = self._histogram("queue_seconds", "Time windows waited for the detector.", QUEUE, "lane")
        self._batch = self._histogram("batch_windows", "Windows in one batch.", BATCH)
        self._errors = self._counter("errors", "Errors told to clients, by code.", "transport", "code")
        self._requests = self._counter("http_requests", "HTTP requests answered.", "route", "method", "status")
        self._request_time = self._histogram("http_request_seconds", "From a request's head to its answer's end.", REQUEST, "route", "method")
        self._files = self._counter("files", "Audio files judged, by outcome: ok or an error code.", "outcome")
        self._file_bytes = self._counter("file_bytes", "Bytes of audio files taken in.")
        self._decode = self._histogram("decode_seconds", "Time spent decoding one file.", DECODE)
        self._late = self._histogram("event_loop_late_seconds", "How late the event loop was, ten times a second.", LATE)
        self._webhooks = self._counter("webhook_deliveries", "Webhook deliveries: delivered, failed (an attempt), given_up, switched_off.", "outcome")
        self._refused = self._counter("limit_refusals", "Requests and streams refused by a limit of their caller, by its setting.", "limit")
        self._store_failed = self._counter("limit_store_failures", "Questions about a limit that Redis did not answer.")
        self._gauges = {
            "streams": self._gauge("sessions_open", "Live sessions with a connection.", "livesum"),
            "parked": self._gauge("sessions_parked", "Live sessions waiting to be resumed.", "livesum"),
            "uploads": self._gauge("uploads_open", "Uploads being handled.", "livesum"),
            "waiting": self._gauge("windows_waiting", "Windows waiting for the detector, or in it.", "livesum"),
            "busy": self._gauge("busy_ratio", "Share of time the scoring threads are at work on live audio.", "livemax"),
            "draining": self._gauge("draining", "Processes that are shutting down.", "livesum"),
        }
        self._gauge("build_info", "The program.", "livemax", "version", "python").labels(__version__, platform.python_version()).set(1)
        model = self._gauge("model_info", "The detector.", "livemax", "name", "version", "sha256", "sample_rate")
        model.labels(info.name, info.version, info.sha256, str(info.sample_rate)).set(1)
        self._live_queue, self._bulk_queue = self._queue.labels("live"), self._queue.labels("bulk")
        for source in ("live", "file"):
            self._audio.labels(source)  # counters that exist from the start can be watched from the start

    # --- live sessions --------------------------------------------------------------------------------------

    def session_opened(self) -> None:
        self._sessions_opened.inc()

    def session_resumed(self) -> None:
        self._sessions_resumed.inc()

    def session_ended(self, close_code: int) -> None:
        self._sessions_ended.labels(_close(close_code)).inc()

    def socket_closed(self, route: str, close_code: int) -> None:
        self._sockets_closed.labels(route, _close(close_code)).inc()

    def heard(self, source: Source, seconds: float) -> None:
        if seconds > 0:
            self._audio.labels(source).inc(seconds)

    def segment(self, source: Source, verdict: str, lag_s: float | None = None) -> None:
        self._segments.labels(source, verdict).inc()
        if lag_s is not None:
            self._lag.observe(lag_s)

    def first_verdict(self, seconds: float) -> None:
        self._first.observe(seconds)

    def verdict(self, source: Source, verdict: str) -> None:
        self._verdicts.labels(source, verdict).inc()

    # --- scoring, files, requests ---------------------------------------------------------------------------

    def batch(self, windows: int, took_s: float, waited: list[tuple[bool, float]]) -> None:
        """One batch of the detector; `waited`: for each caller in it, whether it is bulk work, and how long it waited."""
        self._batch.observe(windows)
        self._scoring.observe(took_s)
        for bulk, seconds in waited:
            (self._bulk_queue if bulk else self._live_queue).observe(seconds)

    def late(self, late_ms: float) -> None:
        """One beat of the event loop's pulse; the gauges follow it, so that other processes see them."""
        self._late.observe(max(0.0, late_ms) / 1000)
        if self._shared is not None:
            self.refresh()

    def file(self, outcome: str, size: int, decode_s: float | None = None) -> None:
        """A file that was judged, or refused with an error code."""
        self._files.labels(outcome).inc()
        self._file_bytes.inc(size)
        if decode_s is not None:
            self._decode.observe(decode_s)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        method = method if method in METHODS else OTHER
        self._requests.labels(route, method, str(status)).inc()
        self._request_time.labels(route, method).observe(seconds)

    def error(self, transport: Transport, code: str) -> None:
        self._errors.labels(transport, code if code in STATUS else OTHER).inc()

    # --- reading --------------------------------------------------------------------------------------------

    def watch(
        self, now: Callable[[], dict[str, float]], refusals: Mapping[str, int], deliveries: Mapping[str, int], failures: Callable[[], int] = int
    ) -> None:
        """`now` gives the gauges: any of streams, parked, uploads, waiting, busy, draining. The others are counts that somebody else keeps:
        refusals of limits by setting, deliveries of webhooks by outcome, how often the store of the limits has not answered."""
        self._now, self._failures = now, failures
        self._followed = [(self._refused, refusals, {}), (self._webhooks, deliveries, {})]

    def refresh(self) -> None:
        for name, value in self._now().items():
            self._gauges[name].set(value)
        for counter, counts, told in self._followed:
            for name, count in counts.items():
                counter.labels(name).inc(count - told.get(name, 0))
                told[name] = count
        failures = self._failures()
        self._store_failed.inc(failures - self._failures_told)
        self._failures_told = failures

    def text(self, *, openmetrics: bool = False) -> bytes:
        """The exposition. With `shared` it reads files: call it on a thread."""
        from prometheus_client import generate_latest
        from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

        generate = generate_openmetrics if openmetrics else generate_latest
        if self._shared is None:
            return generate(self._registry)
        return self._shared.read(generate)

    def close(self) -> None:
        if self._shared is not None:
            self._shared.leave()

    # --- construction ---------------------------------------------------------------------------------------

    def _describe_process(self, registry: CollectorRegistry) -> None:
        from prometheus_client import GCCollector, ProcessCollector

        ProcessCollector(registry=registry)
        GCCollector(registry=registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        from prometheus_client import Counter

        return Counter(f"voxproof_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        from prometheus_client import Histogram

        return Histogram(f"voxproof_{name}", text, labels, buckets=buckets, registry=self._registry)

    def _gauge(self, name: str, text: str, mode: Literal["livesum", "livemax"], *labels: str) -> Gauge:
        from prometheus_client import Gauge

        return Gauge(f"voxproof_{name}", text, labels, registry=self._registry, multiprocess_mode=mode)


def _close(code: int) -> str:
    return str(code) if code in CLOSE_CODES else OTHER
