"""The report's drawings, as inline SVG whose colours are the page's CSS variables: DET curves, score histograms, calibration, intervals.

In: lists of numbers from evaluation.json. Out: `Markup` (every text in it escaped). No script, no outside file. Called by `report`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from markupsafe import Markup, escape

WIDTH = 380
DET_TICKS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
DET_ENDS = (0.004, 0.75)
"""Error rates at the ends of both axes of a DET plot."""


@dataclass(frozen=True)
class Curve:
    """`style` numbers its colour and dash (0: the model of the page)."""

    name: str
    false_alarm: Sequence[float]
    miss: Sequence[float]
    style: int


@dataclass(frozen=True)
class Interval:
    """One line of the interval plot; `own` is the model of the page."""

    name: str
    value: float
    low: float
    high: float
    own: bool = False


def svg(height: float, title: str, description: str, parts: Iterable[Markup]) -> Markup:
    """A drawing that says in words what it shows."""
    inside = Markup("\n").join(parts)
    return Markup(
        '<svg class="plot" viewBox="0 0 {w} {h}" role="img" aria-label="{t}. {d}" xmlns="http://www.w3.org/2000/svg"><title>{t}</title><desc>{d}</desc>\n{i}\n</svg>'
    ).format(w=WIDTH, h=round(height), t=title, d=description, i=inside)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x1, y1, x2, y2)


def rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(kind, x, y, max(0.0, width), max(0.0, height))


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "middle", turned: bool = False) -> Markup:
    turn = Markup(' transform="rotate(-90 {:.1f} {:.1f})"').format(x, y) if turned else Markup("")
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}"{}>{}</text>').format(kind, x, y, anchor, turn, words)


def det(curves: list[Curve], title: str, description: str) -> Markup:
    """Miss against false alarm, both on normal-deviate axes, so that Gaussian scores give straight lines; the dotted diagonal is where EERs lie."""
    deviate = NormalDist().inv_cdf
    low, high = (deviate(end) for end in DET_ENDS)
    left, top, side = 46.0, 10.0, WIDTH - 56.0

    def place(rate: float) -> float:
        return (deviate(min(max(rate, 1e-5), 1 - 1e-5)) - low) / (high - low) * side

    parts = [
        Markup('<clipPath id="{}"><rect x="{}" y="{}" width="{}" height="{}"/></clipPath>').format(_name(title), left, top, side, side),
        rect(left, top, side, side, "frame"),
    ]
    for tick in DET_TICKS:
        at = place(tick)
        label = f"{100 * tick:g}"
        parts += [line(left + at, top, left + at, top + side, "grid"), line(left, top + side - at, left + side, top + side - at, "grid")]
        parts += [text(left + at, top + side + 15, label, "tick"), text(left - 6, top + side - at + 4, label, "tick", "end")]
    parts += [
        line(left, top + side, left + side, top, "diagonal"),
        text(left + side / 2, top + side + 33, "false alarms: bona fide called spoof, %", "axis"),
        text(13, top + side / 2, "misses: spoof not called so, %", "axis", turned=True),
    ]
    for curve in sorted(curves, key=lambda each: -each.style):
        points = " ".join(f"{left + place(x):.1f},{top + side - place(y):.1f}" for x, y in zip(curve.false_alarm, curve.miss, strict=True))
        parts.append(Markup('<polyline class="curve s{}" clip-path="url(#{})" points="{}"/>').format(curve.style, _name(title), points))
    return svg(top + side + 40, title, description, parts)


def histogram(counts: dict[str, list], points: dict[str, tuple[float, float]], default: str, title: str, description: str) -> Markup:
    """Bona fide upwards, spoof downwards, as shares of their class; above them each operating point's uncertain band as a bar."""
    row = 28.0
    edges, left, width, top, half = counts["edges"], 12.0, WIDTH - 24.0, 8 + row * len(points), 88.0
    shares = {kind: [n / max(1, sum(counts[kind])) for n in counts[kind]] for kind in ("bonafide", "spoof")}
    most = max([*shares["bonafide"], *shares["spoof"], 1e-9])

    def place(llr: float) -> float:
        return left + (min(max(llr, edges[0]), edges[-1]) - edges[0]) / max(edges[-1] - edges[0], 1e-9) * width

    middle, parts = top + half, []
    if default in points:
        low, high = points[default]
        parts.append(rect(place(low), top, place(high) - place(low), 2 * half, "band"))
    for number, (name, (low, high)) in enumerate(points.items()):
        y, words = row * number + 20, f"{name}: {_signed(low)} to {_signed(high)}"
        kind = "point default" if name == default else "point"
        parts += [line(place(low), y, place(high), y, kind), *(line(place(end), y - 4, place(end), y + 4, kind) for end in (low, high))]
        half_text = 3.6 * len(words)
        parts.append(text(min(max((place(low) + place(high)) / 2, half_text), WIDTH - half_text), y - 7, words, "tick"))
    for index, (real, fake) in enumerate(zip(shares["bonafide"], shares["spoof"], strict=True)):
        x, bar = place(edges[index]), place(edges[index + 1]) - place(edges[index])
        parts.append(rect(x + 0.4, middle - real / most * half, bar - 0.8, real / most * half, "bar bonafide"))
        parts.append(rect(x + 0.4, middle, bar - 0.8, fake / most * half, "bar spoof"))
    parts += [line(left, middle, left + width, middle, "frame"), line(place(0), top, place(0), top + 2 * half, "diagonal")]
    parts.append(text(left + width - 2, top + 12, "bona fide, upwards", "label bonafide", "end"))
    parts.append(text(left + 2, top + 2 * half - 4, "spoof, downwards", "label spoof", "start"))
    parts += [text(place(tick), top + 2 * half + 15, _signed(tick, 0), "tick") for tick in _ticks(edges[0], edges[-1])]
    parts.append(text(WIDTH / 2, top + 2 * half + 33, "llr of a clip (natural log, high = spoof)", "axis"))
    return svg(top + 2 * half + 40, title, description, parts)


