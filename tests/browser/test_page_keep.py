"""What can be taken away from the page: report, JSON, CSV, WAV and snippets, of a recording and of a file. All of it is opened and checked here."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import pytest
import soundfile

from tests.browser.conftest import NAMES, ROOT, Browse, Server, Watched, check, noise

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SCHEMA = json.loads((ROOT / "static" / "schema" / "check-1.json").read_text("utf-8"))
KEY = "a-key-that-nobody-may-read-0123456789"
# The page's snippets are for people, who see what curl answers; here a refusal must fail.
CURL = "set -eo pipefail\ncurl() { command curl --noproxy '*' --fail-with-body --silent --show-error \"$@\"; }\n"


@pytest.mark.data
def test_a_recording_is_taken_away_whole(browse: Browse, server: Server, clips: dict[str, Path], tmp_path: Path) -> None:
    seen = browse(clips["spoof"], accept_downloads=True, timezone_id="Asia/Kolkata")
    page = seen.page
    workers: list[str] = []
    page.on("worker", lambda worker: workers.append(worker.url))
    page.goto(server.url)
    page.wait_for_selector("html[data-ready]")
    assert all(page.is_disabled(f"#keep-{kind}") for kind in ("report", "json", "csv", "wav"))
    page.click("#primary")
    seen.windows(4)
    early = json.loads(saved(seen, "json", tmp_path).read_text("utf-8"))
    valid(early)
    assert early["check"]["state"] == "running" and not early["verdict"]["final"] and early["audio"]["sha256"] is None
    assert page.is_disabled("#keep-report"), "there is no report of something that goes on"
    seen.windows(9)
    page.click("#primary")
    seen.phase("result")
    seen.until("document.querySelector('#keep-agrees').dataset.same === 'true'")
    assert any(url.endswith("/keep/hasher.js") for url in workers), "hashing is no work for the page's own thread"
    seen.shot("keep", full=True)
    wav, data, table, report = (saved(seen, kind, tmp_path) for kind in ("wav", "json", "csv", "report"))
    assert wav.name.startswith("voxproof-recording-20") and {path.stem for path in (wav, data, table, report)} == {wav.stem}

    kept = json.loads(data.read_text("utf-8"))
    valid(kept)
    samples, rate = soundfile.read(wav, dtype="int16")
    audio = kept["audio"]
    assert (audio["samples"], audio["rate_hz"], audio["samples_lost"]) == (len(samples), rate, 0)
    assert audio["sha256"] == hashlib.sha256(wav.read_bytes()).hexdigest() == seen.text("keep-sha")
    assert audio["samples_sha256"] == hashlib.sha256(samples.tobytes()).hexdigest()
    (session,) = kept["server"]["sessions"]
    record = httpx2.get(f"{server.url}/v1/sessions/{session['session_id']}").json()
    assert record["audio"]["sha256"] == audio["server"]["sha256"] == audio["samples_sha256"] and audio["server"]["same"]
    assert kept["check"]["state"] == "finished" and kept["verdict"]["verdict"] == "spoof" and kept["verdict"]["final"]
    assert kept["segments"] == [
        {**{name: row[name] for name in row if name != "seq"}, **{name: mine[name] for name in ("behind_ms", "latency_ms") if name in mine}}
        for row, mine in zip(record["segments"], kept["segments"], strict=True)
    ]
    assert kept["ranges"] == record["spoof_ranges"] and kept["model"]["sha256"] == record["model"]["sha256"]
    assert kept["times"]["time_zone"] in ("Asia/Kolkata", "Asia/Calcutta") and kept["times"]["started_local"].endswith("+05:30")

    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8-sig"), newline="")))
    assert [(int(row["start_ms"]), row["verdict"], row["llr_nat"]) for row in rows] == [
        (row["start_ms"], row["verdict"], "" if row["llr"] is None else f"{row['llr']:g}") for row in kept["segments"]
    ]
    the_report_stands_by_itself(browse, report, kept)
    for language in ("sh", "py", "mjs"):
        page.evaluate("document.querySelector('#keep-repeat').open = true")
        page.click(f"#keep-{language}")
        said = ran(language, seen.text("keep-source"), tmp_path)
        assert "spoof" in said and f"{kept['verdict']['score']:g}"[:6] in said, said
    # The same audio gives the same verdict, by whatever way it came.
    again = check(server, wav)
    assert [again[name] for name in ("verdict", "llr", "duration_ms")] == [kept["verdict"][name] for name in ("verdict", "llr", "duration_ms")]


def test_a_file_on_a_phone_in_the_dark_in_hindi(browse: Browse, server: Server, tmp_path: Path) -> None:
    seen = browse(
        accept_downloads=True, viewport={"width": 360, "height": 780}, device_scale_factor=2, color_scheme="dark", locale="hi-IN", permissions=[]
    )
    page = seen.page
    source = noise(tmp_path, 3).rename(tmp_path / "=माँ का फ़ोन '1'.wav")
    page.goto(server.url)
    page.set_input_files("#picker", source)
    seen.phase("result")
    seen.until("document.querySelector('#keep-agrees').dataset.same === 'true'")
    assert page.is_hidden("#keep-wav"), "whoever chose a file has it"
    assert seen.text("keep-sha") == hashlib.sha256(source.read_bytes()).hexdigest()
    report = saved(seen, "report", tmp_path)
    kept = json.loads(saved(seen, "json", tmp_path).read_text("utf-8"))
    valid(kept)
    assert kept["language"] == "hi" and kept["check"] == {"name": source.name, "kind": "file", "state": "finished", "trouble": None}
    first = next(csv.DictReader(io.StringIO(saved(seen, "csv", tmp_path).read_text("utf-8-sig"), newline="")))
    assert first["name"] == "'" + source.name, "no formula"
    text = report.read_text("utf-8")
    assert '<html lang="hi">' in text and "सबूत" not in text and "सीमाएँ" in text and "undefined" not in text
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the phone"
    page.click("#keep-repeat summary")
    seen.until("document.querySelector('#keep-source').textContent !== ''")  # it is written once the browser has told that it is open
    assert ran("sh", seen.text("keep-source"), tmp_path).find('"verdict":"no_speech"') > 0
    assert "no_speech" in ran("py", page.evaluate(f"(document.querySelector('#keep-py').click(), {SHOWN})"), tmp_path)
    # A page without a secure origin has no clipboard, and a person may forbid it: then the old way, or the text is left selected.
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    before = seen.text("keep-copy")
    page.click("#keep-copy")
    seen.until(f"document.querySelector('#keep-copy').textContent !== {json.dumps(before)}")
    page.locator("#keep").screenshot(path=seen.shots / "keep-phone-dark-hindi.png")


def test_with_a_key_the_server_is_asked_with_it_and_no_snippet_tells_it(browse: Browse, make_server: Callable[..., Server], tmp_path: Path) -> None:
    closed = make_server(api_key=KEY)
    seen = browse(noise(tmp_path), accept_downloads=True)
    page = seen.page
    page.goto(closed.url)
    page.wait_for_selector("html[data-ready]")
    page.evaluate(f"import('/static/js/main.js').then(({{ page }}) => page.settings.set({{ key: '{KEY}' }}))")
    page.click("#primary")
    seen.windows(3)
    page.click("#primary")
    seen.phase("result")
    seen.until("document.querySelector('#keep-agrees').dataset.same === 'true'")
    wav, data, report = (saved(seen, kind, tmp_path) for kind in ("wav", "json", "report"))
    page.click("#keep-repeat summary")
    seen.until("document.querySelector('#keep-source').textContent !== ''")  # it is written once the browser has told that it is open
    for language in ("sh", "py"):
        page.click(f"#keep-{language}")
        source = seen.text("keep-source")
        assert "VOXPROOF_API_KEY" in source and KEY not in source
        assert "no_speech" in ran(language, source, tmp_path, key=KEY)
    assert KEY.encode() not in data.read_bytes() + report.read_bytes() and wav.stat().st_size > 44


SHOWN = "document.querySelector('#keep-source').textContent"


def the_report_stands_by_itself(browse: Browse, report: Path, kept: dict[str, Any]) -> None:
    """Opened from disk: nothing is asked for, no script, the picture is there, it prints on few pages and says what the JSON says."""
    seen = browse(viewport={"width": 900, "height": 1200})
    page = seen.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    seen.shot("report", full=True)
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 1000)")
    assert page.inner_text(".verdict h2") == NAMES["spoof"]
    shown = page.inner_text("body")
    for said in (kept["audio"]["sha256"], kept["audio"]["server"]["sha256"], kept["model"]["sha256"], "sha256sum", *kept["limits"]):
        assert said in shown
    assert page.locator(".windows tbody tr").count() == len(kept["segments"])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for size in ("A4", "Letter"):
        printed = page.pdf(format=size, print_background=True)
        assert 2 <= printed.count(b"/Type /Page\n") <= 4, f"{size}: {printed.count(b'/Type /Page' + bytes([10]))} pages"


def valid(kept: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(kept)


def saved(seen: Watched, kind: str, folder: Path) -> Path:
    with seen.page.expect_download() as download:
        seen.page.click(f"#keep-{kind}")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def ran(language: str, text: str, folder: Path, key: str = "") -> str:
    """What a snippet prints, run beside the file it names."""
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy") and not name.startswith("VOXPROOF_")}
    env |= {"VOXPROOF_API_KEY": key} if key else {}
    if language == "sh":
        command = ["bash", "-c", CURL + text]
    elif language == "py":
        command = [sys.executable, "-c", text]
    else:
        node = shutil.which("node")
        if node is None:
            return text  # node's own tests say clearly that there is none
        (folder / "snippet.mjs").write_text(text, "utf-8")
        major = int(subprocess.run([node, "-p", "process.versions.node.split('.')[0]"], capture_output=True, text=True, check=True).stdout)
        command = [node, *(["--experimental-websocket", "--no-warnings"] if major < 22 else []), "snippet.mjs"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout
