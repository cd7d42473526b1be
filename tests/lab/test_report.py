"""The report: one self-contained page that shows what the files hold, says what is missing, and trusts no file of other weights.

The evaluation is made up here, from normal scores under real names of systems and languages, in the form `voxproof lab evaluate` writes.
"""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy")

from app.lab import metrics, report
from app.lab.failings import failings
from app.scoring.card import read_card
from app.scoring.load import fingerprint

ROOT = Path(__file__).parents[2]
SYSTEMS = ("tts_bark-vocos", "tts_xtts-v2", "voc_bigvgan", "vc_freevc", "codec_encodec_6kbps", "tts_<script>alert(1)</script>")
GONE = (
    "eer", "auc", "cllr", "min_dcf", "min_cllr", "act_dcf", "median", "p90", "miss", "false_alarm", "caught", "detected", "uncertain", "accuracy",
    "precision", "recall", "f1", "ms_per_audio_second",
)  # fmt: skip
LANGUAGES = ("en", "de", "ru", "pl", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the bundled model with nothing measured."""
    source, made = ROOT / "models" / "light", tmp_path / "light"
    made.mkdir()
    for name in ("card.json", *read_card(source).files):
        shutil.copy(source / name, made / name)
    card = json.loads((made / "card.json").read_text())
    (made / "card.json").write_text(json.dumps(card | {"figures": {}}))
    return made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "README.md").write_text("a 4 s window: AASIST 200 to 300 ms in onnxruntime, Inc-TSSDNet 9 ms.")
    return tmp_path / "data"


def test_without_any_measurement_every_part_says_so(folder: Path, data: Path) -> None:
    page = report.render(folder, data)
    assert page.count("Not measured.") > 15 and "evaluation.json is not there" in page
    check_self_contained(page)


def test_everything_measured_is_shown(folder: Path, data: Path) -> None:
    evaluation, audits = fake_evaluation(folder), fake_audits(folder)
    put(folder, evaluation, audits)
    page = report.write(folder, data).read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")
    check_self_contained(page)
    assert "Not measured." not in page
    assert len(page.encode()) < 600_000
    head = evaluation["splits"]["eval"]["headline"]
    assert f"{100 * head['eer']:.1f} %" in page and f"{head['cllr']:.3f}" in page
    assert "400 to 600 times this model" in page  # 200 to 300 ms, twice a second, against 1 ms a second
    assert "claimed by seed 002" in page and "94.2 %" in page
    assert page.count('<svg class="plot"') == 7
    assert "level: loudness" in page and ">failed<" in page and ">passed<" in page
    assert "&lt;script&gt;alert" in page and "<script" not in page


@pytest.mark.parametrize("part", ["det", "histogram", "peers", "tables", "streaming", "at_operating_points"])
def test_any_part_may_be_missing(folder: Path, data: Path, part: str) -> None:
    evaluation = fake_evaluation(folder)
    for split in evaluation["splits"].values():
        del split[part]
    put(folder, evaluation, fake_audits(folder))
    check_self_contained(report.render(folder, data))


@pytest.mark.parametrize("part", ["languages", "calibration", "sounds", "robustness", "cost", "splits"])
def test_any_whole_section_may_be_missing(folder: Path, data: Path, part: str) -> None:
    evaluation = fake_evaluation(folder)
    del evaluation[part]
    put(folder, evaluation, None)
    page = report.render(folder, data)
    assert "Not measured." in page
    check_self_contained(page)


def test_figures_that_are_null_are_dashes(folder: Path, data: Path) -> None:
    put(folder, nulled(fake_evaluation(folder)), fake_audits(folder))
    check_self_contained(report.render(folder, data))


def test_figures_of_other_weights_do_not_count(folder: Path, data: Path) -> None:
    evaluation = fake_evaluation(folder)
    evaluation["model"]["sha256"] = "0" * 64
    put(folder, evaluation, None)
    page = report.render(folder, data).replace("\N{NO-BREAK SPACE}", " ")
    assert "was measured on other weights" in page
    assert f"{100 * evaluation['splits']['eval']['headline']['eer']:.1f} %" not in page


def test_other_models_stand_beside_it(folder: Path, data: Path) -> None:
    other = folder.parent / "accurate"
    shutil.copytree(folder, other)
    put(folder, fake_evaluation(folder), None)
    put(other, fake_evaluation(other, apart=4.0), None)
    page = report.render(folder, data)
    assert page.count(">accurate<") >= 3  # two rows of the table, the legend of the DET plots


def test_failings_name_the_worst_and_nothing_else() -> None:
    def row(group: str, eer: float, **more: Any) -> dict:
        return {"group": group, "n_spoof": 20, "n_bonafide": 50, "eer": eer, "miss": eer, "false_alarm": 0.1, **more}

    split = {
        "headline": {"eer": 0.1, "cllr": 0.4, "min_cllr": 0.39},
        "tables": {
            "system": [row("good", 0.05), row("bad", 0.5), row("tiny", 0.6, n_spoof=2)],
            "subset": [row("all", 0.1)],
            "source": [row("harsh", 0.1, false_alarm=0.4), row("fair", 0.1)],
            "codec": [row("clean", 0.1), row("opus 8", 0.11, false_alarm_change=0.09), row("opus 32", 0.1, false_alarm_change=0.01)],
        },
    }
    said = " ".join(failings({"dev": split}, {"audits": [{"name": "level", "passed": False}, {"name": "polarity", "passed": True}]}, None))
    for word in ("bad (EER 50\N{NO-BREAK SPACE}%", "harsh (40\N{NO-BREAK SPACE}% of 50)", "opus 8 (", "fail: level."):
        assert word in said
    for word in ("good", "tiny", "fair", "opus 32", "polarity", "Cllr"):
        assert word not in said
    assert failings({}, None, None) == []


# --- made-up measurements


def put(folder: Path, evaluation: dict | None, audits: dict | None) -> None:
    for name, content in (("evaluation.json", evaluation), ("audits.json", audits)):
        if content is not None:
            (folder / name).write_text(json.dumps(metrics.rounded(content)))


def of_model(folder: Path) -> dict:
    return {"name": folder.name, "version": "9", "kind": "frames", "sha256": fingerprint(read_card(folder)), "bytes": 1}


def fake_evaluation(folder: Path, apart: float = 2.5) -> dict:
    rng = np.random.default_rng(5)
    splits = {name: fake_split(rng.normal(-apart / 2, 1, 300), rng.normal(apart / 2, 1.3, 250)) for name in ("dev", "eval")}
    row = {"eer": 0.1, "eer_ci95": [0.05, 0.15], "auc": 0.95, "auc_ci95": [0.9, 0.99], "n_bonafide": 73, "n_spoof": 80, "systems": 4}
    row |= {name: 0.9 for name in ("accuracy", "precision", "recall", "f1")}
    claimed = {"accuracy": 0.942, "precision": 0.935, "recall": 0.951, "f1": 0.943, "auc": 0.972}
    languages = [{"group": code, "name": name, **row} for code, name in (("hi", "Hindi"), ("ta", "Tamil"), ("all", "all five"))]
    return {
        "format": 1, "model": of_model(folder), "date": "2026-11-21", "command": "voxproof lab evaluate", "splits": splits,
        "operating_point": {"name": "balanced", "bonafide_llr": -0.6, "spoof_llr": 0.7},
        "languages": {"from": ["dev", "held"], "threshold_llr": 0, "rows": languages, "claimed_by_seed_002": claimed},
        "calibration": {"scale": 0.9, "bias": -0.1, "fitted_on": "dev", "cllr_by_duration": {
            name: {"cllr": whole, "min_cllr": whole - 0.05} for name, whole in (("1 s", 0.6), ("2 s", 0.5), ("4 s", 0.45), ("whole", 0.42))}},
        "sounds": {"speech_kept": {"clean": 0.95},
                   "speech_refused": {"dog": {"windows": 8, "refused": 0.6, "mean_speech_s": 0.4, "most_speech_s": 1.3}}},
        "robustness": {"unchanged": {"eer": 0.1}, "DC 0.1": {"eer": 0.11, "llr_moves_by": 0.02}},
        "cost": {"ms_per_audio_second": 1.0, "bytes": {"encoder.onnx": 881776}, "what": "one thread"},
    }  # fmt: skip


def fake_split(bonafide: np.ndarray, spoof: np.ndarray) -> dict:
    figures = metrics.figures(bonafide, spoof, 20).plain()
    row = {key: figures[key] for key in ("eer", "eer_ci95", "auc", "n_bonafide", "n_spoof")} | {"false_alarm": 0.1, "miss": 0.12, "caught": 0.7}
    peer = {key: figures[key] for key in ("eer", "eer_ci95", "auc", "auc_ci95", "min_dcf", "min_cllr", "n_bonafide", "n_spoof")} | {"eer": 0.45}
    point = {"bonafide_called_spoof": 0.1, "bonafide_called_bonafide": 0.7, "spoof_called_spoof": 0.7, "spoof_called_bonafide": 0.1, "uncertain": 0.2}
    groups = {
        "subset": ("all", "without LJ and VCTK", "systems in neither train nor lab synth", "recent neural TTS", "everything else"),
        "family": ("tts", "vc", "codec"), "system": SYSTEMS, "language": LANGUAGES, "licence": ("free", "none stated"),
        "source": tuple(f"someone/a-repository-with-a-long-name-{n}@0123456" for n in range(40)),
        "duration": ("1 s", "2 s", "3 s", "4 s", "whole"), "codec": ("clean", "opus 8", "gsm"), "snr": ("clean", "20 dB", "0 dB"),
    }  # fmt: skip
    made = {kind: [{"group": name, **row} for name in names] for kind, names in groups.items()}
    for kind in ("codec", "snr"):
        made[kind] = [each | {"false_alarm_change": 0.04, "llr_moves_by": 0.3} for each in made[kind]]
    made["duration"] = [each | {"cllr": 0.5, "min_cllr": 0.45, "reached": 0.8} for each in made["duration"]]
    made["language"][0]["against"] = "all"
    rate = {"threshold_llr": 1.0, "measured": 0.9, "detected": 0.6, "delay_s": {"median": 2.0, "p90": None}}
    call = {"spoof": 0.3, "uncertain": 0.1, "bonafide": 0.6}
    return {
        "headline": figures | {"unanswered": 0, "systems": 6, "macro_eer": 0.1, "macro_auc": 0.9},
        "at_operating_points": {
            "fast": point, "balanced": point | {"bonafide_llr": -0.6, "spoof_llr": 0.7, "verdicts": {"bonafide": call, "spoof": call}}},
        "det": metrics.det(bonafide, spoof), "histogram": metrics.histogram(bonafide, spoof),
        "peers": {name: peer | {"det": metrics.det(bonafide, spoof - 2)} for name in ("aasist", "inc-tssdnet", "lfcc-lcnn-lstm")},
        "tables": made,
        "streaming": {
            "first_verdict": {"clips": 550, "never": 3, "audio_s": {"median": 1.5, "p90": 2.0}, "speech_s": {"median": 1.2, "p90": 1.9}},
            "calls": {"bonafide": 60, "spoof": 60, "bonafide_speech_hours": 0.7}, "flips_per_minute": {"bonafide": 1.2, "spoof": 2.2},
            "detection": [{"false_alarms_per_hour": n, **rate} for n in (1, 5, 20)], "at_default_point": rate,
            "long_sessions": {"30": {"calls": 40, "bona fide": call, "with a spoofed stretch": call}},
        },
    }  # fmt: skip


def fake_audits(folder: Path) -> dict:
    row = {"case": "-20 dB", "llr_moves_by": 0.2, "flips": 0.0, "eer_change": -0.01, "false_alarm_change": 0.0, "answers_lost": 0.0, "passed": False}
    audit = {"name": "level", "checks": "loudness", "strict": True, "limit": {"llr_moves_by": 0.1, "flips": 0.01, "eer_change": 0.01}}
    language = {"case": "ru", "n": 5, "wrong": 0.2, "others_wrong": 0.1, "auc": 0.6, "auc_at_least": 0.5, "multiple_at_least": 0.4}
    return {
        "format": 1, "model": of_model(folder), "date": "2026-11-21", "command": "voxproof lab audit",
        "sample": {"split": "dev", "seed": 1, "operating_point": "balanced", "n_bonafide": 150, "n_spoof": 150, "eer": 0.2, "false_alarm": 0.1},
        "audits": [
            audit | {"rows": [row, row | {"case": "+12 dB", "llr_moves_by": 0.0, "passed": True}], "passed": False},
            {"name": "language of bona fide speech", "checks": "language", "strict": False, "limit": {"multiple_at_least": 2.0, "auc_at_least": 0.65},
             "rows": [language | {"judged": False, "passed": True}], "passed": True},
        ],
    }  # fmt: skip


def nulled(value: Any) -> Any:
    """Every figure gone, as of groups that are too small; names, counts and thresholds stay."""
    if isinstance(value, dict) and "threshold" in value:
        return value  # the DET curve
    if isinstance(value, dict):
        return {key: None if key in GONE or key.endswith("_ci95") else nulled(each) for key, each in value.items()}
    return [nulled(each) for each in value] if isinstance(value, list) else value


class Checked(HTMLParser):
    """Collects what a self-contained, accessible page must not have."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "link", "img", "iframe", "object") or any(name.startswith("on") for name in given):
            self.wrong.append(f"<{tag}> {given}")
        if tag == "svg" and not (given.get("role") == "img" and given.get("aria-label")) and given.get("aria-hidden") != "true":
            self.wrong.append("a drawing without words")
        for name in ("src", "href"):
            if given.get(name):
                self.links.add(given[name] or "")
        if given.get("id"):
            if given["id"] in self.ids:
                self.wrong.append(f"id {given['id']} twice")
            self.ids.add(given["id"] or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")


def check_self_contained(page: str) -> None:
    seen = Checked()
    seen.feed(page)
    assert seen.wrong == [] and seen.open == []
    assert {link.removeprefix("#") for link in seen.links} <= seen.ids  # only links within the page
    assert "url(" not in page.replace("url(#", "") and "@import" not in page and "nan" not in page.lower().split()
    assert page.count("<table") == page.count("<caption>")