def calibration(rows: list[tuple[str, float, float]], title: str, description: str) -> Markup:
    """For each (name, Cllr, minCllr) a bar: the filled part no calibration can mend, the open part is what calibration costs."""
    left, top, height = 38.0, 12.0, 150.0
    width, most = WIDTH - left - 10, max([1.0, *(whole for _, whole, _ in rows)]) * 1.08
    step, parts = width / max(1, len(rows)), []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = top + height * (1 - tick / most)
        parts += [line(left, y, left + width, y, "diagonal" if tick == 1 else "grid"), text(left - 6, y + 4, f"{tick:g}", "tick", "end")]
    for number, (name, whole, least) in enumerate(rows):
        x, tall, filled = left + step * number + step * 0.2, height * whole / most, height * least / most
        parts += [rect(x, top + height - tall, step * 0.6, tall, "bar open"), rect(x, top + height - filled, step * 0.6, filled, "bar own")]
        parts += [text(x + step * 0.3, top + height - tall - 4, f"{whole:.2f}", "value"), text(x + step * 0.3, top + height + 15, name, "tick")]
    parts.append(text(left + width / 2, top + height + 33, "speech heard", "axis"))
    return svg(top + height + 40, title, description, parts)


def intervals(rows: list[Interval], title: str, description: str, least: float | None = None) -> Markup:
    """One line a detector: the EER and its 95 % interval, in per cent; `least` draws a goal."""
    left, top, step = 132.0, 8.0, 24.0
    width, most = WIDTH - left - 14, max([0.5, *(row.high for row in rows)]) * 1.04
    bottom, parts = top + step * len(rows), []
    for tick in range(0, int(most * 100) + 1, 10):
        x = left + tick / 100 / most * width
        parts += [line(x, top, x, bottom, "grid"), text(x, bottom + 15, f"{tick}", "tick")]
    if least is not None:
        parts.append(line(left + least / most * width, top, left + least / most * width, bottom, "goal"))
    for number, row in enumerate(rows):
        y, kind = top + step * (number + 0.5), "own" if row.own else "other"
        parts += [
            text(left - 8, y + 4, row.name, f"tick {kind}", "end"),
            line(left + row.low / most * width, y, left + row.high / most * width, y, f"whisker {kind}"),
        ]
        parts.append(Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="5"/>').format(kind, left + row.value / most * width, y))
    parts.append(text(left + width / 2, bottom + 33, "EER and its 95 % interval, %", "axis"))
    return svg(bottom + 40, title, description, parts)


def _signed(value: float, digits: int = 2) -> str:
    """With its sign, and a minus that is as wide as the plus."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}") if value else "0"


def _ticks(low: float, high: float) -> list[int]:
    step = next(step for step in (1, 2, 4, 5, 10, 20, 50, 100, 1000) if (high - low) / step <= 9 or step == 1000)
    return [tick for tick in range(int(low // step) * step, int(high) + 1, step) if low <= tick <= high]


def _name(title: str) -> str:
    """An id of letters and digits, for a clip path."""
    return "c" + "".join(letter for letter in str(escape(title)).lower() if letter.isalnum())
