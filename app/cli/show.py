"""Results as text: a table for a terminal or a pipe, JSON lines, and the lines of a live stream. Values in, text out; only `table` and the
`…line` functions print.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

COLOURS = {"spoof": "red", "bonafide": "green", "uncertain": "yellow", "error": "red"}  # others stay plain

MOST_RANGES = 6  # then a person wants --json

COLUMNS = ("file", "verdict", "score", "speech", "length", "spoofed")


def json_line(content: Any) -> None:
    typer.echo(json.dumps(content, separators=(",", ":"), allow_nan=False))


# --- checked files ------------------------------------------------------------------------------------------


def table(outcomes: Sequence[dict[str, Any]]) -> None:
    """One row per file; with colours and lines on a terminal, else words under each other. Notes follow."""
    rows = [row(outcome) for outcome in outcomes]
    if sys.stdout.isatty():
        _rich_table(rows)
    else:
        for line in plain_table(rows):
            typer.echo(line)
    for line in notes(outcomes):
        typer.echo(line)


def row(outcome: dict[str, Any]) -> tuple[str, ...]:
    name = clean(outcome["file"])
    if "error" in outcome:
        return name, "error", "", "", "", outcome["error"]["message"]
    score = "" if outcome["score"] is None else f"{outcome['score']:.3f}"
    return name, outcome["verdict"], score, span(outcome["speech_ms"]), span(outcome["duration_ms"]), ranges(outcome)


def ranges(outcome: dict[str, Any]) -> str:
    """The first spoofed stretches, with the channel's number where there are several."""
    many, shown = len(outcome["channels"]) > 1, outcome["spoof_ranges"][:MOST_RANGES]
    found = [(f"{each['channel'] + 1}: " if many else "") + f"{clock(each['start_ms'])}-{clock(each['end_ms'])}" for each in shown]
    more = len(outcome["spoof_ranges"]) - len(shown)
    return ", ".join(found) + (f" and {more} more" if more else "")


def plain_table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Columns padded with blanks; no line is cut, whatever the width."""
    cells = [COLUMNS, *rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    for line in cells:
        padded = [cell.rjust(width) if 2 <= at <= 4 else cell.ljust(width) for at, (cell, width) in enumerate(zip(line, widths, strict=True))]
        yield "  ".join(padded).rstrip()


def notes(outcomes: Iterable[dict[str, Any]]) -> Iterable[str]:
    """What was odd about a file, and the channels of one with two."""
    for outcome in outcomes:
        name = clean(outcome["file"])
        for channel in outcome.get("channels", []) if len(outcome.get("channels", [])) > 1 else []:
            score = "" if channel["score"] is None else f", score {channel['score']:.3f}"
            yield f"{name}: channel {channel['channel'] + 1}: {channel['verdict']}{score}, speech {span(channel['speech_ms'])}"
        for warning in outcome.get("warnings", []):
            channel = f"channel {warning['channel'] + 1}: " if "channel" in warning and len(outcome["channels"]) > 1 else ""
            yield f"{name}: {channel}{warning['code']}: {clean(warning['message'])}"


def _rich_table(rows: Iterable[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for at, column in enumerate(COLUMNS):
        drawn.add_column(column, justify="right" if 2 <= at <= 4 else "left", overflow="fold")
    for cells in rows:
        colour = COLOURS.get(cells[1], "")
        drawn.add_row(Text(cells[0]), Text(cells[1], colour), *map(Text, cells[2:]), style=colour if cells[1] == "error" else "")
    Console().print(drawn)


# --- a live stream ------------------------------------------------------------------------------------------


class Live:
    """The server's messages as lines: a verdict only when it is another one than before. `offset_ms` is added to every time."""

    def __init__(self, channels: int) -> None:
        self._many = channels > 1
        self._said: dict[int, tuple[str, str]] = {}
        self.offset_ms = 0

    def line(self, message: dict[str, Any]) -> str | None:
        name = message["type"]
        if name == "ready":
            model = message["model"]
            return None if "resume" in message else f"Listening with model {clean(model['name'])} {clean(model['version'])}."
        if name == "verdict":
            return self._verdict(message)
        if name == "alert":
            what = "over" if message["cleared"] else "ALERT"
            return self._line(message, message["at_ms"], what, message["rule"].replace("_", " ") + _score(message))
        if name == "warning":
            at_ms = (message.get("range_ms") or [None])[0]
            return self._line(message, at_ms, "warning", f"{message['code']}: {message['message']}")
        if name == "error":
            return self._line(message, None, "error", f"{message['code']}: {message['message']}")
        return None

    def done(self, message: dict[str, Any]) -> list[str]:
        """The summary: the verdict over everything, each channel's where there are two, and the spoofed stretches."""
        lines = [f"Verdict: {_coloured(message['verdict'])}{_score(message)}, speech {span(message['speech_ms'])} of {span(message['duration_ms'])}."]
        for channel in message["channels"] if len(message["channels"]) > 1 else []:
            label = f" ({clean(channel['label'])})" if channel.get("label") else ""
            lines.append(f"Channel {channel['channel'] + 1}{label}: {channel['verdict']}{_score(channel)}, speech {span(channel['speech_ms'])}.")
        if message["spoof_ranges"]:
            lines.append(f"Spoofed: {ranges(message)}.")
        if message["dropped_ms"]:
            lines.append(f"Dropped: {span(message['dropped_ms'])} of the audio were not scored.")
        return lines

    def _verdict(self, message: dict[str, Any]) -> str | None:
        now = message["verdict"], message["state"]
        if self._said.get(message["channel"]) == now:
            return None
        self._said[message["channel"]] = now
        text = f"{message['state']}{_score(message)}, speech {span(message['speech_ms'])}"
        return self._line(message, message["as_of_ms"], message["verdict"], text)

    def _line(self, message: dict[str, Any], at_ms: int | None, what: str, text: str) -> str:
        time = "" if at_ms is None else clock(at_ms + self.offset_ms)
        channel = f"[{message['channel'] + 1}] " if self._many and message.get("channel") is not None else ""
        return f"{time:>9}  {channel}{_coloured(what, 9)}  {clean(text)}".rstrip()


def _score(message: dict[str, Any]) -> str:
    return "" if message["score"] is None else f", score {message['score']:.3f}"


def _coloured(word: str, width: int = 0) -> str:
    colour = COLOURS.get(word, "red" if word == "ALERT" else None)
    return typer.style(f"{clean(word):<{width}}", fg=colour)


# --- words --------------------------------------------------------------------------------------------------


def span(ms: int) -> str:
    """A length of time: `8.0 s`, `12:34 min`."""
    return f"{ms / 1000:.1f} s" if ms < 60_000 else f"{ms // 60_000}:{ms // 1000 % 60:02d} min"


def clock(ms: int) -> str:
    """A point in time: `0:07.5`, `1:02:03.0`."""
    tenths = ms // 100
    hours, minutes, seconds = tenths // 36_000, tenths // 600 % 60, tenths // 10 % 60
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{seconds:02d}.{tenths % 10}"


def clean(text: str) -> str:
    """Text from outside, without what would move a terminal's cursor or cannot be printed."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
