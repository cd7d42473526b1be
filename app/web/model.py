"""The model in use, for people: `GET /model` is its report, `GET /model/card.json` its card; and the rates that the page tells of its points.

The report is a file of the model's folder, made by `voxproof lab report`. It has its own style and drawings inside and no script, and its policy
says just that. A model of somebody's own may have none: then the address is refused as any other that leads nowhere. Called by the route table
and `pages`.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.core.errors import NotFound
from app.scoring.card import Card, Point
from app.service.services import Services
from app.web.table import About

REPORT_FILE = "report.html"
MOST_BYTES = 8 << 20  # a report of ours has a sixth of a megabyte
# Its style stands in the file itself, so styles may: nothing else of it may do or fetch anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HELD_BACK, CHOSEN_ON = "eval", "dev"  # the recordings that nothing was chosen on, and those the thresholds were set on


async def report(request: Request) -> Response:
    """GET /model."""
    services: Services = request.app.state.services
    content = await asyncio.to_thread(_read, services.detector.folder)
    if content is None:
        raise NotFound("The model in use has no report.")
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin"}
    return _kept(request, HTMLResponse(content, headers=headers))


async def card(request: Request) -> Response:
    """GET /model/card.json."""
    services: Services = request.app.state.services
    return _kept(request, Response(services.detector.card.model_dump_json(exclude_none=True), media_type="application/json"))


def links(folder: Path | None) -> dict[str, str | None]:
    """Where the page finds both, beside itself. `report` is None where there is none."""
    return {"card": "model/card.json", "report": "model" if folder is not None and (folder / REPORT_FILE).is_file() else None}


def rates(card: Card) -> dict[str, dict[str, float | None]]:
    """Operating point -> shares, 0..1: `false_alarm` of real voices called machine-made, `miss` of machine-made called real, `uncertain` of all, and
    what is right (None where a card does not say). Of the recordings held back, where the card's figures have them, else of those chosen on.
    """
    return _measured_on(card, HELD_BACK) or _measured_on(card, CHOSEN_ON) or {name: _own(point) for name, point in card.operating_points.items()}


def measured(card: Card) -> dict[str, Any]:
    """What `rates` were measured on: `held_back` or not, and how many recordings, where the card tells."""
    held_back = _measured_on(card, HELD_BACK) is not None
    found = _part(card.figures, HELD_BACK if held_back else CHOSEN_ON)
    counts = {name: value if isinstance(value := found.get(f"n_{name}"), int) else None for name in ("bonafide", "spoof")}
    return {"held_back": held_back, **counts}


def _own(point: Point) -> dict[str, float | None]:
    return {"false_alarm": point.false_alarm, "miss": point.miss, "uncertain": point.uncertain, "bonafide_right": None, "spoof_right": None}


def _measured_on(card: Card, split: str) -> dict[str, dict[str, float | None]] | None:
    """The rates of all points, or None."""
    found = {name: _shares(_part(card.figures, split, "at_operating_points", name)) for name in card.operating_points}
    return {name: shares for name, shares in found.items() if shares} if all(found.values()) else None


def _shares(found: dict[str, Any]) -> dict[str, float | None] | None:
    """`figures` is written for readers and may hold anything: what does not look like a share is not used."""
    names = {
        "false_alarm": "bonafide_called_spoof", "miss": "spoof_called_bonafide", "uncertain": "uncertain",
        "bonafide_right": "bonafide_called_bonafide", "spoof_right": "spoof_called_spoof",
    }  # fmt: skip
    shares = {ours: found.get(theirs) for ours, theirs in names.items()}
    if not all(isinstance(share, int | float) and math.isfinite(share) and 0 <= share <= 1 for share in shares.values()):
        return None
    return shares


def _part(content: Any, *names: str) -> dict[str, Any]:
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _read(folder: Path | None) -> bytes | None:
    if folder is None:
        return None
    try:
        with (folder / REPORT_FILE).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError:
        return None
    return content if len(content) <= MOST_BYTES else None


def _kept(request: Request, response: Response) -> Response:
    """A browser asks each time whether it still has the newest: another model may be in use."""
    tag = f'"{hashlib.sha256(bytes(response.body)).hexdigest()[:32]}"'
    held = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    headers = {"ETag": tag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    if tag in held or "*" in held:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return response


REPORT = About(
    "The report of the model in use",
    "What was measured of the detector, on one page, with how it was measured. 404 for a model that came without one.",
    tag="documentation",
    answer={"text/html": str},
    errors=(NotFound,),
)
CARD = About(
    "The card of the model in use",
    "What the detector takes, its operating points with their measured rates, its training data and licences, and its figures.",
    tag="documentation",
    answer={"application/json": {"type": "object", "required": ["name", "version", "files", "operating_points"]}},
)
