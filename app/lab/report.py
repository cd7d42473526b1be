"""`voxproof lab report`: one page, report.html, of everything that was measured of a model, with nothing typed by hand.

In: the model's card.json, evaluation.json and audits.json, and the evaluations of the other models beside it. Out: a single file without scripts
or outside resources. What was not measured says so; a file that was measured on other weights than the card's counts as not measured.
"""

import json
import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from app.lab import plots, sections, tables
from app.lab.failings import UNTESTED, failings
from app.lab.sections import SPLITS, WHOLE
from app.lab.tables import count, number, percent, with_interval
from app.scoring.card import read_card
from app.scoring.load import fingerprint

TEMPLATE = Path(__file__).parent / "report.html.j2"


def write(folder: Path, data: Path) -> Path:
    """`data`: the shared speech data, whose README states what the published detectors cost."""
    path = folder / "report.html"
    path.write_text(render(folder, data), "utf-8")
    return path


def render(folder: Path, data: Path) -> str:
    def code(words: str) -> Markup:
        """`dev` between backticks becomes code."""
        return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(words))))

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["code"] = code
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(page(folder, data))


def page(folder: Path, data: Path) -> dict[str, Any]:
    """Everything that the template prints."""
    card, notes = json.loads((folder / "card.json").read_text("utf-8")), []
    evaluation = measured(folder, "evaluation.json", notes)
    if evaluation is None:
        evaluation = from_card(card)
        notes += ["The figures below are those of card.json."] if evaluation["splits"] else []
    audits = measured(folder, "audits.json", notes)
    splits, sounds = evaluation.get("splits", {}), evaluation.get("sounds")
    others = {
        path.parent.name: of_other(path.parent) for path in sorted(folder.resolve().parent.glob("*/card.json")) if path.parent != folder.resolve()
    }
    name, default, cost = card["name"], card["default_operating_point"], evaluation.get("cost") or {}
    bands = {point: (at["bonafide_llr"], at["spoof_llr"]) for point, at in card["operating_points"].items()}
    heads = {split: detectors(name, split, splits, others) for split in splits}
    points = [tables.points(SPLITS[split], it["at_operating_points"], default) for split, it in splits.items() if "at_operating_points" in it]
    return {
        "card": card, "sha256": fingerprint(read_card(folder)), "notes": notes, "date": evaluation.get("date"), "splits": SPLITS,
        "tiles": sections.tiles(splits, cost), "headline": sections.headline(name, heads, splits), "intervals": interval_plots(name, heads),
        "goals": sections.goals(name, splits, evaluation, folder, cost), "failings": failings(splits, audits, sounds), "untested": UNTESTED,
        "det": {split: det_plot(name, split, it, others) for split, it in splits.items() if it.get("det")},
        "histograms": {split: histogram(split, it, bands, default) for split, it in splits.items() if it.get("histogram")},
        "points": points, "verdicts": sections.verdicts(splits, default), "calibration": calibration(evaluation, splits),
        "groups": sections.groups(splits), "streaming": sections.streaming(splits), "languages": sections.languages(evaluation.get("languages")),
        "audits": audits, "audit_summary": sections.audit_summary(audits),
        "audit_tables": [tables.audit_rows(each) for each in (audits or {}).get("audits", [])],
        "sounds": sections.sound_table(sounds), "kept": sections.pairs("Speech frames kept", (sounds or {}).get("speech_kept")),
        "robustness": sections.robustness(evaluation.get("robustness")), "cost": sections.pairs("Cost as measured", cost),
        "against_peers": sections.against_peers(cost, data), "model": sections.model_facts(card, folder),
        "training": sections.training_facts(card), "recipe": recipe(card["training"].get("recipe") or {}),
        "commands": [found["command"] for found in (evaluation, audits or {}) if found.get("command")],
    }  # fmt: skip


def recipe(values: dict) -> str:
    """The recipe, a line a value."""
    single = [f"{name} = {json.dumps(value)}" for name, value in values.items() if not isinstance(value, dict)]
    parts = [
        [f"[{name}]", *(f"{key} = {json.dumps(each)}" for key, each in value.items())] for name, value in values.items() if isinstance(value, dict)
    ]
    return "\n\n".join("\n".join(lines) for lines in [single, *parts] if lines)


def measured(folder: Path, name: str, notes: list[str]) -> dict | None:
    """The file's content if it was measured on the weights that the card names; otherwise a note."""
    path = folder / name
    if not path.exists():
        notes.append(f"{name} is not there, so what it would hold is not measured.")
        return None
    found = json.loads(path.read_text("utf-8"))
    if found["model"]["sha256"] != fingerprint(read_card(folder)):
        notes.append(f"{name} was measured on other weights (sha256 {found['model']['sha256'][:12]}…) than the card's, so it does not count.")
        return None
    return found


