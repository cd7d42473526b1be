"""Spans for OpenTelemetry, when `otlp_endpoint` names a collector: requests and sockets, decoding, batches of the detector. Otherwise nothing.

`start` needs the extra `otel`. Sampling follows the caller's `traceparent`, else the SDK's own environment (OTEL_TRACES_SAMPLER).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from app import __version__, logs
from app.core.errors import BadSetting

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

NEEDED = "otlp_endpoint is set, and the packages for it are not installed: pip install 'voxproof[otel]'"
FLUSH_MS = 3000
Attributes = Mapping[str, str | int | float | bool]


class Span(Protocol):
    def say(self, name: str, attributes: Attributes, *, failed: bool = False) -> None:
        """What became known of it: its final name, and more attributes."""
        ...


class Traces:
    """Traces nothing. `Recording` does."""

    def span(self, name: str, headers: Mapping[str, str] | None = None, *, serves: bool = False) -> AbstractContextManager[Span | None]:
        """A span around a block; `headers` may carry a `traceparent`; `serves`: it answers somebody else's request."""
        return nullcontext()

    def mark(self) -> Any:
        """The span one is in now, for `batch`."""
        return None

    def batch(self, name: str, began: float, ended: float, attributes: Attributes, marks: Sequence[Any]) -> None:
        """A span that is over already, from `time.monotonic()` to the same; it belongs to the first mark and is linked to the others."""

    def close(self) -> None:
        """Sends what is left. Blocks: call it on a thread."""


def start(endpoint: str | None, exporter: SpanExporter | None = None) -> Traces:
    """Raises as `check`. `exporter` is for tests."""
    if endpoint is None and exporter is None:
        return Traces()
    check(endpoint)
    return Recording(exporter or _otlp(str(endpoint)), at_once=exporter is not None)


def check(endpoint: str | None) -> None:
    """Raises BadSetting when it cannot be traced to."""
    if endpoint is None:
        return
    if urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).netloc:
        raise BadSetting("otlp_endpoint: use http:// or https:// and the address of a collector.")
    try:
        there = find_spec("opentelemetry.sdk") and find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        there = None
    if there is None:
        raise BadSetting(NEEDED)


class Recording(Traces):
    def __init__(self, exporter: SpanExporter, *, at_once: bool = False) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        resource = Resource.create({"service.name": "voxproof", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("voxproof", __version__)
        self._trace, self._caller = trace, TraceContextTextMapPropagator()

    @contextmanager
    def span(self, name: str, headers: Mapping[str, str] | None = None, *, serves: bool = False) -> Iterator[Span | None]:
        parent = self._caller.extract(headers) if headers is not None else None
        kind = self._trace.SpanKind.SERVER if serves else self._trace.SpanKind.INTERNAL
        with self._tracer.start_as_current_span(name, parent, kind, record_exception=False) as span:
            if serves and span.is_recording():
                logs.bind(trace_id=f"{span.get_span_context().trace_id:032x}")
            yield _Recorded(self._trace, span)

    def mark(self) -> Any:
        return self._trace.get_current_span().get_span_context()

    def batch(self, name: str, began: float, ended: float, attributes: Attributes, marks: Sequence[Any]) -> None:
        now_ns, now = time.time_ns(), time.monotonic()
        callers = list({(mark.trace_id, mark.span_id): mark for mark in marks if mark is not None and mark.is_valid}.values())
        parent = self._trace.set_span_in_context(self._trace.NonRecordingSpan(callers[0])) if callers else None
        span = self._tracer.start_span(
            name, parent, attributes=dict(attributes), links=[self._trace.Link(each) for each in callers[1:]],
            start_time=now_ns - round((now - began) * 1e9),
        )  # fmt: skip
        span.end(now_ns - round((now - ended) * 1e9))

    def close(self) -> None:
        self._provider.force_flush(FLUSH_MS)
        self._provider.shutdown()


class _Recorded:
    def __init__(self, trace: Any, span: Any) -> None:
        self._trace, self._span = trace, span

    def say(self, name: str, attributes: Attributes, *, failed: bool = False) -> None:
        self._span.update_name(name)
        self._span.set_attributes(attributes)
        if failed:
            self._span.set_status(self._trace.StatusCode.ERROR)


def _otlp(endpoint: str) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    whole = endpoint if urlsplit(endpoint).path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"
    return OTLPSpanExporter(whole, timeout=FLUSH_MS / 1000)
