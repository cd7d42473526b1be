"""`python -m bench [part ...]`: measures the server on this machine and prints tables. Traffic goes to 127.0.0.1 only.

Without arguments every part runs, in six to seven minutes; `--quick` takes less than one and its figures mean little.
"""

from __future__ import annotations

import argparse
import datetime
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import access, audio, cost, live, machine, rest
from bench.drive import others_running
from bench.figures import rounded
from bench.options import Options
from bench.server import ROOT, BenchError, Server
from bench.table import Table
from bench.targets import targets_table

PARTS: dict[str, Callable[[Options], Any]] = {
    "startup": rest.startup,
    "cost": cost.cost,
    "streams": live.streams,
    "capacity": live.capacity,
    "files": rest.files,
    "memory": rest.memory,
    "access": access.access,
}
AUDIO_SECONDS = 60


def main(arguments: list[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    if asked.show:
        print(show(json.loads(asked.show.read_text("utf-8")), markdown=asked.markdown))
        return 0
    with tempfile.TemporaryDirectory(prefix="voxproof-bench-") as folder:
        try:
            report = measure(options_from(asked, Path(folder)), asked.parts or list(PARTS))
        except BenchError as exc:
            print(f"bench: {exc}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("bench: stopped", file=sys.stderr)
            return 130
    path = asked.json or _result_path(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rounded(report), indent=1) + "\n", "utf-8")
    print(show(report, markdown=asked.markdown))
    print(f"\nwritten to {path}", file=sys.stderr)
    return 0


def measure(options: Options, parts: list[str]) -> dict[str, Any]:
    """Everything asked for, in order. A part that fails is reported and the others still run; BenchError when the server does not start."""
    busy = others_running()
    if busy > 0.2:
        options.say(f"other programs are using {busy:.1f} cores: the figures will be worse than this machine's")
    samples, what = audio.speech(AUDIO_SECONDS)
    samples.tofile(options.audio)
    with Server(options.server_command(), options.settings) as server:
        model = server.info.get("model", {})
    report: dict[str, Any] = {
        "machine": {**machine.record(), "others_cores_before": busy}, "model": model, "audio": what, "settings": options.settings,
        "seconds": options.seconds, "quick": options.quick, "parts": {},
    }  # fmt: skip
    for name in PARTS:
        if name in parts:
            began = time.monotonic()
            try:
                report["parts"][name] = PARTS[name](options)
            except BenchError as exc:
                report.setdefault("failed", {})[name] = str(exc)
                options.say(f"{name} failed: {exc}")
            options.say(f"{name}: took {time.monotonic() - began:.0f} s")
    return report


def show(report: dict[str, Any], *, markdown: bool = False) -> str:
    facts = report["machine"]
    model = report["model"]
    lines = [
        f"Voxproof {facts['commit']} on {facts['date']}{' (quick: figures mean little)' if report['quick'] else ''}",
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB, {facts['kernel']}, Python {facts['python']}, "
        f"onnxruntime {facts['onnxruntime']}; others used {facts['others_cores_before']:.2f} cores before",
        f"model {model.get('name')} {model.get('version')} ({str(model.get('sha256'))[:12]}), audio: {report['audio']}",
    ]
    if report["settings"]:
        lines.append(f"settings: {report['settings']}")
    lines += [f"{name} FAILED: {text}" for name, text in report.get("failed", {}).items()]
    shown = [table.markdown() if markdown else table.text() for table in tables(report)]
    return "\n\n".join(["  \n".join(lines) if markdown else "\n".join(lines), *shown])


def tables(report: dict[str, Any]) -> list[Table]:
    parts = report["parts"]
    makers: dict[str, Callable[[Any], Table]] = {
        "streams": lambda rows: live.streams_table(rows, report["seconds"]),
        "capacity": live.capacity_table,
        "files": rest.files_table,
        "startup": rest.startup_table,
        "memory": rest.memory_table,
        "cost": cost.cost_table,
        "access": access.access_table,
    }
    made = [make(parts[name]) for name, make in makers.items() if parts.get(name)]
    targets = targets_table(report)
    return [*made, targets] if targets.rows and not report["quick"] else made


def options_from(asked: argparse.Namespace, folder: Path) -> Options:
    options = Options(audio=folder / "speech.s16", say=lambda text: print(text, file=sys.stderr, flush=True))
    if asked.quick:
        options = replace(
            options, quick=True, seconds=3.0, streams=(2,), ramp_per_second=20.0, hold_seconds=3.0, starts=1, file_seconds=(10,),
            file_kinds=("wav", "webm"), files_budget_s=0.5, memory_streams=10, memory_seconds=2.0, sessions=(4, 12), session_seconds=1.5,
            cost_seconds=3.0, access_blocks=2,
        )  # fmt: skip
    given = {"seconds": asked.seconds, "streams": asked.streams, "hold_seconds": asked.hold, "ramp_per_second": asked.ramp, "starts": asked.starts}
    options = replace(options, **{name: value for name, value in given.items() if value is not None})
    if asked.command:
        options = replace(options, command=tuple(asked.command.split()))
    return replace(options, settings=dict(asked.set))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench", description="Measures the Voxproof server on this machine.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="part", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="everything, small: a smoke test of the bench itself")
    parser.add_argument("--seconds", type=_at_most(3600.0), help="audio of each live stream (20)")
    parser.add_argument("--streams", type=_counts, help="numbers of live streams, with commas (1,10,50,100,150,200,250,300,400)")
    parser.add_argument("--hold", type=_at_most(3600.0), help="capacity: seconds that others knock (20)")
    parser.add_argument("--ramp", type=_at_most(200.0), help="capacity: new streams a second (5)")
    parser.add_argument("--starts", type=int, choices=range(1, 51), metavar="1..50", help="startup: how often (5)")
    parser.add_argument("--set", type=_setting, action="append", default=[], metavar="VOXPROOF_NAME=VALUE", help="a setting of the server")
    parser.add_argument("--command", help="how to start the server (voxproof serve); VOXPROOF_PORT names its port, {port} is replaced")
    parser.add_argument("--json", type=Path, help="where to write the results (bench/results/…)")
    parser.add_argument("--show", type=Path, metavar="FILE", help="measure nothing: print the tables of an earlier result")
    parser.add_argument("--markdown", action="store_true", help="print Markdown, for the README")
    return parser


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(int(part) for part in text.split(","))
    if not all(1 <= count <= 2000 for count in counts):
        raise argparse.ArgumentTypeError("a number of streams is 1..2000")
    return counts


def _at_most(most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"must be above 0 and at most {most:g}")
        return value

    return number


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.startswith("VOXPROOF_"):
        raise argparse.ArgumentTypeError("write VOXPROOF_NAME=VALUE")
    return name, value


def _result_path(report: dict[str, Any]) -> Path:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    return ROOT / "bench" / "results" / f"{now}-{report['machine']['commit'].replace(' ', '-')}.json"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `with` blocks end their processes
    sys.exit(main())
