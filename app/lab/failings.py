"""Where a model fails, in sentences made from its tables; and what it was never tested on. In: evaluation.json, audits.json. Called by `report`.

A sentence is left out where its figures were not measured; the thresholds below say what is worth a sentence.
"""

from app.lab.tables import group_name, percent

SYSTEM_CLIPS, GROUP_CLIPS, SPEECH_CLIPS = 4, 10, 8
"""Least clips of a system, of a source or language, and of a kind of sound, to be named."""
NAMED = 6
"""Groups named in one sentence."""
WORSE = 0.05
"""An EER this much above the whole split's is worth a sentence; so are false alarms this much above it."""
CODEC_CHANGE = 0.03
"""Points of false alarms (issue 3)."""

UNTESTED = (
    "Singing and rap. Music without voice is tested, a voice over music hardly.",
    "Children, very old speakers, whispering, shouting, crying, and voices changed by illness.",
    "Calls over real telephone and video-call networks. Codecs, packet loss and rooms were simulated; echo cancellers and the noise removal of real "
    "phones and browsers were not in the chain.",
    "Attacks made against this very model: noise optimised to move its score, or a generator trained against it. Assume that they work.",
    "Generators that appeared after the data was gathered, and paid services of which the data has no clip.",
    "Partly edited speech: single words replaced inside a real recording. Only the few clips of the family `edit`, where a split has any.",
    "Real speech that was heavily edited by its owner: voice changers, hearing-aid processing, dubbing, strong denoising by neural networks.",
    "Two people talking at once.",
    "Languages of which the tables below hold no clip; and of most that they do hold, only one source, so that language and recording are one.",
    "A claim about a person. The figures are shares of clips; a single verdict proves nothing.",
)


def failings(splits: dict, audits: dict | None, sounds: dict | None) -> list[str]:
    """The last split that was measured speaks (`eval` before `dev`); what only `dev` has comes from there."""
    out: list[str] = []
    name = next((name for name in ("eval", "dev") if name in splits), None)
    if name is not None:
        split = splits[name]
        tables = {kind: rows for each in ("dev", "eval") if each in splits for kind, rows in splits[each].get("tables", {}).items()}
        makers = (_overall, _systems, _families, _recent, _sources, _languages, _codecs, _noise, _short, _calibration)
        out += [sentence for make in makers if (sentence := make(name, split.get("headline", {}), split, tables))]
        out += _calls(splits)
    if sounds:
        out += _sounds(sounds)
    failed = [audit["name"] for audit in (audits or {}).get("audits", []) if not audit["passed"]]
    if failed:
        out.append(f"Shortcut audits that fail: {_list(failed)}. The verdict follows, more than it should, something that is not the voice.")
    return out


def _overall(name: str, head: dict, split: dict, tables: dict) -> str:
    if head.get("eer") is None:
        return ""
    at = split.get("at_operating_points", {})
    most = [f"{percent(each['uncertain'], 0)} of clips are uncertain at `{point}`" for point, each in at.items() if each.get("uncertain") is not None]
    tail = f" And an answer is not always given: {_list(most)}." if most else ""
    return f"At the threshold of equal errors {percent(head['eer'])} of the clips of `{name}` are judged wrongly, real and fake alike.{tail}"


def _systems(name: str, head: dict, split: dict, tables: dict) -> str:
    rows = [row for row in tables.get("system", []) if (row.get("n_spoof") or 0) >= SYSTEM_CLIPS and row.get("eer") is not None]
    worst = [row for row in sorted(rows, key=lambda row: -row["eer"]) if row["eer"] > (head.get("eer") or 0) + WORSE]
    if not worst:
        return ""
    shown = [
        f"{group_name(row)} (EER {percent(row['eer'], 0)}, {percent(row.get('miss'), 0)} called bonafide, {row['n_spoof']} clips)"
        for row in worst[:NAMED]
    ]
    return (
        f"{len(worst)} of {len(rows)} systems with at least {SYSTEM_CLIPS} clips pass clearly more often than the average. The worst: {_list(shown)}."
    )


def _families(name: str, head: dict, split: dict, tables: dict) -> str:
    rows = [row for row in tables.get("family", []) if row.get("eer") is not None]
    if len(rows) < 2:
        return ""
    ordered = sorted(rows, key=lambda row: -row["eer"])
    shown = [f"{group_name(row)} (EER {percent(row['eer'])})" for row in ordered]
    return f"By kind of fake, from worst to best: {_list(shown)}."


def _recent(name: str, head: dict, split: dict, tables: dict) -> str:
    rows = {group_name(row): row for row in tables.get("subset", [])}
    recent, rest = rows.get("recent neural TTS"), rows.get("everything else")
    if not recent or not rest or recent.get("eer") is None or rest.get("eer") is None or recent["eer"] <= rest["eer"]:
        return ""
    return f"Recent neural text-to-speech passes more often than older systems: EER {percent(recent['eer'])} against {percent(rest['eer'])}."


