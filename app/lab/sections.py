"""The report's sections as tables: headline, goals, groups, streaming, languages, audits, sounds, cost, facts of the card. Called by `report`.

In: parts of evaluation.json, audits.json and card.json, as dicts in which any part may be absent. Out: `Table`, or None for "not measured".
"""

import re
from collections.abc import Callable
from pathlib import Path

from app.lab import tables
from app.lab.tables import Cell, Column, Table, count, number, percent, with_interval
from app.scoring.card import read_card
from app.scoring.load import fingerprint

SPLITS = {"dev": "dev: chosen and calibrated on", "eval": "eval: scored once a release"}
WHOLE, AT_2_S, CLLR, UNSEEN, LANGUAGE, BASELINE_SHARE = 0.08, 0.12, 0.35, 0.12, 0.15, 0.5
"""Issue 3, "What it must show"; the baseline share is its floor: less than half of the best published baseline's EER."""
COSTS = {"standard": (3.0, 10), "light": (3.0, 10), "accurate": (30.0, 40)}
"""Issue 3: most ms of one core a second of audio, most megabytes."""
MEGABYTE = 2**20


def headline(name: str, heads: dict[str, dict[str, dict]], splits: dict) -> Table | None:
    """`heads`: split -> detector -> its figures."""
    rows = [{"split": split, "detector": each, "own": each == name, **head} for split, found in heads.items() for each, head in found.items()]
    for row in rows:
        row["without"] = row.get("without_lj_and_vctk") or (subset(splits[row["split"]], "without LJ and VCTK") if row["own"] else {})
    columns: list[Column] = [
        ("detector", lambda row: Cell(row["detector"] + (" (this model)" if row["own"] else ""), mark="own" if row["own"] else "")),
        ("split", lambda row: row["split"]), tables.EER, ("AUC [95\N{NO-BREAK SPACE}%]", lambda row: with_interval(row, "auc", number)),
        ("minDCF", tables.plain("min_dcf", number)), ("actDCF", tables.plain("act_dcf", number)), ("Cllr", tables.plain("cllr", number)),
        ("minCllr", tables.plain("min_cllr", number)), ("EER without LJ, VCTK", lambda row: percent(row["without"].get("eer"))), *tables.COUNTS,
    ]  # fmt: skip
    note = (
        "Intervals: bootstrap over clips. Peers: scores published with the data, first 4.04 s of each clip; they are not calibrated, so they have "
        "no Cllr. Ours heard none of these clips in training, the peers none of this data at all."
    )
    return tables.table("This model beside others, on the same clips", columns, rows, note)


def subset(split: dict, group: str) -> dict:
    return next((row for row in split.get("tables", {}).get("subset", []) if row["group"] == group), {})


def at_speech(split: dict, group: str) -> dict:
    return next((row for row in split.get("tables", {}).get("duration", []) if row["group"] == group), {}) or split["headline"].get(
        "at_2_s_of_speech", {}
    )


def tiles(splits: dict, cost: dict) -> list[tuple[str, str, str]]:
    """(label, figure, what it is) of the most looked-for figures."""
    out = []
    for name, split in splits.items():
        head = split["headline"]
        ends = head.get("eer_ci95") or (None, None)
        out.append((f"EER on {name}", percent(head.get("eer")), f"95 %: {percent(ends[0])} to {percent(ends[1])}"))
        out.append((f"AUC on {name}", number(head.get("auc")), f"Cllr {number(head.get('cllr'))}"))
    if cost.get("ms_per_audio_second") is not None:
        out.append(("Cost", f"{cost['ms_per_audio_second']:.2g} ms", "of one core, a second of audio"))
    return out


def goals(name: str, splits: dict, evaluation: dict, folder: Path, cost: dict) -> Table | None:
    """Issue 3's own goals, met or not."""
    split = splits.get("eval")
    rows: list[dict] = []

    def goal(what: str, value: float | None, most: float, show=percent) -> None:
        rows.append({"what": what, "value": show(value), "most": show(most), "met": None if value is None else value <= most})

    if split:
        best = min((peer["eer"] for peer in split.get("peers", {}).values() if peer.get("eer") is not None), default=None)
        goal("eval, whole clips: EER", split["headline"].get("eer"), WHOLE)
        if best is not None:
            goal("floor: half of the best published baseline's EER", split["headline"].get("eer"), BASELINE_SHARE * best)
        goal("eval, at 2 s of speech: EER", at_speech(split, "2 s").get("eer"), AT_2_S)
        goal("eval: Cllr", split["headline"].get("cllr"), CLLR, number)
        goal("eval, systems in neither train nor lab synth: EER", subset(split, "systems in neither train nor lab synth").get("eer"), UNSEEN)
    for row in (evaluation.get("languages") or {}).get("rows", []):
        if row["group"] != "all":
            goal(f"{row['name']}: EER", row.get("eer"), LANGUAGE)
    if name in COSTS and rows:
        goal("ms of one core a second of audio", cost.get("ms_per_audio_second"), COSTS[name][0], lambda v: number(v, 2))
        goal("size of the graphs, MB", graph_bytes(folder) / MEGABYTE, COSTS[name][1], lambda v: number(v, 1))
    columns: list[Column] = [
        ("goal", lambda row: row["what"]), ("at most", lambda row: row["most"]), ("measured", lambda row: row["value"]),
        ("", lambda row: Cell("not measured") if row["met"] is None else _met(row["met"])),
    ]  # fmt: skip
    return tables.table("What the model was asked to show", columns, rows)


