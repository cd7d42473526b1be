"""Tables of the report: rows of evaluation.json and audits.json -> `Table`, with cells ready to print. A figure that is not there is a dash.

Called by `report`; the template only lays them out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

DASH = "–"
PERCENT = "\N{NO-BREAK SPACE}%"


@dataclass(frozen=True)
class Cell:
    """`bar` (0..1) draws a bar behind the text; `mark` is `good`, `bad` or nothing."""

    text: str
    bar: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Table:
    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""
    kind: str = ""
    """How it is set: `long` (small and tight), `facts` (names and words), `wide` (words in every column)."""


Column = tuple[str, Callable[[dict], Cell | str]]


def table(caption: str, columns: Iterable[Column], rows: Iterable[dict], note: str = "", kind: str = "") -> Table | None:
    """None without rows: the page then says "not measured". A column without any value is left out."""
    columns, rows = list(columns), list(rows)
    cells = [[each if isinstance(each := make(row), Cell) else Cell(each) for _, make in columns] for row in rows]
    kept = [at for at in range(len(columns)) if at == 0 or any(line[at].text != DASH for line in cells)]
    return Table(caption, [columns[at][0] for at in kept], [[line[at] for at in kept] for line in cells], note, kind) if rows else None


def percent(value: float | None, digits: int = 1) -> str:
    return DASH if value is None else f"{100 * value:.{digits}f}{PERCENT}"


def number(value: float | None, digits: int = 3) -> str:
    return DASH if value is None else f"{value:.{digits}f}"


def signed(value: float | None) -> str:
    """A change of a share, in points."""
    return DASH if value is None else f"{100 * value:+.1f}"


def count(value: int | None) -> str:
    return DASH if value is None else f"{value:,}"


def with_interval(row: dict, name: str, show: Callable[..., str] = percent) -> str:
    """`18.8 % [16.7, 21.1]`"""
    value, ends = row.get(name), row.get(f"{name}_ci95")
    if value is None or not ends or None in ends:
        return show(value)
    inner = ", ".join(show(end).removesuffix(PERCENT) for end in ends)
    return f"{show(value)} [{inner}]"


def share(name: str, digits: int = 0) -> Callable[[dict], Cell]:
    """A share with a bar behind it."""
    return lambda row: Cell(percent(row.get(name), digits), row.get(name))


def plain(name: str, show: Callable[..., str]) -> Callable[[dict], str]:
    return lambda row: show(row.get(name))


EER: Column = ("EER [95\N{NO-BREAK SPACE}%]", lambda row: Cell(with_interval(row, "eer"), row.get("eer")))
AUC: Column = ("AUC", plain("auc", number))
COUNTS: list[Column] = [("bona fide", plain("n_bonafide", count)), ("spoof", plain("n_spoof", count))]
RATES: list[Column] = [("false alarms", share("false_alarm")), ("missed", share("miss")), ("caught", share("caught"))]


def group_name(row: dict) -> str:
    return str(row.get("group") or "not stated")


def spoof_groups(caption: str, what: str, rows: list[dict], kind: str = "") -> Table | None:
    """Systems or families against all bona fide clips, hardest first; their false alarms are the split's own and are left out."""
    ordered = sorted(rows, key=lambda row: (-(row["eer"] if row.get("eer") is not None else -1), group_name(row)))
    columns: list[Column] = [(what, group_name), ("clips", plain("n_spoof", count)), EER, AUC, ("missed", share("miss")), ("caught", share("caught"))]
    return table(caption, columns, ordered, "", kind)


def own_groups(caption: str, what: str, rows: list[dict], kind: str = "") -> Table | None:
    """Groups with clips of either class; where one class is too small, the EER is against the whole split's."""
    mixed = any(row.get("against") == "all" for row in rows)
    note = "* one class of the group has fewer than three clips: EER and AUC against that class of the whole split." if mixed else ""

    def starred(row: dict) -> Cell:
        cell = EER[1](row)
        assert isinstance(cell, Cell)
        return Cell(cell.text + (" *" if row.get("against") == "all" and row.get("eer") is not None else ""), cell.bar)

    ordered = sorted(rows, key=lambda row: -((row.get("n_bonafide") or 0) + (row.get("n_spoof") or 0)))
    return table(caption, [(what, group_name), *COUNTS, (EER[0], starred), AUC, *RATES], ordered, note, kind)


