"""What a session agreed on at `start`, and what an `update` changes: layout, operating point, and how both are echoed. Used by `session`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core import wire
from app.core.errors import BadConfig, FormatUnknown, NotUpdatable
from app.core.messages import Limits, ModelInfo, Ready
from app.core.verdict import OperatingPoint
from app.core.windows import Layout


@dataclass(frozen=True)
class Model:
    """What a session must know of the detector, from its card."""

    info: ModelInfo
    layout: Layout
    points: Mapping[str, OperatingPoint]
    default_profile: wire.Profile
    pool_windows: int
    hysteresis_hops: int
    range_llr: float | None = None


class Terms:
    """Raises FormatUnknown or BadConfig when `start` cannot be honoured. `config` is replaced whole by an update, never changed in place."""

    def __init__(self, model: Model, start: wire.Start) -> None:
        if start.audio is None:
            raise FormatUnknown("start needs audio.encoding and audio.sample_rate.", field="audio")
        if start.config.enrollment_id is not None:
            raise BadConfig("There is no enrolment with this id.", field="config.enrollment_id")
        labels = start.audio.channel_labels
        if labels is not None and len(labels) != start.audio.channels:
            raise BadConfig("audio.channel_labels must name each channel once.", field="audio.channel_labels")
        self.model, self.start, self.audio, self.config = model, start, start.audio, start.config
        self._check_profile(start.config)
        hop = start.config.hop_seconds
        self.layout = model.layout if hop is None else model.layout.with_hop(hop)
        self.info = model.info.model_copy(update={"hop_seconds": self.layout.hop / self.layout.rate})

    def label(self, channel: int) -> str | None:
        labels = self.audio.channel_labels
        return labels[channel] if labels and self.config.channel_mode == "separate" else None

    def check_update(self, changes: Mapping[str, Any]) -> None:
        """Raises NotUpdatable or BadConfig for a change that cannot be made."""
        for name in changes:
            if name not in wire.Config.UPDATABLE:
                raise NotUpdatable(field=f"config.{name[:64]}")
        self._check_profile(wire.update_config(self.config, changes))

    def update(self, changes: Mapping[str, Any]) -> None:
        self.config = wire.update_config(self.config, changes)

    def point(self, config: wire.Config) -> OperatingPoint:
        point = self.model.points[self._profile(config)]
        return point if config.threshold is None else point.at_threshold(config.threshold)

    def ready(self, session_id: str, resume_token: str, limits: Limits) -> Ready:
        """The answer to `start`."""
        return Ready(
            session_id=session_id, resume_token=resume_token, protocol=wire.PROTOCOL, model=self.info, audio=self.applied_audio(),
            config=self.applied_config(self.config), limits=limits, unknown_fields=self.start.unknown(),
        )  # fmt: skip

    def applied_audio(self) -> dict[str, Any]:
        return {name: getattr(self.audio, name) for name in wire.Audio.model_fields}

    def applied_config(self, config: wire.Config) -> dict[str, Any]:
        known = {name: getattr(config, name) for name in wire.Config.model_fields if name != "enrollment_id"}
        return {**known, "profile": self._profile(config), "hop_seconds": self.info.hop_seconds}

    def _check_profile(self, config: wire.Config) -> None:
        if self._profile(config) not in self.model.points:
            raise BadConfig(f"The model has no such profile; it has {', '.join(self.model.points)}.", field="config.profile")

    def _profile(self, config: wire.Config) -> str:
        return config.profile or self.model.default_profile