def _met(met: bool) -> Cell:
    return Cell("met" if met else "not met", mark="good" if met else "bad")


def graph_bytes(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in read_card(folder).files)


def verdicts(splits: dict, default: str) -> Table | None:
    """What `done` said at the default operating point."""
    rows = []
    for name, split in splits.items():
        at = split.get("at_operating_points", {})
        found = at.get("verdicts") or at.get(default, {}).get("verdicts") or {}
        rows += [{"group": f"{name}, {'bona fide' if kind == 'bonafide' else kind}", **shares} for kind, shares in found.items()]
    columns = [("clips", tables.group_name), *((each, tables.share(each, 1)) for each in ("bonafide", "uncertain", "spoof", "no_speech"))]
    return tables.table(f"Final verdicts at the point `{default}`; a spoofed stretch inside a clip makes it spoof", columns, rows)


def groups(splits: dict) -> dict[str, list[Table]]:
    """Kind of group -> a table a split."""

    def made(key: str, make: Callable[..., Table | None], what: str, **more: str) -> list[Table]:
        found = [make(SPLITS[name], what, split.get("tables", {}).get(key, []), **more) for name, split in splits.items()]
        return [each for each in found if each is not None]

    return {
        "subset": made("subset", tables.conditions, "part of the split"), "family": made("family", tables.spoof_groups, "kind of fake"),
        "duration": made("duration", tables.conditions, "speech heard"), "codec": made("codec", tables.conditions, "coder, kbit/s"),
        "snr": made("snr", tables.conditions, "signal to noise"), "language": made("language", tables.own_groups, "language"),
        "licence": made("licence", tables.own_groups, "licence"), "source": made("source", tables.own_groups, "source", kind="long"),
        "system": made("system", tables.spoof_groups, "system", kind="long"),
    }  # fmt: skip


def streaming(splits: dict) -> list[Table]:
    out: list[Table | None] = []
    for name, split in splits.items():
        it = split.get("streaming")
        if not it:
            continue
        first, calls = it.get("first_verdict", {}), it.get("calls", {})
        lines = {"time to the first verdict, s of audio": _spread(first.get("audio_s")), "the same, s of speech": _spread(first.get("speech_s"))}
        lines |= {"clips that never got one": f"{count(first.get('never'))} of {count(first.get('clips'))}"} if first else {}
        lines |= {f"verdict changes a minute, {kind} calls": number(value, 2) for kind, value in it.get("flips_per_minute", {}).items()}
        lines |= {f"calls: {title}": value for title, value in tables.flat(calls)}
        out.append(pairs(f"{name}: first verdict and steadiness", lines))
        rows = [*it.get("detection", []), *([{"default": True, **it["at_default_point"]}] if it.get("at_default_point") else [])]
        columns: list[Column] = [
            ("false alarms an hour, at most", lambda row: "default point" if row.get("default") else f"{row['false_alarms_per_hour']:g}"),
            ("measured", tables.plain("measured", lambda v: number(v, 1))), ("threshold, llr", tables.plain("threshold_llr", lambda v: number(v, 2))),
            ("spoofed calls detected", tables.share("detected", 1)),
            ("after, s (median, 90\N{NO-BREAK SPACE}%)", lambda row: _spread(row.get("delay_s"))),
        ]  # fmt: skip
        out.append(tables.table(f"{name}: time to detect, at a fixed number of false alarms", columns, rows))
        long = [(seconds, kind, shares) for seconds, both in it.get("long_sessions", {}).items() for kind, shares in both.items()]
        rows = [{"group": f"{seconds} s, {kind}", **shares} for seconds, kind, shares in long if isinstance(shares, dict)]
        shares = [(each, tables.share(each, 1)) for each in ("bonafide", "uncertain", "spoof")]
        out.append(tables.table(f"{name}: long calls, final verdict", [("call", tables.group_name), *shares], rows))
    return [each for each in out if each is not None]


def _spread(it: dict | None) -> str:
    return f"{number(it.get('median'), 1)}, {number(it.get('p90'), 1)}" if it else tables.DASH


