"""The page in Chromium, measured: how it loads, draws, keeps its memory and answers. Each function takes a Playwright page or browser, gives figures.

Used by bench/page.py, which prints them, and by tests/browser/test_page_budget.py, which holds them against limits.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGS = (
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
)  # fmt: skip
SLOW_CPU = 4  # times slower: what Lighthouse calls a mid-range phone
SLOW_3G = {"offline": False, "latency": 400, "downloadThroughput": 400 * 1024 / 8, "uploadThroughput": 400 * 1024 / 8}
TICKS = os.sysconf("SC_CLK_TCK")
Figures = dict[str, Any]

# Of a page's main thread, as the browser counts it.
WORK = ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
# What the browser itself notes about a page; runs before the page's own scripts.
NOTED = """
    window.noted = { ready_ms: null, shift: 0, blocked_ms: 0, painted_ms: null, largest_ms: null };
    const each = (type, act) => new PerformanceObserver((list) => list.getEntries().forEach(act)).observe({ type, buffered: true });
    each("layout-shift", (entry) => { noted.shift += entry.value });
    each("longtask", (entry) => { noted.blocked_ms += Math.max(0, entry.duration - 50) });
    each("paint", (entry) => { if (entry.name === "first-contentful-paint") noted.painted_ms = entry.startTime });
    each("largest-contentful-paint", (entry) => { noted.largest_ms = entry.startTime });
    new MutationObserver((_, self) => {
        if (document.documentElement?.dataset.ready === undefined) return;
        noted.ready_ms = performance.now();
        self.disconnect();
    }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-ready"] });
"""
FRAMES = """async (seconds) => {
    const deltas = [];
    const end = performance.now() + seconds * 1000;
    for (let last = await new Promise(requestAnimationFrame); last < end;) {
        const now = await new Promise(requestAnimationFrame);
        deltas.push(now - last);
        last = now;
    }
    return deltas;
}"""


@contextmanager
def chromium(wav: Path | None = None, *, headless: bool = True) -> Iterator[Any]:
    """A browser whose microphone is allowed and plays `wav` once, or beeps."""
    microphone = (f"--use-file-for-fake-audio-capture={wav}%noloop",) if wav else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGS, *microphone], headless=headless)
        try:
            yield browser
        finally:
            browser.close()


def opened(browser: Any, url: str, **context: Any) -> Page:
    page: Page = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **context}).new_page()
    page.add_init_script(NOTED)
    page.goto(url)
    page.wait_for_selector("html[data-ready]")
    return page


# --- loading ------------------------------------------------------------------------------------------------


def load(browser: Any, url: str, *, slow: bool = False) -> Figures:
    """A first visit, with an empty cache: requests, bytes as transferred (with heads), and when the buttons work."""
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.add_init_script(NOTED)
    tools = page.context.new_cdp_session(page)
    tools.send("Network.enable")
    bytes_of: dict[str, float] = {}
    kinds: dict[str, str] = {}
    tools.on("Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]}))
    tools.on("Network.loadingFinished", lambda event: bytes_of.update({event["requestId"]: event["encodedDataLength"]}))
    if slow:
        tools.send("Network.emulateNetworkConditions", SLOW_3G)
        tools.send("Emulation.setCPUThrottlingRate", {"rate": SLOW_CPU})
    page.goto(url, timeout=90_000)
    page.wait_for_selector("html[data-ready]", timeout=90_000)
    page.wait_for_load_state("networkidle", timeout=90_000)
    page.wait_for_timeout(300)
    noted = page.evaluate("noted")
    decoded = page.evaluate("performance.getEntries().reduce((sum, entry) => sum + (entry.decodedBodySize ?? 0), 0)")
    by_kind: dict[str, int] = {}
    for request, size in bytes_of.items():
        by_kind[kinds.get(request, "?")] = by_kind.get(kinds.get(request, "?"), 0) + round(size)
    page.context.close()
    return {"requests": len(bytes_of), "bytes": round(sum(bytes_of.values())), "decoded_bytes": decoded, "bytes_by_kind": by_kind, **noted}


# --- drawing ------------------------------------------------------------------------------------------------


def frames(page: Page, seconds: float) -> Figures:
    """Time from frame to frame, in ms. A page that draws nothing gets them too: it is what the main thread leaves room for."""
    deltas = sorted(page.evaluate(FRAMES, seconds))
    at = lambda share: round(deltas[min(len(deltas) - 1, int(share * len(deltas)))], 1)  # noqa: E731
    late = sum(delta > 25 for delta in deltas) / len(deltas)
    return {"count": len(deltas), "p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99), "late_share": round(late, 4)}


def work(page: Page, seconds: float) -> Figures:
    """What the page's main thread does in a second, as a share of one core; `process` is its whole process, painting and audio with it."""
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})  # time on the processor: what others take of it does not count
    pid = renderer(tools)
    before, ticks, began = metrics(tools), cpu_ticks(pid), time.monotonic()
    page.wait_for_timeout(seconds * 1000)
    after, took = metrics(tools), time.monotonic() - began
    share = {name: round((after[name] - before[name]) / took, 4) for name in WORK}
    share["process"] = round((cpu_ticks(pid) - ticks) / TICKS / took, 4)
    tools.detach()
    return share


