"""The load generator, a process of its own: `python -m bench.generator` reads one spec as JSON and prints events and a result as JSON lines.

It reports its own CPU use and how late its frames left, so that a figure can be thrown away when the generator was what was measured.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

from bench import frames
from bench.figures import FRAME_MS, spread
from bench.loads import LOADS, Bench, Spec

FRAME_BYTES = 16000 * 2 * FRAME_MS // 1000


def main() -> None:
    spec = Spec(**json.load(sys.stdin))
    pcm = Path(spec.audio).read_bytes()
    audio = [frames.framed(frames.BINARY, pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)]
    gc.disable()  # a process of minutes; a collection would make frames late
    bench = Bench(spec, audio)
    marks: dict[str, tuple[float, float]] = {}

    def tell(event: str) -> None:
        marks[event] = (time.monotonic(), time.process_time())
        say({"event": event})

    result = asyncio.run(LOADS[spec.load](bench, tell))
    wall = marks["sent"][0] - marks["go"][0]
    cpu = marks["sent"][1] - marks["go"][1]
    result["generator"] = {"cpu_share": cpu / wall if wall else 0.0, "pacing_ms": spread(bench.pacing), "seconds": wall}
    say({"event": "result", "result": result})


def say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
