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

from app.core.errors import VoxproofError
from app.scoring.batch import Batcher
from app.scoring.load import Detector, load
from app.service.access import Access
from app.service.decoder_pool import DecoderPool
from app.service.limits import Gate, Pulse, strained
from app.service.quotas import Quotas
from app.service.services import Services
from app.service.streams import Streams
from app.settings import Settings
from app.store.cache import MemoryCache
from app.store.db import Database
from app.web import errors, pages
from app.web.patience import patient
from app.web.routes import routes

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, detector: Detector | None = None) -> Starlette:
    """The application. The model is read and checked at once, so ModelMissing, ModelAltered or CardMismatch come here, not at a request."""
    settings = settings or Settings()
    detector = detector or load_detector(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with services_for(settings, detector) as services:
            app.state.services = services
            yield

    app = Starlette(
        routes=routes(),
        lifespan=lifespan,
        exception_handlers={VoxproofError: errors.on_voxproof_error, HTTPException: errors.on_http_exception, Exception: errors.on_bug},
    )
    app.state.templates = pages.environment()
    return app


def http_protocol(settings: Settings) -> type[asyncio.Protocol]:
    """What uvicorn is to speak HTTP with."""
    return patient(settings.head_timeout_seconds)


def load_detector(settings: Settings) -> Detector:
    return load(settings.model, settings.models_dir)


@asynccontextmanager
async def services_for(settings: Settings, detector: Detector) -> AsyncIterator[Services]:
    """Starts what lives on the event loop, and ends it again."""
    decoders = DecoderPool(settings.decode_workers, settings.decode_memory_bytes)
    batcher = Batcher(
        detector.scorer, workers=settings.scoring_workers, max_batch=settings.scoring_max_batch, max_queue=settings.scoring_max_queue
    )
    database, cache = Database(settings.database_url, settings.data_dir.expanduser()), MemoryCache()
    try:
        async with Pulse() as pulse, batcher:
            reason = partial(strained, batcher, pulse, max_busy=settings.max_busy, max_lag_ms=settings.max_lag_ms)
            gate = Gate("streams", settings.max_streams, settings.retry_after_ms, reason)
            yield Services(
                settings=settings,
                detector=detector,
                batcher=batcher,
                decoders=decoders,
                streams=Streams(detector.model, batcher, gate, settings),
                uploads=Gate("uploads", settings.max_uploads, settings.retry_after_ms),
                older_sockets=Gate("sockets", settings.max_older_sockets, settings.retry_after_ms),
                database=database,
                cache=cache,
                access=Access(),
                quotas=Quotas(),
            )
    finally:
        await decoders.close()
        await cache.close()
        await database.close()