def metrics(tools: CDPSession) -> dict[str, float]:
    return {one["name"]: one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}


# --- memory -------------------------------------------------------------------------------------------------


def heap_bytes(tools: CDPSession) -> Figures:
    """After collecting garbage: the JS heap, array buffers outside it, and the process as the system sees it."""
    for _ in range(2):
        tools.send("HeapProfiler.collectGarbage")
    usage = tools.send("Runtime.getHeapUsage")
    pid = renderer(tools)
    return {
        "heap_mb": round(usage["usedSize"] / 1e6, 2), "buffers_mb": round(usage.get("backingStorageSize", 0) / 1e6, 2),
        "process_mb": round(rss_bytes(pid) / 1e6, 1) if pid else None,
    }  # fmt: skip


def renderer(tools: CDPSession) -> int:
    """The process of the page; 0 where the system does not tell. (`SystemInfo.getProcessInfo` belongs to the browser: it is found by its age.)"""
    found = [pid for pid in children_of(os.getpid()) if b"--type=renderer" in cmdline(pid)]
    return max(found, key=cpu_ticks, default=0)


def children_of(pid: int) -> list[int]:
    out = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            out.append((int(entry.name), parent(int(entry.name))))
    family, grown = {pid}, True
    while grown:
        grown = False
        for child, above in out:
            if above in family and child not in family:
                family.add(child)
                grown = True
    return sorted(family - {pid})


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    except (OSError, IndexError):
        return 0


def rss_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


# --- answering ----------------------------------------------------------------------------------------------

# Marks when speech began and when a verdict was on screen; the sound is the microphone's, so its own level tells.
SPEECH = """() => {
    const told = (window.told = { onset_ms: null, second_at: null, verdict_at: null });
    import(new URL("static/js/main.js", document.baseURI).href).then(({ page }) => {
        const { live } = page.listening;
        let heard_ms = 0;
        let voiced_ms = 0;
        live.addEventListener("heard", ({ detail: { samples, levels } }) => {
            heard_ms += (samples.length * 1000) / live.stream.rate;
            if (levels.rms_dbfs > -45) voiced_ms += (samples.length * 1000) / live.stream.rate;
            if (told.onset_ms === null && levels.rms_dbfs > -45) told.onset_ms = heard_ms;
            if (told.second_at === null && told.onset_ms !== null && heard_ms >= told.onset_ms + 2000) told.second_at = performance.now();
        });
    });
    const panel = document.getElementById("panel");
    new MutationObserver((_, self) => {
        if (!["bonafide", "spoof", "uncertain"].includes(panel.dataset.tone)) return;
        self.disconnect();
        requestAnimationFrame(() => setTimeout(() => { told.verdict_at = performance.now(); told.tone = panel.dataset.tone }));
    }).observe(panel, { attributes: true, attributeFilter: ["data-tone"] });
}"""


def answer(page: Page, patience_s: float = 20) -> Figures:
    """Listens, and gives the time from the end of the second second of speech (from its first sound on) to the verdict being painted."""
    page.click("#primary")
    page.wait_for_selector("main[data-phase=listening]")
    page.evaluate(SPEECH)
    deadline = time.monotonic() + patience_s
    while (told := page.evaluate("told"))["verdict_at"] is None or told["second_at"] is None:
        if time.monotonic() > deadline:
            return {"wait_ms": None, **told}
        page.wait_for_timeout(50)
    return {"wait_ms": round(told["verdict_at"] - told["second_at"]), "tone": told.get("tone")}


def middle(values: list[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None