def from_card(card: dict) -> dict:
    """What a card alone says, in the places of evaluation.json."""
    figures = card.get("figures", {})
    splits = {name: {"headline": figures[name], **{key: figures[name][key] for key in ("at_operating_points", "peers") if key in figures[name]}}
              for name in SPLITS if name in figures}  # fmt: skip
    for name, split in splits.items():
        families = [{"group": family, **row} for family, row in figures[name].get("by_family", {}).items()]
        split["tables"] = {"family": families} if families else {}
    sounds = {key: figures[key] for key in ("speech_refused", "speech_kept") if key in figures}
    return {"splits": splits, "sounds": sounds or None, **{key: figures[key] for key in ("robustness", "cost") if key in figures}}


def of_other(folder: Path) -> dict:
    """The splits of another model."""
    found = measured(folder, "evaluation.json", [])
    return (found or from_card(json.loads((folder / "card.json").read_text("utf-8")))).get("splits", {})


def detectors(name: str, split: str, splits: dict, others: dict) -> dict[str, dict]:
    """Detector -> its headline figures on a split: this model, the other models, the published peers."""
    found = {name: splits.get(split, {}).get("headline", {})}
    found |= {other: theirs.get(split, {}).get("headline", {}) for other, theirs in others.items()}
    return {each: head for each, head in (found | splits.get(split, {}).get("peers", {})).items() if head.get("eer") is not None}


def interval_plots(name: str, found: dict[str, dict[str, dict]]) -> dict[str, Markup]:
    out = {}
    for split, heads in found.items():
        rows = [plots.Interval(each, head["eer"], *(head.get("eer_ci95") or (head["eer"],) * 2), own=each == name) for each, head in heads.items()]
        said = "; ".join(f"{row.name} {percent(row.value)} ({percent(row.low)} to {percent(row.high)})" for row in rows)
        if rows:
            out[split] = plots.intervals(rows, f"EER on {split}", said, WHOLE if split == "eval" else None)
    return out


def det_plot(name: str, split: str, found: dict, others: dict) -> dict:
    """The drawing, and its legend: (style, name)."""
    wanted = {name: found} | {other: theirs.get(split, {}) for other, theirs in others.items()} | found.get("peers", {})
    curves = [
        plots.Curve(each, it["det"]["false_alarm"], it["det"]["miss"], style) for style, (each, it) in enumerate(wanted.items()) if it.get("det")
    ]
    said = f"Curves of {', '.join(curve.name for curve in curves)}. Nearer to the lower left corner is better; the EERs stand in the table above."
    return {"plot": plots.det(curves, f"DET curves on {split}", said), "legend": [(curve.style, curve.name) for curve in curves]}


def histogram(name: str, split: dict, bands: dict, default: str) -> Markup:
    real, fake = (count(split["headline"].get(key)) for key in ("n_bonafide", "n_spoof"))
    said = f"Scores of {real} bona fide and {fake} spoofed clips, with the uncertain band of each operating point."
    return plots.histogram(split["histogram"], bands, default, f"Scores on {name}", said)


def calibration(evaluation: dict, splits: dict) -> dict:
    found = evaluation.get("calibration") or {}
    by_duration = found.get("cllr_by_duration", {})
    whole = {name: row for name, row in by_duration.items() if row.get("cllr") is not None and row.get("min_cllr") is not None}
    bars = [(name, row["cllr"], row["min_cllr"]) for name, row in whole.items()]
    rows = [{"group": name, **row} for name, row in by_duration.items()]
    columns = [("speech heard", tables.group_name), ("Cllr", tables.plain("cllr", number)), ("minCllr", tables.plain("min_cllr", number))]
    said = "; ".join(f"{name}: Cllr {number(actual)}, minCllr {number(least)}" for name, actual, least in bars)
    heads = [{"group": name, **split["headline"]} for name, split in splits.items()]
    ends = [
        ("split", tables.group_name),
        *((title, lambda row, key=key: with_interval(row, key, number)) for title, key in (("Cllr", "cllr"), ("minCllr", "min_cllr"))),
    ]
    return {
        "plot": plots.calibration(bars, "Calibration by amount of speech, on dev", said) if bars else None,
        "table": tables.table("Cllr by amount of speech, on dev", columns, rows), "whole": tables.table("Cllr of whole clips [95 %]", ends, heads),
        "line": ", ".join(f"{key.replace('_', ' ')} {found[key]}" for key in ("scale", "bias", "fitted_on") if key in found),
    }  # fmt: skip