def _accused(rows: list[dict], average: float | None) -> list[dict]:
    """Groups of bona fide speech whose false alarms lie well above the split's."""
    rows = [row for row in rows if (row.get("n_bonafide") or 0) >= GROUP_CLIPS and row.get("false_alarm") is not None]
    return [row for row in sorted(rows, key=lambda row: -row["false_alarm"]) if row["false_alarm"] > (average or 0) + WORSE]


def _false_alarm(split: dict) -> float | None:
    rows = {group_name(row): row for row in split.get("tables", {}).get("subset", [])}
    return rows.get("all", {}).get("false_alarm")


def _sources(name: str, head: dict, split: dict, tables: dict) -> str:
    worst = _accused(tables.get("source", []), _false_alarm(split))
    shown = [f"{group_name(row)} ({percent(row['false_alarm'], 0)} of {row['n_bonafide']})" for row in worst[:NAMED]]
    return f"Real people are called machines most often in recordings from {_list(shown)}." if shown else ""


def _languages(name: str, head: dict, split: dict, tables: dict) -> str:
    worst = _accused(tables.get("language", []), _false_alarm(split))
    shown = [f"{group_name(row)} ({percent(row['false_alarm'], 0)} of {row['n_bonafide']})" for row in worst[:NAMED]]
    return f"Real speech is called spoof more often than elsewhere in these languages: {_list(shown)}." if shown else ""


def _codecs(name: str, head: dict, split: dict, tables: dict) -> str:
    rows = tables.get("codec", [])
    clean = next((row for row in rows if group_name(row) == "clean"), {})
    bad = [
        row
        for row in rows
        if row is not clean and (abs(row.get("false_alarm_change") or 0) > CODEC_CHANGE or (row.get("eer") or 0) > (clean.get("eer") or 1) + WORSE)
    ]
    shown = [f"{group_name(row)} (EER {percent(row.get('eer'))}, false alarms {percent(row.get('false_alarm'))})" for row in bad]
    if not shown:
        return ""
    return (
        f"Lossy coders change the answer (clean: EER {percent(clean.get('eer'))}, false alarms {percent(clean.get('false_alarm'))}): {_list(shown)}."
    )


def _noise(name: str, head: dict, split: dict, tables: dict) -> str:
    rows = tables.get("snr", [])
    clean = next((row for row in rows if group_name(row) == "clean"), {})
    bad = [row for row in rows if row.get("eer") is not None and clean.get("eer") is not None and row["eer"] > clean["eer"] + WORSE]
    shown = [f"{group_name(row)} ({percent(row['eer'])})" for row in bad]
    return f"Noise: from an EER of {percent(clean['eer'])} on clean clips to {_list(shown)} of signal-to-noise ratio." if shown else ""


def _short(name: str, head: dict, split: dict, tables: dict) -> str:
    rows = {group_name(row): row.get("eer") for row in tables.get("duration", [])}
    first, whole = rows.get("1 s"), rows.get("whole")
    return (
        f"One second of speech is little: EER {percent(first)}, against {percent(whole)} on whole clips." if first and whole and first > whole else ""
    )


def _calibration(name: str, head: dict, split: dict, tables: dict) -> str:
    actual, least = head.get("cllr"), head.get("min_cllr")
    if actual is None or least is None or actual - least < 0.02:
        return ""
    return (
        f"The llrs are less sure than they say on `{name}`: Cllr {actual:.3f}, of which {actual - least:.3f} is calibration "
        "(fitted on `dev`) and would be mended by another scale and bias."
    )


def _calls(splits: dict) -> list[str]:
    out = []
    for name, split in splits.items():
        for seconds, calls in split.get("streaming", {}).get("long_sessions", {}).items():
            real, mixed = calls.get("bona fide", {}), calls.get("with a spoofed stretch", {})
            if (real.get("spoof") or 0) > WORSE or (mixed.get("bonafide") or 0) > WORSE:
                out.append(
                    f"Calls of {seconds} s joined from `{name}` clips: {percent(real.get('spoof'), 0)} of those without a fake are called spoof, and "
                    f"{percent(mixed.get('bonafide'), 0)} of those with a fake stretch in the middle pass as bonafide."
                )
    return out


def _sounds(sounds: dict) -> list[str]:
    rows = [(kind, each) for kind, each in sounds.get("speech_refused", {}).items() if each.get("windows", 0) >= SPEECH_CLIPS]
    worst = [(kind, each) for kind, each in sorted(rows, key=lambda pair: pair[1].get("refused", 1)) if each.get("refused", 1) < 0.95]
    shown = [f"{kind} ({percent(1 - each['refused'], 0)} of {each['windows']} windows)" for kind, each in worst[:NAMED]]
    return [f"Taken for speech although nobody speaks: {_list(shown)}."] if shown else []


def _list(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
