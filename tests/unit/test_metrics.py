"""The metrics: what is counted, what a scrape says, that labels are bounded, and several processes that answer as one."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from app.core.errors import EmptyAudio, QuotaExceeded
from app.core.messages import Ready, Resumed
from app.core.session import Session
from app.core.wire import Audio, Start
from app.scoring.batch import Batched
from app.service.access import Principal
from app.service.metrics import Metrics
from app.service.tally import FileTally, Tally, batches
from app.status import STATUS
from app.traces import Traces
from tests import fake

ROOT = Path(__file__).resolve().parents[2]


def read(metrics: Metrics) -> dict[str, float]:
    """Every sample of ours, by its name and labels as Prometheus writes them."""
    found = {}
    for family in parser.text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return {name.removeprefix("voxproof_"): value for name, value in found.items() if name.startswith("voxproof_")}


def made() -> Metrics:
    return Metrics(fake.INFO)


def test_every_name_and_unit_keeps_the_conventions() -> None:
    metrics = made()
    metrics.batch(3, 0.01, [(False, 0.001), (True, 0.2)])
    metrics.request("/v1/detect", "POST", 200, 0.1)
    metrics.file("ok", 1000, 0.02)
    for family in openmetrics_parser.text_string_to_metric_families(metrics.text(openmetrics=True).decode()):
        assert re.fullmatch(r"(voxproof|process|python)_[a-z_]+", family.name) and family.documentation
        assert not family.name.startswith("voxproof") or family.type in {"counter", "gauge", "histogram"}


def test_what_is_told_is_counted() -> None:
    metrics = made()
    metrics.batch(3, 0.01, [(False, 0.001), (False, 0.002), (True, 0.2)])
    metrics.request("/v1/detect", "POST", 200, 0.1)
    metrics.request("/v1/detect", "POST", 200, 0.2)
    metrics.request("other", "BREW", 404, 0.001)
    metrics.error("http", "not_found")
    metrics.socket_closed("/v1/stream", 1000)
    metrics.late(-0.5)
    found = read(metrics)
    assert found["batch_windows_sum"] == 3 and found["batch_windows_count"] == 1 and found["inference_seconds_sum"] == 0.01
    assert found["queue_seconds_count{lane=live}"] == 2 and found["queue_seconds_sum{lane=bulk}"] == 0.2
    assert found["http_requests_total{method=POST,route=/v1/detect,status=200}"] == 2
    assert found["http_request_seconds_count{method=POST,route=/v1/detect}"] == 2
    assert found["http_requests_total{method=other,route=other,status=404}"] == 1
    assert found["errors_total{code=not_found,transport=http}"] == 1
    assert found["sockets_closed_total{close_code=1000,route=/v1/stream}"] == 1
    assert found["event_loop_late_seconds_count"] == 1 and found["event_loop_late_seconds_sum"] == 0
    assert found["model_info{name=fake,sample_rate=16000,sha256=" + "0" * 64 + ",version=1}"] == 1


@given(st.lists(st.tuples(st.text(max_size=20), st.integers(-10, 70_000), st.text(max_size=20)), max_size=30))
def test_labels_are_bounded_whatever_comes(calls: list[tuple[str, int, str]]) -> None:
    metrics = made()
    for text, number, other in calls:
        metrics.request("other", text, 404, 0.1)
        metrics.error("live", other)
        metrics.session_ended(number)
        metrics.socket_closed("/ws", number)
    for name in read(metrics):
        if found := re.search(r"close_code=([^,}]*)", name):
            assert found[1] == "other" or int(found[1]) in range(1000, 4504)
        if found := re.search(r"code=([^,}]*),transport", name):
            assert found[1] in {*STATUS, "other"}
        if found := re.search(r"method=([^,}]*)", name):
            assert found[1] in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}


def test_gauges_and_refusals_are_read_when_asked() -> None:
    metrics, now, refusals = made(), {"streams": 3.0, "parked": 1.0}, {"key_streams": 2}
    metrics.watch(lambda: now, refusals, {"delivered": 7}, lambda: 3)
    metrics.refresh()
    refusals["key_streams"] = 5
    metrics.refresh()
    metrics.refresh()
    found = read(metrics)
    assert (found["sessions_open"], found["sessions_parked"]) == (3, 1)
    assert found["limit_refusals_total{limit=key_streams}"] == 5 and found["webhook_deliveries_total{outcome=delivered}"] == 7
    assert found["limit_store_failures_total"] == 3


# --- sessions and files


def talked(metrics: Metrics, *, stop: bool = True) -> Session:
    """A session of 2.5 s through the observer, as `live` tells it."""
    session = Session("s", "t", fake.model(), fake.LIMITS, Start(audio=Audio(encoding="pcm_s16le", sample_rate=16000, channels=1)))
    tally = Tally(metrics, Principal(), session)
    scorer = fake.FakeScorer()
    session.receive_bytes(b"\x00\x10" * 40_000)
    if stop:
        session.stop()
    while windows := session.windows(8):
        for window, scored in zip(windows, scorer.score(windows), strict=True):
            session.scored(window, scored)
    for message in session.messages():
        if message.type == "segment":
            message.latency_ms = 20  # type: ignore[attr-defined]
        tally.said(message)
    tally.ended()
    return session


def test_a_session_that_ended_well() -> None:
    metrics = made()
    session = talked(metrics)
    found = read(metrics)
    segments = {name: value for name, value in found.items() if name.startswith("segments_total")}
    assert found["sessions_opened_total"] == 1 and found["sessions_ended_total{close_code=1000}"] == 1
    assert found["audio_seconds_total{source=live}"] == session.received_ms / 1000 == 2.5
    assert sum(segments.values()) == found["lag_seconds_count"] == 4 and found["lag_seconds_sum"] == pytest.approx(0.08)
    assert found["first_verdict_seconds_count"] == 1
    assert sum(value for name, value in found.items() if name.startswith("verdicts_total")) == 1


def test_a_session_that_was_lost() -> None:
    metrics = made()
    talked(metrics, stop=False)
    found = read(metrics)
    assert found["sessions_ended_total{close_code=1006}"] == 1
    assert found["audio_seconds_total{source=live}"] == 2.5


def test_a_session_that_was_refused_never_was() -> None:
    metrics = made()
    session = Session("s", "t", fake.model(), fake.LIMITS, Start(audio=Audio(encoding="pcm_s16le", sample_rate=16000, channels=1)))
    Tally(metrics, Principal(), session).ended()
    assert read(metrics)["sessions_opened_total"] == 0 and "sessions_ended_total{close_code=1006}" not in read(metrics)


def test_a_resumed_session_is_opened_once() -> None:
    metrics = made()
    session = Session("s", "t", fake.model(), fake.LIMITS, Start(audio=Audio(encoding="pcm_s16le", sample_rate=16000, channels=1)))
    tally = Tally(metrics, Principal(), session)
    (ready,) = session.messages()
    assert isinstance(ready, Ready)
    tally.said(ready)
    tally.said(ready.model_copy(update={"resume": Resumed(accepted=True, continue_from_ms=0)}))
    found = read(metrics)
    assert (found["sessions_opened_total"], found["sessions_resumed_total"]) == (1, 1)


@pytest.mark.parametrize(("exc", "outcome"), [(EmptyAudio(), "empty_audio"), (QuotaExceeded(), "quota_exceeded"), (KeyError(), "internal")])
def test_a_file_that_failed(exc: Exception, outcome: str) -> None:
    metrics = made()
    with pytest.raises(type(exc)), FileTally(metrics, Traces(), 77):
        raise exc
    found = read(metrics)
    assert found[f"files_total{{outcome={outcome}}}"] == 1 and found["file_bytes_total"] == 77 and found["decode_seconds_count"] == 0


def test_batches_are_told() -> None:
    metrics = made()
    batches(metrics, Traces())(Batched(5, 10.0, 10.5, [(False, 9.5, None), (True, 8.0, None)]))
    found = read(metrics)
    assert found["batch_windows_sum"] == 5 and found["inference_seconds_sum"] == 0.5
    assert found["queue_seconds_sum{lane=live}"] == 0.5 and found["queue_seconds_sum{lane=bulk}"] == 2


# --- several processes

OTHER = """
import sys, time
from pathlib import Path
from app.service.metrics import Metrics
from tests import fake
metrics = Metrics(fake.INFO, Path(sys.argv[1]))
metrics.watch(lambda: {"streams": int(sys.argv[2])}, {}, {})
for n in range(int(sys.argv[2])):
    metrics.session_opened()
    metrics.batch(n + 1, 0.01, [])
