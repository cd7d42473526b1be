"""Everything a transport may call, in one frozen object, built by `main`; and the one way a whole file is checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.core import wire
from app.core.errors import NoSpeech
from app.core.windows import Scored, Window
from app.scoring.batch import Batcher
from app.scoring.load import Detector
from app.service.access import Access
from app.service.decode import DecodeLimits
from app.service.decoder_pool import DecoderPool
from app.service.detect import Result, detect
from app.service.limits import Gate
from app.service.quotas import Quotas
from app.service.streams import Streams
from app.settings import Settings
from app.store.cache import Cache
from app.store.db import Database


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
    access: Access
    quotas: Quotas

    async def check(self, data: bytes, config: wire.Config) -> Result:
        """Decodes and scores one file. Raises ServerFull, BadConfig and what decoding and scoring raise."""
        settings = self.settings
        limits = DecodeLimits(
            max_seconds=settings.max_audio_seconds, max_channels=settings.max_audio_channels, timeout_seconds=settings.decode_timeout_seconds
        )
        async with self.decoders.decode(data, limits) as audio:
            return await detect(audio, self.detector.model, self._score, config, max_seconds=settings.max_audio_seconds)

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
        return cls("deepfake" if llr > 0 else "real", max(score, 1 - score), llr)

    def content(self) -> dict[str, Any]:
        return {"classification": self.classification, "confidence": self.confidence, "raw_score": self.raw_score}


def answer(result: Result, data: bytes) -> dict[str, Any]:
    """The body of `/v1/detect`, less the request id."""
    return {**result.content(), "sha256": hashlib.sha256(data).hexdigest()}
