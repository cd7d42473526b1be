"""Everything a transport may call, in one frozen object, built by `main`; and the one way a whole file is checked."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.core import wire
from app.core.errors import NoSpeech
from app.core.windows import Scored, Window
from app.scoring.batch import Batcher
from app.scoring.load import Detector
from app.service.access import Access, Principal
from app.service.decode import SAMPLE_BYTES, DecodeLimits
from app.service.decoder_pool import DecoderPool
from app.service.detect import Result, detect
from app.service.health import Health
from app.service.keys import KeyRing
from app.service.limits import Gate
from app.service.metrics import Metrics
from app.service.quotas import Quotas
from app.service.records import Records
from app.service.reports import Reports
from app.service.streams import Streams
from app.service.tally import FileTally
from app.service.webhooks import Webhooks
from app.settings import Settings
from app.store.blobs import Blobs
from app.store.cache import Cache
from app.store.db import Database
from app.traces import Traces

ANYBODY = Principal()  # this machine itself: no limits


@dataclass(frozen=True)
class Services:
    settings: Settings
    detector: Detector
    batcher: Batcher
    decoders: DecoderPool
    streams: Streams
    uploads: Gate
    older_sockets: Gate
    database: Database
    cache: Cache
    blobs: Blobs
    access: Access
    keys: KeyRing
    quotas: Quotas
    records: Records
    reports: Reports
    webhooks: Webhooks
    metrics: Metrics
    traces: Traces
    health: Health

    @property
    def draining(self) -> bool:
        return self.uploads.is_shut

    async def drain(self, seconds: float) -> None:
        """Takes nothing new and goes on with what there is, for so long at most: uploads end, live sessions are told and go elsewhere."""
        self.uploads.shut()
        self.older_sockets.shut()
        self.health.forget()
        deadline = asyncio.get_running_loop().time() + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await asyncio.gather(self.streams.drain(deadline), self.uploads.emptied())

    async def check(self, data: bytes, config: wire.Config, *, max_seconds: float | None = None, principal: Principal = ANYBODY) -> Result:
        """Decodes and scores one file, for `principal`'s account. Raises ServerFull, QuotaExceeded, BadConfig and what decoding and scoring raise."""
        most = max_seconds if max_seconds is not None else self.settings.max_audio_seconds
        await self.quotas.require(principal)
        audio_ms = 0
        try:
            with self.traces.span("file"), FileTally(self.metrics, self.traces, len(data)) as tally:
                async with self.decoders.decode(data, self._decode_limits(most)) as audio:
                    result = await detect(audio, self.detector.model, self._score, config, max_seconds=most)
                    tally.judged(result, audio.spent_seconds)
            audio_ms = result.done.duration_ms
            return result
        finally:
            await self.quotas.spend(principal, audio_ms=audio_ms, size_bytes=len(data))

    async def seconds_of(self, data: bytes) -> float:
        """How long a file is: decoded, for headers guess and lie. Raises what decoding raises, AudioTooLong too."""
        async with self.decoders.decode(data, self._decode_limits(self.settings.max_audio_seconds)) as audio:
            decoded_bytes = 0
            async for block in audio.blocks():
                decoded_bytes += len(block)
            return decoded_bytes / (audio.sample_rate * audio.channels * SAMPLE_BYTES[audio.encoding])

    def _decode_limits(self, max_seconds: float) -> DecodeLimits:
        settings = self.settings
        return DecodeLimits(
            max_seconds=max_seconds, max_channels=settings.max_audio_channels, timeout_seconds=settings.decode_timeout_seconds
        )

    async def _score(self, windows: Sequence[Window]) -> list[Scored]:
        return await self.batcher.score(windows, bulk=True)


# What the older contracts ask for: one answer for the whole file, both channels heard as one.
OLDER_CONFIG = wire.Config(channel_mode="mix")


@dataclass(frozen=True)
class TwoClass:
    """The older contracts' answer. They know no `uncertain`: the sign of the llr decides (0 and below is real)."""

    classification: str
    confidence: float
    raw_score: float

    @classmethod
    def of(cls, result: Result) -> TwoClass:
        """Raises NoSpeech when there was nothing to judge."""
        llr, score = result.done.llr, result.done.score
        if llr is None or score is None:
            raise NoSpeech()
        return cls("deepfake" if llr > 0 else "real", round(max(score, 1 - score), 6), llr)

    def content(self) -> dict[str, Any]:
        return {"classification": self.classification, "confidence": self.confidence, "raw_score": self.raw_score}


def answer(result: Result, data: bytes) -> dict[str, Any]:
    """The body of `/v1/detect`, less the request id."""
    return {**result.content(), "sha256": hashlib.sha256(data).hexdigest()}
