"""`GET /`: the older contract's JSON for programs (seed 003), the page for browsers. Called by the route table; `main` builds `environment` once.

The page is one template without inline script or style, so its Content-Security-Policy can be strict. What the page must know of this
server before it asks (limits, thresholds of the operating points, the model) travels as one JSON attribute.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app import __version__
from app.assets import asset_dir
from app.core.verdict import score_of
from app.service.services import Services
from app.web import model, snippets

ABOUT = {
    "name": "Deepfake Audio Detection API",
    "version": "1.0.0",
    "description": "API for real-time detection of deepfake audio",
    "endpoints": {
        "POST /analyze": "Upload an audio file for deepfake detection",
        "WebSocket /ws": "Stream audio data for real-time deepfake detection",
    },
}

# Older Safari does not count ws: and wss: of the same host as 'self', so they are named; a Host that is none is not repeated.
HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; worker-src 'self'; connect-src {connect}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), display-capture=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(asset_dir("templates")), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


async def home(request: Request) -> Response:
    """GET and HEAD /."""
    if "text/html" not in request.headers.get("accept", "").lower():
        return JSONResponse(ABOUT, headers={"Vary": "Accept"})
    services: Services = request.app.state.services
    template = request.app.state.templates.get_template("index.html")
    host = request.headers.get("host", "")
    connect = f"'self' ws://{host} wss://{host}" if HOST.fullmatch(host) else "'self'"
    return HTMLResponse(template.render(facts=facts(services), modules=modules()), headers={**headers(connect), "Vary": "Accept"})


@cache
def modules() -> list[str]:
    """Every module the page loads, so that a browser asks for all of them at once and not as it finds them, import by import."""
    static = asset_dir("static")
    found = sorted(path.relative_to(static.parent).as_posix() for path in (static / "js").rglob("*.js"))
    return [path for path in found if path not in ("static/js/docs.js", "static/js/live/worklet.js", "static/js/keep/hasher.js")]


def headers(connect: str) -> dict[str, str]:
    """What every page of ours says of itself; `connect` is where it may."""
    return {**_HEADERS, "Content-Security-Policy": _POLICY.format(connect=connect)}


def facts(services: Services) -> dict[str, Any]:
    """What the page is told: `points` are scores between which a verdict is uncertain, per operating point; `rates` what they came to."""
    card, settings = services.detector.card, services.settings
    points = {name: [score_of(point.bonafide_llr), score_of(point.spoof_llr)] for name, point in card.operating_points.items()}
    return {
        "model": services.detector.model.info.model_dump(),
        "points": points,
        "rates": model.rates(card),
        "measured": model.measured(card),
        "model_links": model.links(services.detector.folder),
        "default_point": card.default_operating_point,
        "max_upload_bytes": settings.max_upload_bytes,
        "max_audio_seconds": settings.max_audio_seconds,
        "version": __version__,
        "keeps_records": settings.session_record_seconds > 0,
        "examples": snippets.repeats(),
    }


class Assets(StaticFiles):
    """The page's files. A browser asks each time whether it still has the newest (304 mostly), so an upgrade never mixes old modules with new."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
