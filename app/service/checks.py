"""What readiness depends on: the model, the scoring threads, the decoders, and the database and Redis where there are any. Made for `health`."""

from __future__ import annotations

from collections.abc import Callable

from app.core.messages import ModelInfo
from app.scoring.batch import Batcher
from app.service.decoder_pool import DecoderPool
from app.service.health import Check, Unwell
from app.settings import Settings
from app.store.cache import Cache
from app.store.db import Database


def checks_for(
    settings: Settings, info: ModelInfo, batcher: Batcher, decoders: DecoderPool, database: Database, cache: Cache, draining: Callable[[], bool]
) -> dict[str, Check]:
    async def accepting() -> str:
        if draining():
            raise Unwell("shutting down")
        return "takes new work"

    async def model() -> str:
        return f"{info.name} {info.version}"  # without one the process would not have started

    async def scoring() -> str:
        stuck_s = max(batcher.stuck_s(), batcher.waiting_ms() / 1000)
        if stuck_s > settings.stuck_seconds:
            raise Unwell("a scoring thread has died" if stuck_s == float("inf") else f"nothing was scored for {stuck_s:.0f} s")
        return f"{batcher.waiting()} windows waiting, {batcher.busy():.0%} busy"

    async def decoding() -> str:
        await decoders.check()
        return "can be started"

    async def stored() -> str:
        await database.check()
        return "answers" if database.exists() else "not made yet: nothing is stored"

    async def shared() -> str:
        await cache.check()
        return "answers"

    checks: dict[str, Check] = {"accepting": accepting, "model": model, "scoring": scoring, "decoders": decoding, "database": stored}
    return checks | {"redis": shared} if settings.redis_url else checks