def languages(found: dict | None) -> Table | None:
    """Each language, and below them what seed 002 claims (without saying on which clips)."""
    if not found or not found.get("rows"):
        return None
    rows = list(found["rows"])
    if found.get("claimed_by_seed_002"):
        rows.append({"name": "claimed by seed 002, clips and generators unnamed", **found["claimed_by_seed_002"]})
    columns: list[Column] = [("language", lambda row: row["name"]), *tables.COUNTS, ("systems", tables.plain("systems", count)), tables.EER]
    shown = (("AUC", "auc", number), *((key, key, percent) for key in ("accuracy", "precision", "recall")), ("F1", "f1", percent))
    columns += [(f"{title} [95\N{NO-BREAK SPACE}%]", lambda row, key=key, show=show: with_interval(row, key, show)) for title, key, show in shown]
    note = f"Called spoof from llr {found.get('threshold_llr', 0):g} on; spoof is the positive class. Clips from: {', '.join(found.get('from', []))}."
    return tables.table("Five languages, speakers and voices held out of training", columns, rows, note)


def audit_summary(audits: dict | None) -> Table | None:
    columns: list[Column] = [
        ("audit", lambda row: row["name"]), ("what it checks", lambda row: row["checks"]),
        ("must pass", lambda row: "yes" if row["strict"] else "no"),
        ("cases passed", lambda row: f"{sum(each['passed'] for each in row['rows'])} of {len(row['rows'])}"),
        ("", lambda row: tables.verdict_cell(row["passed"])),
    ]  # fmt: skip
    return tables.table("Shortcut audits", columns, (audits or {}).get("audits", []), kind="wide")


def sound_table(sounds: dict | None) -> Table | None:
    rows = [{"group": kind, **each} for kind, each in (sounds or {}).get("speech_refused", {}).items()]
    columns = [("sound", tables.group_name), ("windows", tables.plain("windows", count)), ("no verdict", tables.share("refused", 1)),
               ("most speech seen, s", tables.plain("most_speech_s", lambda v: number(v, 2)))]  # fmt: skip
    return tables.table("Sounds that are not speech: windows of 4 s that get no verdict", columns, rows)


def robustness(found: dict | None) -> Table | None:
    rows = [{"group": name, **each} for name, each in (found or {}).items()]
    columns = [("change", tables.group_name), tables.EER, ("median change of llr", tables.plain("llr_moves_by", lambda v: number(v, 3)))]
    return tables.table("A sample of dev, changed", columns, rows)


def pairs(caption: str, values: dict | None) -> Table | None:
    columns: list[Column] = [("figure", lambda row: row["name"]), ("value", lambda row: row["value"])]
    return tables.table(caption, columns, [{"name": name, "value": value} for name, value in tables.flat(values or {})], kind="facts")


def against_peers(cost: dict, data: Path) -> list[str]:
    """The published detectors' cost as the data's README states it (4 s window, one thread), against this model's second of streamed audio."""
    readme, own = data / "README.md", cost.get("ms_per_audio_second")
    if own is None or not readme.exists():
        return []
    out, hops = [], 2  # a hop of 0.5 s: two windows a second
    for name, low, high in re.findall(r"(AASIST|Inc-TSSDNet|RawGAT-ST) (\d+)(?: to (\d+))? ms", readme.read_text("utf-8")):
        ends = [float(end) for end in (low, high) if end]
        shown, times = " to ".join(f"{end:g}" for end in ends), " to ".join(f"{hops * end / own:,.0f}" for end in ends)
        out.append(
            f"{name}: {shown} ms a window of 4 s. Asked for one every 0.5 s, it costs {times} times this model's {own:.2g} ms a second of audio."
        )
    return out


def model_facts(card: dict, folder: Path) -> Table | None:
    frames = card.get("frames") or {}
    training = card["training"]
    facts = {"name": card["name"], "version": card["version"], "kind": card["kind"], "sha256 of the model": fingerprint(read_card(folder))}
    facts |= {f"sha256 of {name}": value for name, value in card["files"].items()}
    facts |= {"parameters": training.get("parameters"), "bytes": graph_bytes(folder), "window, s": card["window_seconds"]}
    facts |= {"first window, s": card["first_window_seconds"], "hop, s": card["hop_seconds"], "least speech, s": card["min_speech_seconds"]}
    if frames:
        samples = sum(frames[key] for key in ("left_samples", "right_samples", "frame_samples"))
        facts["receptive field of a frame, s"] = samples / card["sample_rate"]
    return pairs("What the model is", facts)


def training_facts(card: dict) -> Table | None:
    return pairs("How it was trained, as its card states it", {key: value for key, value in card["training"].items() if key != "recipe"})
