"""The bench's own arithmetic and framing, and one small run of it against the toy model. No figure is judged here."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from bench import frames
from bench.__main__ import main, tables
from bench.figures import closing_frame, expected_segments, fell_behind, percentile, slope, spread
from bench.loads import refusals, summary
from bench.server import BenchError, Server, _stat
from bench.table import Table
from tests.toy import make_model

# --- figures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)])
def test_percentile_is_the_nearest_rank(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_percentile_is_a_measured_value_that_enough_do_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6


def test_nothing_measured_is_no_figure() -> None:
    assert percentile([], 0.5) is None
    assert spread([]) == {"count": 0, "p50": None, "p95": None, "p99": None, "max": None}


@pytest.mark.parametrize(("audio_ms", "count"), [(0, 0), (999, 0), (1000, 1), (1499, 1), (1500, 2), (4000, 7), (60_000, 119)])
def test_expected_segments(audio_ms: int, count: int) -> None:
    assert expected_segments(audio_ms) == count


@pytest.mark.parametrize(("end_ms", "frame"), [(100, 0), (1000, 9), (1001, 10), (1500, 14)])
def test_the_closing_frame_holds_the_last_sample(end_ms: int, frame: int) -> None:
    assert closing_frame(end_ms) == frame
    assert frame * 100 < end_ms <= (frame + 1) * 100


def test_a_generator_that_fell_behind_spoils_its_row() -> None:
    assert fell_behind(5.0, 80.0, 0.2) is None
    assert "late" in (fell_behind(40.0, 80.0, 0.2) or "")
    assert "late" in (fell_behind(5.0, 800.0, 0.2) or "")
    assert "core" in (fell_behind(5.0, 80.0, 0.9) or "")


def test_slope() -> None:
    assert slope((0, 100.0), (100, 150.0)) == pytest.approx(0.5)
    assert slope((5, 1.0), (5, 2.0)) is None


class Seen:
    """A stream after its end, as `loads` counts it."""

    def __init__(self, **facts: Any) -> None:
        empty: dict[str, Any] = {"lags": [], "server_latencies": [], "round_trips": [], "warnings": [], "error": None, "done": None, "problem": None}
        numbers = {"expected": 0, "segments": 0, "pings_open": 0, "backlog": 0, "close_code": 1000}
        self.__dict__.update({**empty, **numbers, **facts})


def test_summary_counts_what_is_missing_and_what_was_dropped() -> None:
    good = Seen(expected=3, segments=3, lags=[(1.0, 5.0), (2.0, 7.0)], done={"dropped_ms": 0})
    bad = Seen(expected=3, segments=1, warnings=["dropped_audio", "lagging"], done={"dropped_ms": 900}, pings_open=1)
    cut = Seen(expected=2, segments=2, close_code=None, problem="not closed in time")
    out = summary([good, bad, cut])  # type: ignore[list-item]
    assert (out["held"], out["done"], out["missing"], out["dropped_ms"], out["pings_unanswered"]) == (3, 2, 2, 900, 1)
    assert out["lag_ms"]["count"] == 2 and out["lag_ms"]["max"] == 7.0
    assert out["warnings"] == {"dropped_audio": 1, "lagging": 1} and out["problems"] == {"not closed in time": 1}


def test_a_refusal_is_polite_only_with_code_close_and_patience() -> None:
    error = {"code": "server_full", "message": "full", "retry_after_ms": 5000}
    polite, vague = Seen(close_code=4503, error=error), Seen(close_code=4503, error={"code": "server_full", "message": "full"})
    rude = Seen(close_code=1011, error={"code": "internal", "message": "oh", "retry_after_ms": 1})
    silent = Seen(close_code=None, problem="ConnectionRefusedError")
    out = refusals([polite, vague, rude, silent])  # type: ignore[list-item]
    assert (out["count"], out["polite"], out["retry_after_ms"]) == (4, 1, [5000])


def test_tables_in_both_forms() -> None:
    table = Table("Things", ["what", "ms"], [["a|b", 1.234], ["c", None]], ["a note"])
    assert table.text().splitlines() == ["Things", "  what    ms", "  ----  ----", "  a|b   1.23", "  c        -", "  a note"]
    assert "| a\\|b | 1.23 |" in table.markdown()


# --- framing: against the websockets library ------------------------------------------------------------------


@given(st.binary(max_size=300) | st.integers(65_500, 65_600).map(bytes), st.sampled_from([frames.TEXT, frames.BINARY]))
def test_our_frames_are_what_websockets_reads(payload: bytes, opcode: int) -> None:
    server = ServerProtocol()
    server.receive_data(frames.hello("127.0.0.1", 80, "/v1/stream?x=1"))
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type]
    server.receive_data(frames.framed(opcode, payload))
    (frame,) = server.events_received()
    assert isinstance(frame, Frame) and (frame.opcode, bytes(frame.data)) == (opcode, payload)


@given(st.lists(st.binary(max_size=300) | st.just(bytes(70_000)), max_size=5), st.integers(1, 50))
def test_we_read_what_websockets_sends_however_it_is_cut(payloads: list[bytes], step: int) -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    sent = head + b"".join(Frame(Opcode.BINARY, payload).serialize(mask=False) for payload in payloads)
    reader, seen = frames.Reader(), []
    step = step if len(sent) < 5000 else step * 997
    for at in range(0, len(sent), step):
        seen += list(reader.feed(sent[at : at + step]))
    assert reader.status == 101 and seen == [(frames.BINARY, payload) for payload in payloads]


def test_an_answer_that_is_no_upgrade_is_seen() -> None:
    reader = frames.Reader()
    assert list(reader.feed(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")) == [] and reader.status == 403


# --- the server process ---------------------------------------------------------------------------------------


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(BenchError, match=r"status 3(.|\n)*there is no model"), Server([sys.executable, "-c", "print('there is no model'); exit(3)"]):
        pass


def test_a_command_that_is_not_there_says_so() -> None:
    with pytest.raises(BenchError, match="cannot be started"), Server(["/no/such/program"]):
        pass


def test_cpu_time_of_this_process() -> None:
    before = _stat(os.getpid())
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    after = _stat(os.getpid())
    assert before and after and after.ticks > before.ticks and after.parent == os.getppid()


@pytest.mark.slow
def test_two_streams_for_three_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VOXPROOF_MODEL", str(make_model(tmp_path / "toy")))
    out = tmp_path / "result.json"
    assert main(["streams", "--quick", "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    (row,) = report["parts"]["streams"]
    seen = row["streams"]
    assert (seen["held"], seen["done"], seen["segments"], seen["missing"], seen["dropped_ms"]) == (2, 2, 10, 0, 0)
    assert seen["lag_ms"]["count"] == 10 and 0 < seen["lag_ms"]["max"] < 10_000
    assert seen["pings_unanswered"] == 0 and seen["ping_ms"]["count"] == 4
    assert row["server"]["cpu_cores"] > 0 and row["server"]["rss_mb"] > 10 and row["generator"]["pacing_ms"]["count"] == 60
    assert report["model"]["name"] == "toy" and report["machine"]["cores"] >= 1 and report["machine"]["commit"]
    assert [table.title[:12] for table in tables(report)] == ["Live streams"]
    assert "Live streams" in capsys.readouterr().out
