"""`evaluation.json` as lines for people: what `voxproof lab evaluate` prints and the model's README keeps."""

from collections.abc import Iterator

TABLES = ("subset", "family", "duration", "codec", "snr", "language", "licence")
HARDEST = 8
"""Systems named in the printed table; all are in the file."""


def show(whole: dict) -> str:
    return "\n".join(line.rstrip() for line in _lines(whole))


def _lines(whole: dict) -> Iterator[str]:
    name = whole["model"]["name"]
    for split, found in whole["splits"].items():
        yield from _split(split, name, found)
    if "languages" in whole:
        yield from _languages(whole["languages"])
    if sounds := whole.get("sounds"):
        yield "== sounds that are not speech: share of 4 s windows refused, most speech seen =="
        for kind, values in sounds["speech_refused"].items():
            yield f"  {kind:36} {values['refused']:6.1%} of {values['windows']:3}  {values['most_speech_s']:5.2f} s"
        yield from (f"  speech kept, {key}: {value}" for key, value in sounds.get("speech_kept", {}).items())
    if changes := whole.get("robustness"):
        yield "== dev clips, changed: EER, median change of llr =="
        yield from (f"  {key:30} {values['eer']:6.1%} {values.get('llr_moves_by', '')}" for key, values in changes.items())
    if cost := whole.get("cost"):
        yield "== cost =="
        yield from (f"  {key:32} {value}" for key, value in cost.items())


def _split(split: str, name: str, found: dict) -> Iterator[str]:
    head = found["headline"]
    yield f"== {split}: {head['n_bonafide']} bona fide, {head['n_spoof']} spoofed of {head['systems']} systems, {head['unanswered']} unanswered =="
    yield f"{'':16} {'EER':>6} {'95 % interval':>15} {'AUC':>6} {'95 % interval':>15} {'minDCF':>7} {'minCllr':>8} {'EER without LJ, VCTK':>22}"
    apart = {row["group"]: row for row in found["tables"]["subset"]}["without LJ and VCTK"]
    for who, values in ((name, head | {"without_lj_and_vctk": apart}), *found["peers"].items()):
        (low, high), (alow, ahigh) = values["eer_ci95"], values["auc_ci95"]
        yield (
            f"{who:16} {values['eer']:6.1%} {low:6.1%} .. {high:5.1%} {values['auc']:6.3f} {alow:6.3f} .. {ahigh:5.3f}"
            f" {values['min_dcf']:7.3f} {values['min_cllr']:8.3f} {_share(values['without_lj_and_vctk']['eer']):>22}"
        )
    low, high = head["eer_ci95_clustered"]
    yield f"  EER interval with speakers and systems drawn whole: {low:.1%} .. {high:.1%}; mean EER over systems {head['macro_eer']:.1%}"
    yield f"  actDCF {head['act_dcf']:.3f} (minDCF {head['min_dcf']:.3f}), Cllr {head['cllr']:.3f} (minCllr {head['min_cllr']:.3f})"
    zero = head["at_zero"]
    yield f"  at llr 0: accuracy {zero['accuracy']:.1%}, precision {zero['precision']:.1%}, recall {zero['recall']:.1%}, F1 {zero['f1']:.3f}"
    for point, values in found["at_operating_points"].items():
        real, fake = values["bonafide_called_spoof"], values["spoof_called_bonafide"]
        yield f"  {point:9} bona fide called spoof {real:6.1%}, spoof called bona fide {fake:6.1%}, uncertain {values['uncertain']:6.1%}"
    for table in TABLES:
        if rows := found["tables"].get(table):
            yield from _table(table, rows)
    if systems := found["tables"].get("system"):
        yield from _table(f"system, the hardest {HARDEST} of {len(systems)}", systems[:HARDEST])
    if streaming := found.get("streaming"):
        yield from _streaming(streaming)


def _table(name: str, rows: list[dict]) -> Iterator[str]:
    yield f"  by {name:36} {'bona fide':>9} {'spoof':>6} {'EER':>7} {'95 % interval':>16} {'AUC':>6} {'false alarm':>12} {'caught':>7} {'Cllr':>6}"
    for row in rows:
        ends = "{:6.1%} .. {:6.1%}".format(*row["eer_ci95"]) if row["eer_ci95"] else ""
        auc = "" if row["auc"] is None else f"{row['auc']:.3f}"
        counts = f"{row['n_bonafide']:9} {row['n_spoof']:6}"
        cllr = f"{row['cllr']:.3f}" if row.get("cllr") is not None else ""
        shares = f"{_share(row['false_alarm']):>12} {_share(row['caught']):>7}"
        yield f"    {row['group']:37} {counts} {_share(row['eer']):>7} {ends:>16} {auc:>6} {shares} {cllr:>6}"


def _streaming(found: dict) -> Iterator[str]:
    first = found["first_verdict"]
    audio, speech = first["audio_s"], first["speech_s"]
    yield f"  first verdict after {audio['median']} s of audio (p90 {audio['p90']}), {speech['median']} s of speech; none in {first['never']} clips"
    if "detection" not in found:
        return
    calls, flips = found["calls"], found["flips_per_minute"]
    mind = f"{flips['bonafide']:.1f} bona fide, {flips['spoof']:.1f} spoof"
    yield f"  calls: {calls['bonafide_speech_hours']:.2f} h of bona fide speech; verdict flips a minute: {mind}"
    for row in found["detection"]:
        yield f"  at {row['false_alarms_per_hour']:2} false alarms an hour (measured {row['measured']:.1f}): {_detected(row)}"
    row = found["at_default_point"]
    yield f"  at the default point ({row['measured']:.1f} false alarms an hour): {_detected(row)}"
    for seconds, kinds in found.get("long_sessions", {}).items():
        yield from (f"  dev clips joined to {seconds} s, {kind}: {kinds[kind]}" for kind in ("bona fide", "with a spoofed stretch"))


def _detected(row: dict) -> str:
    delay = row["delay_s"]
    return f"{row['detected']:.1%} of spoofed calls detected, after {delay['median']} s (p90 {delay['p90']}), llr {row['threshold_llr']}"


def _languages(found: dict) -> Iterator[str]:
    yield f"== languages, at llr {found['threshold_llr']}: bona fide and spoofs from {', '.join(found['from'])} =="
    columns = f"{'accuracy':>9} {'precision':>9} {'recall':>7} {'F1':>6} {'AUC':>6}"
    yield f"  {'':12} {'bona fide':>9} {'spoof':>6} {'EER':>7} {'95 % interval':>16} {columns}"
    for row in found["rows"]:
        ends = "{:6.1%} .. {:6.1%}".format(*row["eer_ci95"]) if row["eer_ci95"] else ""
        rates = (
            f"{_share(row['accuracy']):>9} {_share(row['precision']):>9} {_share(row['recall']):>7} {_plain(row['f1']):>6} {_plain(row['auc']):>6}"
        )
        yield f"  {row['name']:12} {row['n_bonafide']:9} {row['n_spoof']:6} {_share(row['eer']):>7} {ends:>16} {rates}"
    claim = found["claimed_by_seed_002"]
    rates = f"{claim['accuracy']:9.1%} {claim['precision']:9.1%} {claim['recall']:7.1%} {claim['f1']:6.3f} {claim['auc']:6.3f}"
    yield f"  {'seed 002, as claimed':46}{'':8} {rates}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
