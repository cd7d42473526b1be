"""The route table: what there is, who may use it, in which shape it refuses. `routes` makes Starlette's routes of it."""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from app.assets import asset_dir
from app.web import (
    about,
    about_sockets,
    compat,
    compat_deepfake,
    compat_detect,
    docs,
    health,
    metrics,
    model,
    pages,
    reports,
    sessions,
    stream,
    tokens,
    twilio,
    upload,
    webhooks,
)
from app.web.resource import Resource, upgrade
from app.web.table import Channel, Endpoint

ENDPOINTS: list[Endpoint] = [
    Endpoint("GET", "/", pages.home, None, about.HOME, allowance=""),
    Endpoint("POST", "/v1/detect", upload.detect, "detect", about.DETECT),
    Endpoint("POST", "/analyze", compat.analyze, "detect", about.ANALYZE, refuse=compat.refusal),
    Endpoint("POST", "/detect", compat_detect.detect, "detect", about.OLDER_DETECT, refuse=compat_detect.refusal, allowance="detect"),
    Endpoint("POST", "/v1/voice/deepfake", compat_deepfake.deepfake, "detect", about.DEEPFAKE, refuse=compat_deepfake.refusal),
    Endpoint("GET", "/health", compat_detect.health, None, about.HEALTH, refuse=compat_detect.refusal, allowance=""),
    Endpoint("POST", "/v1/webhooks", webhooks.create, "stream", about.WEBHOOK_CREATE),
    Endpoint("GET", "/v1/webhooks", webhooks.listed, "stream", about.WEBHOOKS),
    Endpoint("DELETE", "/v1/webhooks/{id}", webhooks.delete, "stream", about.WEBHOOK_DELETE),
    Endpoint("POST", "/v1/webhooks/{id}/test", webhooks.test, "stream", about.WEBHOOK_TEST),
    Endpoint("GET", "/v1/sessions/{session_id}", sessions.session, "any", sessions.ABOUT),
    Endpoint("POST", "/v1/reports/sar", reports.file, "reports", reports.FILE),
    Endpoint("GET", "/v1/reports/sar", reports.listed, "reports", reports.LIST),
    Endpoint("GET", "/v1/reports/sar/export", reports.export_all, "reports", reports.EXPORT_ALL),  # before {case_id}
    Endpoint("GET", "/v1/reports/sar/{case_id}", reports.one, "reports", reports.READ),
    Endpoint("GET", "/v1/reports/sar/{case_id}/audio", reports.audio, "reports", reports.AUDIO),
    Endpoint("GET", "/v1/reports/sar/{case_id}/export", reports.export_one, "reports", reports.EXPORT),
    Endpoint("POST", "/v1/tokens", tokens.create, "any", tokens.ABOUT),
    Endpoint("GET", "/livez", health.livez, None, about.LIVEZ, allowance=""),
    Endpoint("GET", "/startupz", health.startupz, None, about.STARTUPZ, allowance=""),
    Endpoint("GET", "/metrics", metrics.metrics, None, about.METRICS, allowance=""),
    Endpoint("GET", "/readyz", health.readyz, None, about.READYZ, allowance=""),
]
CHANNELS: list[Channel] = [
    Channel("/v1/stream", stream.stream, "stream", about_sockets.STREAM),
    Channel("/ws", compat.ws, "stream", about_sockets.WS),
    Channel("/v1/twilio", twilio.twilio, "stream", about_sockets.TWILIO),
]


DOCUMENTS = docs.Documents(ENDPOINTS, CHANNELS)
ENDPOINTS += [
    Endpoint("GET", "/openapi.json", DOCUMENTS.openapi, None, about.OPENAPI, allowance=""),
    Endpoint("GET", "/asyncapi.json", DOCUMENTS.asyncapi, None, about.ASYNCAPI, allowance=""),
    Endpoint("GET", "/docs", DOCUMENTS.page, None, about.DOCS, allowance=""),
    Endpoint("GET", "/model", model.report, None, model.REPORT, allowance=""),
    Endpoint("GET", "/model/card.json", model.card, None, model.CARD, allowance=""),
]


def routes() -> list[BaseRoute]:
    return [
        *(Route(path, Resource([row for row in ENDPOINTS if row.path == path])) for path in dict.fromkeys(row.path for row in ENDPOINTS)),
        *(WebSocketRoute(each.path, each.handler) for each in CHANNELS),
        *(Route(each.path, upgrade) for each in CHANNELS),
        # Compressed here and nowhere else: these files are the same for everybody, so their size tells nothing of a secret (BREACH).
        Mount("/static", pages.Assets(directory=asset_dir("static")), name="static", middleware=[Middleware(GZipMiddleware)]),
    ]