def conditions(caption: str, what: str, rows: list[dict]) -> Table | None:
    """Durations, codecs, noise levels: in the order they were measured."""
    more: list[Column] = [
        ("Cllr", plain("cllr", number)), ("minCllr", plain("min_cllr", number)),
        ("change of false alarms, points", plain("false_alarm_change", signed)),
        ("median change of llr", plain("llr_moves_by", lambda v: number(v, 2))),
        ("clips that long", plain("reached", lambda v: percent(v, 0))),
    ]  # fmt: skip
    return table(caption, [(what, group_name), EER, AUC, *RATES, *more], rows)


def points(caption: str, at: dict, default: str) -> Table | None:
    """Operating points: thresholds and what they give."""
    rows = [{"name": name, **found} for name, found in at.items() if "bonafide_called_spoof" in found]
    columns: list[Column] = [
        ("point", lambda row: row["name"] + (" (default)" if row["name"] == default else "")),
        ("bonafide up to llr", plain("bonafide_llr", lambda v: number(v, 2))), ("spoof from llr", plain("spoof_llr", lambda v: number(v, 2))),
        ("false alarms: bona fide called spoof", share("bonafide_called_spoof", 1)),
        ("misses: spoof called bonafide", share("spoof_called_bonafide", 1)),
        ("spoof called spoof", share("spoof_called_spoof", 1)), ("bona fide called bonafide", share("bonafide_called_bonafide", 1)),
        ("uncertain", share("uncertain", 1)),
    ]  # fmt: skip
    return table(caption, columns, rows)


def audit_rows(audit: dict) -> Table | None:
    """An audit's cases; whatever it measured is a column."""
    titles: dict[str, tuple[str, Callable[..., str]]] = {
        "n": ("clips", count), "n_bonafide": ("clips", count),
        "llr_moves_by": ("median change of llr", lambda v: number(v, 3)), "flips": ("verdicts turned round", percent),
        "answers_lost": ("answers lost", percent), "eer_change": ("change of EER, points", signed), "false_alarm": ("false alarms", percent),
        "false_alarm_change": ("change of false alarms, points", signed), "refused": ("no_speech", percent), "spoof": ("called spoof", percent),
        "wrong": ("wrong", percent), "others_wrong": ("wrong in the others", percent),
        "multiple_at_least": ("times as often, at least", lambda v: number(v, 1)), "auc": ("AUC of the llr for it", number),
        "auc_at_least": ("AUC, at least", number),
    }  # fmt: skip
    present = [name for name in titles if any(name in row for row in audit["rows"])]
    columns: list[Column] = [("case", lambda row: row["case"])]
    columns += [(titles[name][0] + limit_of(audit["limit"], name), plain(name, titles[name][1])) for name in present]
    columns.append(("", lambda row: verdict_cell(row["passed"]) if row.get("judged", True) else Cell("too few to judge")))
    return table(f"{audit['name']}: {audit['checks']}", columns, audit["rows"])


def limit_of(limit: dict, name: str) -> str:
    """What stands in the column's head of an audited figure."""
    if name not in limit:
        return ""
    if name == "refused":
        return f" (at least {percent(limit[name], 0)})"
    if name.endswith("_change"):
        return f" (at most {'±' if name == 'false_alarm_change' else ''}{100 * limit[name]:g})"
    return f" (at most {percent(limit[name], 0) if name == 'flips' else f'{limit[name]:g}'})"


def verdict_cell(passed: bool) -> Cell:
    return Cell("passed" if passed else "failed", mark="good" if passed else "bad")


def flat(values: dict, before: str = "") -> list[tuple[str, str]]:
    """A nested dict as (name, value) lines, for what has no table of its own."""
    out: list[tuple[str, str]] = []
    for name, value in values.items():
        title = f"{before}{str(name).replace('_', ' ')}"
        if isinstance(value, dict):
            out += flat(value, f"{title}, ")
        else:
            shown = f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int and name != "seed" else str(value)
            out.append((title, DASH if value is None else shown))
    return out
