"""Results as text: what a person reads."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import pytest

from app.cli import show


def verdict(at_ms: int, name: str, state: str = "stable", channel: int = 0, score: float | None = 0.9) -> dict[str, Any]:
    return {"type": "verdict", "as_of_ms": at_ms, "channel": channel, "verdict": name, "state": state, "score": score, "speech_ms": at_ms}


def unstyled(line: str) -> str:
    return re.sub("\x1b\\[[0-9;]*m", "", line)


def said(live: show.Live, *messages: dict[str, Any]) -> list[str]:
    return [unstyled(line).strip() for message in messages if (line := live.line(message)) is not None]


def test_a_verdict_is_said_when_it_changes() -> None:
    found = said(
        show.Live(1),
        verdict(1000, "uncertain", "warming", score=None),
        verdict(1500, "uncertain", "provisional", score=0.5),
        verdict(2000, "uncertain", "provisional", score=0.6),
        verdict(2500, "spoof"),
        verdict(3000, "spoof"),
    )
    assert found == [
        "0:01.0  uncertain  warming, speech 1.0 s",
        "0:01.5  uncertain  provisional, score 0.500, speech 1.5 s",
        "0:02.5  spoof      stable, score 0.900, speech 2.5 s",
    ]


def test_channels_are_told_apart_and_times_may_be_shifted() -> None:
    live = show.Live(2)
    live.offset_ms = 60_000
    found = said(live, verdict(1000, "spoof"), verdict(1000, "spoof", channel=1), verdict(1500, "spoof"))
    assert found == ["1:01.0  [1] spoof      stable, score 0.900, speech 1.0 s", "1:01.0  [2] spoof      stable, score 0.900, speech 1.0 s"]


def test_alerts_warnings_and_errors_are_said() -> None:
    found = said(
        show.Live(1),
        {"type": "alert", "at_ms": 2500, "rule": "spoof_onset", "channel": 0, "score": 0.97, "cleared": False},
        {"type": "alert", "at_ms": 9000, "rule": "spoof_onset", "channel": 0, "score": None, "cleared": True},
        {"type": "warning", "code": "dropped_audio", "message": "Dropped.", "range_ms": [3000, 4000]},
        {"type": "warning", "code": "lagging", "message": "Late."},
        {"type": "error", "code": "bad_json", "message": "What?", "fatal": False},
        {"type": "ack", "received_ms": 1000, "processed_ms": 500},
        {"type": "something", "new": True},
    )
    assert found == [
        "0:02.5  ALERT      spoof onset, score 0.970",
        "0:09.0  over       spoof onset",
        "0:03.0  warning    dropped_audio: Dropped.",
        "warning    lagging: Late.",
        "error      bad_json: What?",
    ]


def test_the_summary() -> None:
    channel = {"channel": 0, "label": "caller", "verdict": "spoof", "score": 0.93, "speech_ms": 7900}
    done = {
        "verdict": "spoof", "score": 0.93, "speech_ms": 7900, "duration_ms": 65_000, "dropped_ms": 1500,
        "channels": [channel, {**channel, "channel": 1, "label": None, "verdict": "no_speech", "score": None, "speech_ms": 0}],
        "spoof_ranges": [{"channel": 0, "start_ms": 2000, "end_ms": 6000, "score": 0.9}],
    }  # fmt: skip
    assert [unstyled(line) for line in show.Live(2).done(done)] == [
        "Verdict: spoof, score 0.930, speech 7.9 s of 1:05 min.",
        "Channel 1 (caller): spoof, score 0.930, speech 7.9 s.",
        "Channel 2: no_speech, speech 0.0 s.",
        "Spoofed: 1: 0:02.0-0:06.0.",
        "Dropped: 1.5 s of the audio were not scored.",
    ]


def test_text_from_outside_cannot_steer_a_terminal() -> None:
    name = "a\x1b[2Jb\n\udcff.wav"
    assert show.clean(name) == "a\ufffd[2Jb\ufffd\ufffd.wav"
    warning = {"type": "warning", "code": "lagging", "message": "\x1b]0;owned\x07"}
    assert "\x1b" not in unstyled(show.Live(1).line(warning) or "")
    assert show.row({"file": name, "error": {"code": "x", "message": "m"}})[0].isprintable()


def test_a_hundred_ranges_are_not_listed() -> None:
    found = [{"channel": 0, "start_ms": at * 10_000, "end_ms": at * 10_000 + 3000} for at in range(100)]
    assert show.ranges({"channels": [{}], "spoof_ranges": found}).endswith("0:50.0-0:53.0 and 94 more")


@pytest.mark.parametrize(("ms", "span", "clock"), [(0, "0.0 s", "0:00.0"), (59_940, "59.9 s", "0:59.9"), (3_723_400, "62:03 min", "1:02:03.4")])
def test_times(ms: int, span: str, clock: str) -> None:
    assert show.span(ms) == span and show.clock(ms) == clock


def test_the_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    outcome = {
        "file": "[red]odd[/red].wav", "verdict": "spoof", "score": 0.91, "speech_ms": 4000, "duration_ms": 5000, "channels": [{}], "warnings": [],
        "spoof_ranges": [{"channel": 0, "start_ms": 0, "end_ms": 5000}],
    }  # fmt: skip
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    show.table([outcome, {"file": "b.wav", "error": {"code": "not_found", "message": "There is no such file."}}])
    text = screen.getvalue()
    assert "\x1b[31mspoof" in text and "[red]odd[/red].wav" in text and "0:00.0-0:05.0" in text and "There is no such file." in text
