"""The composition root: settings -> detector, batcher, decoders, streams -> the ASGI application. The only place that builds things.

`uvicorn --factory app.main:create_app` serves it; so does `voxproof serve`, which reads the settings first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from app import traces
from app.core.errors import VoxproofError
from app.scoring.batch import Batcher
from app.scoring.load import Detector, load
from app.service.access import Access
from app.service.checks import checks_for
from app.service.decoder_pool import DecoderPool
from app.service.egress import Egress
from app.service.health import Health
from app.service.keys import KeyRing
from app.service.limits import Gate, Pulse, strained
from app.service.metrics import Metrics
from app.service.quotas import Quotas
from app.service.records import Records
from app.service.reports import Reports
from app.service.resume import Shelf
from app.service.services import Services
from app.service.streams import Streams
from app.service.tally import Tally, batches, present, watching
from app.service.webhooks import Webhooks
from app.settings import Settings
from app.store.blobs import Blobs, Bucket
from app.store.cache import Cache, MemoryCache, open_cache
from app.store.db import Database
from app.store.record_rows import RecordRows, RecordStore
from app.store.urls import place_of
from app.store.webhook_rows import WebhookRows
from app.web import errors, pages
from app.web.cors import Cors
from app.web.observe import Observed
from app.web.patience import patient
from app.web.routes import routes

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, detector: Detector | None = None) -> Starlette:
    """The application. The model is read and checked at once, so ModelMissing, ModelAltered or CardMismatch come here, not at a request."""
    settings = settings or Settings()
    refuse_bad_places(settings)
    detector = detector or load_detector(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with services_for(settings, detector) as services:
            app.state.services = services
            yield

    app = Starlette(
        routes=routes(),
        middleware=[Middleware(Observed), *([Middleware(Cors, origins=settings.cors_origins)] if settings.cors_origins else [])],
        lifespan=lifespan,
        exception_handlers={VoxproofError: errors.on_voxproof_error, HTTPException: errors.on_http_exception, Exception: errors.on_bug},
    )
    app.router.redirect_slashes = False  # behind a proxy that ends TLS it would send keys and bodies on to http://
    app.state.templates = pages.environment()
    return app


def http_protocol(settings: Settings) -> type[asyncio.Protocol]:
    """What uvicorn is to speak HTTP with."""
    return patient(settings.head_timeout_seconds)


def load_detector(settings: Settings) -> Detector:
    return load(settings.model, settings.models_dir)


def egress_for(settings: Settings) -> Egress:
    """What webhooks leave through."""
    return Egress(
        allow_http=settings.webhook_allow_http, allowed=settings.webhook_allowed_networks, timeout_s=settings.webhook_timeout_seconds
    )


def blobs_for(settings: Settings) -> Blobs:
    secret = settings.blob_secret_access_key
    bucket = Bucket(settings.blob_endpoint_url, settings.blob_region, settings.blob_access_key_id, secret.get_secret_value() if secret else None)
    return Blobs(settings.blob_url, settings.data_dir, bucket)


def records_place(settings: Settings, cache: Cache, database: Database) -> RecordStore:
    """Where session records are kept: on disk only if somebody named a database."""
    if settings.redis_url:
        return cache
    return RecordRows(database) if settings.database_url else MemoryCache(most_bytes=settings.session_records_bytes)


def refuse_bad_places(settings: Settings) -> None:
    """BadSetting comes here, when the server starts, and not at the first request that stores something."""
    place_of(settings.database_url, settings.data_dir)
    open_cache(settings.redis_url)
    blobs_for(settings)
    traces.check(settings.otlp_endpoint)


def shelf_for(settings: Settings, cache: Cache) -> Shelf | None:
    """Where sessions wait for another server; only Redis is common to several."""
    if not settings.redis_url or not settings.resume_window_seconds:
        return None
    every_ms = round(settings.snapshot_seconds * 1000)
    return Shelf(cache, ttl_s=settings.resume_window_seconds, every_ms=every_ms, timeout_s=settings.redis_timeout_seconds)


@asynccontextmanager
async def services_for(settings: Settings, detector: Detector) -> AsyncIterator[Services]:
    """Starts what lives on the event loop, and ends it again."""
    decoders = DecoderPool(settings.decode_workers, settings.decode_memory_bytes)
    info = detector.model.info
    spans, metrics = traces.start(settings.otlp_endpoint), Metrics(info, settings.metrics_dir)
    batcher = Batcher(
        detector.scorer, workers=settings.scoring_workers, max_batch=settings.scoring_max_batch, max_queue=settings.scoring_max_queue,
        observe=batches(metrics, spans), mark=spans.mark,
    )  # fmt: skip
    database = Database(
        settings.database_url, settings.data_dir, pool=settings.database_pool_size, timeout_s=settings.database_timeout_seconds,
        migrate=settings.migrate_on_start,
    )  # fmt: skip
    cache = open_cache(settings.redis_url, settings.redis_timeout_seconds)
    blobs = blobs_for(settings)
    keys = KeyRing(database, settings.api_key.get_secret_value() if settings.api_key else None)
    access = Access(
        keys, cache, host=settings.host, origins=(*settings.allowed_origins, *settings.cors_origins),
        max_failures=settings.max_key_failures_per_minute, cache_s=settings.key_cache_seconds,
    )  # fmt: skip
    quotas = Quotas(settings)
    records = Records(records_place(settings, cache, database), settings)
    reports = Reports(database, blobs, records, settings)
    webhooks = Webhooks(WebhookRows(database), egress_for(settings), settings, records.get)
    uploads = Gate("uploads", settings.max_uploads, settings.retry_after_ms)
    checks = checks_for(settings, info, batcher, decoders, database, cache, lambda: uploads.is_shut)
    health = Health(checks, settings.check_timeout_seconds)
    try:
        async with watching(metrics, spans), Pulse(metrics.late) as pulse, batcher, health, records, reports, webhooks:
            reason = partial(strained, batcher, pulse, max_busy=settings.max_busy, max_lag_ms=settings.max_lag_ms)
            gate = Gate("streams", settings.max_streams, settings.retry_after_ms, reason)
            observers = (records.observe, webhooks.observe, partial(Tally, metrics))
            streams = Streams(
                detector.model, batcher, gate, settings, observe=observers, quotas=quotas, shelf=shelf_for(settings, cache),
                refused=partial(metrics.error, "live"),
            )  # fmt: skip
            counts = (quotas.refusals, webhooks.deliverer.counts, lambda: quotas.store_failures)
            metrics.watch(partial(present, streams, uploads, batcher), *counts)
            yield Services(
                settings=settings,
                detector=detector,
                batcher=batcher,
                decoders=decoders,
                streams=streams,
                uploads=uploads,
                older_sockets=Gate("sockets", settings.max_older_sockets, settings.retry_after_ms),
                database=database,
                cache=cache,
                blobs=blobs,
                access=access,
                keys=keys,
                quotas=quotas,
                records=records,
                reports=reports,
                webhooks=webhooks,
                metrics=metrics,
                traces=spans,
                health=health,
            )
    finally:
        await decoders.close()
        await access.close()
        await quotas.close()
        await cache.close()
        await database.close()