metrics.refresh()
for line in sys.stdin:
    if line == "read\\n":
        print(metrics.text().decode() + "END", flush=True)
    elif line == "leave\\n":
        metrics.close(); break
"""


class Other:
    """A process that shares the folder."""

    def __init__(self, folder: Path, sessions: int) -> None:
        command = [sys.executable, "-c", OTHER, str(folder), str(sessions)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read()  # it is up

    def read(self) -> dict[str, float]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("read\n")
        self.process.stdin.flush()
        text = ""
        while not text.endswith("END\n"):
            text += (line := self.process.stdout.readline())
            assert line, "it ended"
        return read(Said(text.removesuffix("END\n")))  # type: ignore[arg-type]

    def end(self, how: int | None = None) -> None:
        assert self.process.stdin
        if how is None:
            self.process.stdin.write("leave\n")
            self.process.stdin.close()
        else:
            self.process.send_signal(how)
        self.process.wait(10)


class Said:
    def __init__(self, text: str) -> None:
        self._text = text

    def text(self) -> bytes:
        return self._text.encode()


def numbers(found: dict[str, Any]) -> tuple[float, ...]:
    return found["sessions_opened_total"], found["sessions_open"], found["batch_windows_count"], found["batch_windows_sum"]


@pytest.mark.slow
def test_processes_that_share_a_folder_answer_as_one(tmp_path: Path) -> None:
    first, second = Other(tmp_path, 3), Other(tmp_path, 4)
    try:
        assert numbers(first.read()) == numbers(second.read()) == (7, 7, 7, 6 + 10)
        second.end(signal.SIGKILL)
        assert numbers(first.read()) == (7, 3, 7, 16)  # its counts stay, its gauges go
        third = Other(tmp_path, 1)
        assert numbers(third.read()) == numbers(first.read()) == (8, 4, 8, 17)
        third.end()
        assert numbers(first.read()) == (8, 3, 8, 17)
        assert sum(1 for file in tmp_path.iterdir() if file.suffix == ".db") <= 2 * 4  # the living one's and those of all that are gone
        assert first.read()["batch_windows_bucket{le=1.0}"] == 3
        assert [name for name in first.read() if name.startswith(("model_info", "build_info"))] != []
    finally:
        first.end()
    last = Other(tmp_path, 2)
    assert numbers(last.read()) == (2, 2, 2, 3)  # nobody was left: a new beginning
    last.end()


def test_nobody_is_named() -> None:
    metrics = made()
    session = Session("an-id", "a-token", fake.model(), fake.LIMITS, Start(audio=Audio(encoding="pcm_s16le", sample_rate=16000, channels=1)))
    tally = Tally(metrics, Principal(owner="someone", key_id="some-key", address="192.0.2.7"), session)
    for message in session.messages():
        tally.said(message)
    tally.ended()
    assert not re.search("someone|some-key|192.0.2|an-id|a-token", metrics.text().decode())
