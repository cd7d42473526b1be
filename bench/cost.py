"""Part `cost`: what the detector alone costs, in this process, one thread. `python -m bench.cost` runs it: threads are set before numpy loads.

Real audio goes through `Session`s, the windows they ask for through the scorer; CPU time of this thread is counted, so that other
programs on the machine do not show. The yardstick, a fixed matrix product, is timed in between.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from bench.drive import run_python
from bench.options import Options
from bench.server import environment
from bench.table import Table

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
PRODUCT = 512
# shared/data/README.md: onnxruntime, one thread, a 2-core machine. A window of 4 s every 0.5 s is two of them a second.
AASIST_QUOTED = "230 to 300 ms a 4 s window (quoted from shared/data/README.md, not measured here): 460 to 600 ms a second of audio at this hop"


def cost(options: Options) -> dict[str, Any]:
    options.say("cost: the detector alone")
    spec = {"audio": str(options.audio), "seconds": options.cost_seconds, "batches": options.cost_batches}
    env = {**environment(), **ONE_THREAD, **options.settings}
    return dict(json.loads(run_python(["-m", "bench.cost"], json.dumps(spec), timeout_s=300, env=env)))


def main() -> None:
    from pathlib import Path

    import numpy as np

    from app.main import load_detector
    from app.settings import Settings

    spec = json.load(sys.stdin)
    detector = load_detector(Settings(_env_file=None))  # type: ignore[call-arg]
    pcm = np.fromfile(spec["audio"], np.int16)
    a, b = np.random.default_rng(0).standard_normal((2, PRODUCT, PRODUCT)).astype(np.float32)
    products: list[float] = []

    def product() -> None:
        began = time.thread_time()
        for _ in range(20):
            a @ b
        products.append((time.thread_time() - began) / 20)

    rows = []
    for batch in spec["batches"]:
        run(detector, pcm, batch, 2.0)  # warm
        least: dict[str, Any] | None = None
        for _ in range(3):
            product()
            figure = run(detector, pcm, batch, spec["seconds"])
            if least is None or figure["scorer_ms"] < least["scorer_ms"]:
                least = figure
        rows.append(least)
        product()
    product_ms = float(np.median(products)) * 1000
    info = detector.model.info
    json.dump({"rows": rows, "product_ms": product_ms, "product": PRODUCT, "model": {"name": info.name, "sha256": info.sha256},
               "megabytes": sum(p.stat().st_size for p in _files(detector, Path)) / 1e6}, sys.stdout)  # fmt: skip


def _files(detector: Any, path: Any) -> list[Any]:
    from app.assets import asset_dir
    from app.settings import Settings

    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    named = (settings.models_dir or asset_dir("models")) / settings.model
    folder = named if named.is_dir() else path(settings.model)
    return [folder / name for name in detector.card.files]


def run(detector: Any, pcm: Any, batch: int, seconds: float) -> dict[str, Any]:
    """`batch` sessions in step, fed 100 ms frames; ms of CPU a second of audio, of the scorer and of the session around it."""
    from app.core import wire
    from app.core.messages import Limits
    from app.core.session import Session

    limits = Limits(max_session_seconds=7200, idle_timeout_seconds=0, max_frame_bytes=0, max_buffer_seconds=10)
    start = wire.Start(audio=wire.Audio(encoding="pcm_s16le", sample_rate=16000, channels=1))
    sessions = [Session(f"s{n}", "", detector.model, limits, start) for n in range(batch)]
    at = [n * 48000 % len(pcm) for n in range(batch)]
    scoring = 0.0
    windows_scored = 0
    began = time.thread_time()
    for _ in range(round(seconds * 10)):
        asked = []
        for n, session in enumerate(sessions):
            piece = pcm[at[n] : at[n] + 1600]
            at[n] = at[n] + 1600 if at[n] + 3200 <= len(pcm) else 0
            session.receive_bytes(piece.tobytes())
            asked += [(session, window) for window in session.windows()]
        if asked:
            scored_from = time.thread_time()
            scores = detector.scorer.score([window for _, window in asked])
            scoring += time.thread_time() - scored_from
            windows_scored += len(asked)
            for (session, window), score in zip(asked, scores, strict=True):
                session.scored(window, score)
        for session in sessions:
            for message in session.messages():
                wire.encode(message)
    whole = time.thread_time() - began
    audio_s = seconds * batch
    return {
        "batch": batch, "scorer_ms": scoring * 1000 / audio_s, "session_ms": (whole - scoring) * 1000 / audio_s,
        "windows": windows_scored, "window_ms": scoring * 1000 / max(1, windows_scored), "audio_s": audio_s,
    }  # fmt: skip


def cost_table(result: dict[str, Any]) -> Table:
    product = result["product_ms"]
    table = Table(
        "Cost of one second of audio, streaming at 0.5 s hop, overlap included, one thread",
        ["batch", "detector ms", "ms a window", f"in {result['product']}^3 products", "session and JSON ms", "streams a core"],
    )
    for row in result["rows"]:
        total = row["scorer_ms"] + row["session_ms"]
        table.rows.append([
            row["batch"], row["scorer_ms"], row["window_ms"], row["scorer_ms"] / product, row["session_ms"], round(1000 / total) if total else None,
        ])  # fmt: skip
    table.notes = [
        f"CPU time, best of 3; one {result['product']} x {result['product']} x {result['product']} float32 product: {product:.2f} ms; "
        f"model files {result['megabytes']:.2f} MB; no network in it.",
        f"for comparison, AASIST: {AASIST_QUOTED}.",
    ]
    return table


if __name__ == "__main__":
    main()
