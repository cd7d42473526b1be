"""Parts `streams` and `capacity`: live WebSocket streams in real time, from another process."""

from __future__ import annotations

from typing import Any

from bench.drive import drive
from bench.loads import Spec
from bench.options import Options
from bench.server import Server
from bench.table import Table

NO_LIMIT = {"VOXPROOF_MAX_STREAMS": "10000"}


def streams(options: Options) -> list[dict[str, Any]]:
    """One row for each number of streams, each with a fresh server; stops after a row that is hopelessly late."""
    rows: list[dict[str, Any]] = []
    for count in options.streams:
        options.say(f"streams: {count} for {options.seconds:g} s")
        with Server(options.server_command(), {**NO_LIMIT, **options.settings}) as server:
            spec = Spec("steady", server.port, str(options.audio), streams=count, seconds=options.seconds)
            row = drive(server, spec, limit_s=options.seconds + 60 + count * 0.3)
        rows.append({"asked": count, **row})
        lag = row["streams"]["lag_ms"]["p99"]
        if lag is None or lag > options.enough_lag_ms:
            break
    return rows


def streams_table(rows: list[dict[str, Any]], seconds: float) -> Table:
    table = Table(
        f"Live streams, {seconds:g} s each in real time, 100 ms frames, hop 0.5 s",
        [
            "streams", "held", "lag p50 ms", "p95", "p99", "max", "server's p99", "missing", "dropped, lagging", "ping p99/max ms",
            "server cores (loop)", "RSS MB", "generator", "late p99/max ms", "others", "valid",
        ],
    )  # fmt: skip
    for row in rows:
        seen, server, own = row["streams"], row["server"], row["generator"]
        lag, ping, pacing = seen["lag_ms"], seen["ping_ms"], own["pacing_ms"]
        table.rows.append([
            row["asked"], seen["held"], lag["p50"], lag["p95"], lag["p99"], lag["max"], seen["server_latency_ms"]["p99"],
            f"{seen['missing']} of {seen['expected']}", sum(_alarms(seen).values()), f"{ping['p99'] or 0:.1f}/{ping['max'] or 0:.0f}",
            f"{server['cpu_cores']:.2f} ({server['loop_cores']:.2f})", server["rss_mb"], f"{own['cpu_share']:.0%}",
            f"{pacing['p99'] or 0:.1f}/{pacing['max'] or 0:.0f}", server["others_cores"], row["invalid"] is None,
        ])  # fmt: skip
        for name, value in _oddities(row).items():
            table.notes.append(f"{row['asked']} streams: {name} {value}")
    table.notes.append(
        "lag: from sending the frame with a segment's last sample to receiving the segment, seen by the client; generator: share of a core; "
        "others: cores used by other programs meanwhile; missing: segments not received of those expected."
    )
    return table


def _oddities(row: dict[str, Any]) -> dict[str, Any]:
    """What a reader must know beside the numbers."""
    seen = row["streams"]
    out = {"INVALID:": row["invalid"], "warnings": _alarms(seen), "errors": seen["errors"], "problems": seen["problems"]}
    out |= {"dropped ms": seen["dropped_ms"], "pings unanswered": seen["pings_unanswered"]}
    if seen["done"] != seen["held"]:
        out["ended properly:"] = f"{seen['done']} of {seen['held']}"
    if row["refusals"]["count"]:
        out["refused:"] = row["refusals"]
    return {name: value for name, value in out.items() if value}


def _alarms(seen: dict[str, Any]) -> dict[str, int]:
    """Warnings that speak of the server; the others (narrowband, low level) speak of the audio."""
    return {code: count for code, count in seen["warnings"].items() if code in ("dropped_audio", "lagging")}


def capacity(options: Options) -> dict[str, Any]:
    """Default admission settings: how many come in, how the others are refused, and what that does to those inside."""
    options.say("capacity: until the server refuses, then 50 % more knock")
    most, small = (30, {"VOXPROOF_MAX_STREAMS": "10"}) if options.quick else (1000, {})
    with Server(options.server_command(), {**small, **options.settings}) as server:
        spec = Spec(
            "ramp", server.port, str(options.audio), streams=most, seconds=options.hold_seconds, per_second=options.ramp_per_second
        )
        return {**drive(server, spec, limit_s=most / options.ramp_per_second + options.hold_seconds + 120), "settings": {**small, **options.settings}}


def capacity_table(result: dict[str, Any]) -> Table:
    refused, seen, server = result["refusals"], result["streams"], result["server"]
    before, after = result["lag_before_ms"], result["lag_while_knocking_ms"]
    table = Table("Capacity with default admission settings", ["what", "figure"])
    table.rows = [
        ["streams let in before the first refusal", result["held"]],
        ["let in later, when there was room again", result["admitted_later"]],
        ["knocked meanwhile", result["knockers"]],
        ["refusals", refused["count"]],
        ["of them with server_full, close 4503 and retry_after_ms", refused["polite"]],
        ["retry_after_ms", ", ".join(map(str, refused["retry_after_ms"])) or None],
        ["lag while filling p50/p95/p99/max ms", _four(before)],
        ["lag while others knock p50/p95/p99/max ms", _four(after)],
        ["segments missing", seen["missing"]],
        ["ping p99/max ms", f"{seen['ping_ms']['p99'] or 0:.1f}/{seen['ping_ms']['max'] or 0:.1f}"],
        ["server cores, of it loop", f"{server['cpu_cores']:.2f}, {server['loop_cores']:.2f}"],
        ["others' cores meanwhile", server["others_cores"]],
    ]
    table.notes = [f"refused: {text!r} x {count}" for text, count in refused["messages"].items()]
    for name, values in (("warnings", _alarms(seen)), ("errors", seen["errors"]), ("problems", seen["problems"])):
        if values:
            table.notes.append(f"{name}: {values}")
    if result["invalid"]:
        table.notes.append(f"INVALID: {result['invalid']}")
    if result["settings"]:
        table.notes.append(f"not the default: {result['settings']}")
    return table


def _four(values: dict[str, Any]) -> str:
    return "/".join("-" if values[name] is None else f"{values[name]:.0f}" for name in ("p50", "p95", "p99", "max"))
