"""`python -m bench.page`: what the page costs a browser. Loading, drawing, memory of hours, and how soon a verdict is on the screen; in a real
Chromium, against a server of its own. `--shots FOLDER` measures nothing and takes a picture of every state instead.

Figures of a shared machine are worth what the machine is: what others used of it is printed with them. Memory and bytes are exact all the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from bench import audio, browser, machine
from bench.drive import others_running
from bench.server import BenchError, Server
from bench.states import known, report, show
from bench.table import Table

HOURS = Path(__file__).with_name("hours.js").read_text("utf-8")
MIC_RATE = 48000
LEAD_S = 1.5  # silence before the speech, so that its beginning is seen
AFTER_MINUTES = (1, 60, 120)
ANSWERS = 5
LOOKS: dict[str, dict[str, Any]] = {
    "": {}, "dark": {"color_scheme": "dark"}, "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
    "phone-dark": {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "color_scheme": "dark"},
    "wide": {"viewport": {"width": 1600, "height": 1000}},
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m bench.page", description="Measures the page in Chromium on this machine.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="part", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--shots", type=Path, metavar="FOLDER", help="take pictures of every state instead")
    parser.add_argument("--only", help="with --shots: only names that contain this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--markdown", action="store_true", help="print Markdown, for the README")
    asked = parser.parse_args(arguments)
    if not browser.CHROMIUM.exists():
        print(f"bench: there is no {browser.CHROMIUM} (Debian: apt-get install chromium)", file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory(prefix="voxproof-page-") as folder, Server() as server:
            url = f"http://127.0.0.1:{server.port}/"
            if asked.shots:
                print(f"{shots(url, asked.shots, asked.only or '')} pictures in {asked.shots}")
                return 0
            figures = {"machine": {**machine.record(), "others_cores_before": others_running()}, "parts": {}}
            for name, part in PARTS.items():
                if name in (asked.parts or PARTS):
                    print(f"{name} …", file=sys.stderr, flush=True)
                    figures["parts"][name] = part(url, Path(folder))
    except BenchError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    facts = figures["machine"]
    print(f"{facts['commit']}, {facts['date']}; {facts['cpu']}, {facts['cores']} cores; others used {facts['others_cores_before']:.1f} cores before")
    for table in tables(figures["parts"]):
        print("\n" + (table.markdown() if asked.markdown else table.text()))
    return 0


# --- the parts ----------------------------------------------------------------------------------------------


def loading(url: str, _folder: Path) -> Any:
    with browser.chromium() as chromium:
        return {"here": browser.load(chromium, url), "slow": browser.load(chromium, url, slow=True)}


def drawing(url: str, folder: Path) -> Any:
    """While it listens to speech: frames and work, and whether anything moved."""
    with browser.chromium(microphone(folder, 40)) as chromium:
        page = browser.opened(chromium, url)
        page.wait_for_timeout(1000)
        rest = browser.work(page, 4)
        page.click("#primary")
        page.wait_for_selector("main[data-phase=listening]")
        page.wait_for_timeout(6000)
        moved = page.evaluate("noted.shift")
        work, frames = browser.work(page, 8), browser.frames(page, 8)
        in_all = page.evaluate("noted.shift")
        return {"rest": rest, "work": work, "frames": frames, "shift": round(in_all - moved, 5), "shift_in_all": round(in_all, 5)}


def memory(url: str, _folder: Path) -> Any:
    with browser.chromium() as chromium:
        page = browser.opened(chromium, url)
        page.set_default_timeout(0)
        tools = page.context.new_cdp_session(page)
        rows, done = [{"minutes": 0, **browser.heap_bytes(tools)}], 0
        for minutes in AFTER_MINUTES:
            drove = page.evaluate(HOURS, {"minutes": minutes - done, "rate": MIC_RATE})
            rows.append({"minutes": minutes, **browser.heap_bytes(tools), "times_real": round((minutes - done) * 60 / drove["took_s"])})
            done = minutes
        rows[-1]["frames"] = browser.frames(page, 3)
        return rows


def answering(url: str, folder: Path) -> Any:
    """From the end of the second second of speech to the verdict painted, several times."""
    rows = []
    wav = microphone(folder, 15)
    for _ in range(ANSWERS):
        with browser.chromium(wav) as chromium:
            rows.append(browser.answer(browser.opened(chromium, url)))
    return rows


PARTS: dict[str, Callable[[str, Path], Any]] = {"loading": loading, "drawing": drawing, "memory": memory, "answering": answering}


def microphone(folder: Path, seconds: float) -> Path:
    """A WAV for the fake microphone: silence, then speech."""
    samples, _ = audio.speech(seconds)
    sound = np.concatenate([np.zeros(round(LEAD_S * audio.RATE)), samples / 32768]).astype(np.float32)
    path = folder / f"speech-{seconds:g}.wav"
    soundfile.write(path, soxr.resample(sound, audio.RATE, MIC_RATE), MIC_RATE, subtype="PCM_16")
    return path


# --- tables -------------------------------------------------------------------------------------------------


def tables(parts: dict[str, Any]) -> list[Table]:
    out = []
    if rows := parts.get("loading"):
        table = Table("First visit", ["", "requests", "KB sent", "KB unpacked", "first paint ms", "ready ms", "blocked ms", "layout shift"])
        for name, words in {"here": "this machine", "slow": "400 kbit/s, 400 ms, CPU 4 times slower"}.items():
            row = rows[name]
            sizes = [row["bytes"] / 1000, row["decoded_bytes"] / 1000]
            table.rows.append([words, row["requests"], *sizes, row["painted_ms"], row["ready_ms"], row["blocked_ms"], round(row["shift"], 4)])
        out.append(table)
    if row := parts.get("drawing"):
        table = Table("While listening", ["", "main thread", "script", "layout and style", "process"])
        for name, words in {"rest": "before", "work": "listening"}.items():
            one = row[name]
            cells = [one["TaskDuration"], one["ScriptDuration"], one["LayoutDuration"] + one["RecalcStyleDuration"], one["process"]]
            table.rows.append([words, *(f"{100 * cell:.1f} %" for cell in cells)])
        frames = row["frames"]
        late = f"{100 * frames['late_share']:.1f} % later than 25 ms"
        table.notes = [
            f"frames: p50 {frames['p50_ms']} ms, p95 {frames['p95_ms']} ms, p99 {frames['p99_ms']} ms, {late}",
            f"layout shift while listening: {row['shift']} (from opening on: {row['shift_in_all']}).",
            "Shares of one core; `process` is all of the page's process, which also paints (without a graphics card) and hears.",
        ]
        out.append(table)
    if rows := parts.get("memory"):
        table = Table("Memory of one session, after collecting garbage", ["minutes", "JS heap MB", "buffers MB", "process MB", "times real time"])
        table.rows = [[row["minutes"], row["heap_mb"], row["buffers_mb"], row["process_mb"], row.get("times_real")] for row in rows]
        frames = rows[-1]["frames"]
        table.notes = [
            f"frames after the last: p50 {frames['p50_ms']} ms, p95 {frames['p95_ms']} ms.",
            "The recording itself (345 MB an hour at 48 kHz) lies in Blobs: outside the page's process, and on disk when they are many.",
        ]
        out.append(table)
    if rows := parts.get("answering"):
        waits = sorted(row["wait_ms"] for row in rows if row["wait_ms"] is not None)
        table = Table("From the end of the second second of speech to the verdict on the screen", ["times", "least ms", "middle ms", "most ms"])
        table.rows = [[len(waits), waits[0] if waits else None, browser.middle(waits), waits[-1] if waits else None]]
        table.notes = ["Negative: it was there before. " + (f"{len(rows) - len(waits)} gave none in 20 s." if len(rows) > len(waits) else "")]
        out.append(table)
    return out


# --- pictures -----------------------------------------------------------------------------------------------


def shots(url: str, folder: Path, only: str) -> int:
    """Every state, and some of them in the dark, on a phone and in Hindi."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with browser.chromium() as chromium:
        for look, context in LOOKS.items():
            page = browser.opened(chromium, url, **{"viewport": {"width": 1200, "height": 900}, **context})
            states, troubles = known(page)
            few = ["idle", "spoof", "uncertain", "paused", "file_ranges", "history", "failed"]
            wanted = [(state, None) for state in (few if look else states) if state != "failed"]
            wanted += [("failed", trouble) for trouble in (troubles if not look else ["denied", "full"])]
            for language in ("en", "hi"):
                for state, trouble in wanted if language == "en" else [(state, None) for state in few if state != "failed"]:
                    name = "-".join(part for part in (state.replace("_", "-"), trouble, look, "" if language == "en" else language) if part)
                    if only and only not in name:
                        continue
                    show(page, state, language=language, detail=trouble)
                    page.evaluate("document.querySelector('.chart').scrollIntoView()")  # what nobody sees is not drawn
                    page.wait_for_timeout(250)
                    page.evaluate("scrollTo(0, 0)")
                    page.screenshot(path=folder / f"{name}.png", full_page=True)
                    count += 1
            if not only or only in "report":
                show(page, "file_ranges", language="en")
                page.goto(report(page, folder).as_uri())
                page.screenshot(path=folder / f"{'-'.join(part for part in ('report', look) if part)}.png", full_page=True)
                count += 1
            page.context.close()
    return count


if __name__ == "__main__":
    sys.exit(main())
