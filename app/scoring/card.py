"""`card.json`: the contract between a model and the server. Read by `load`; written by the lab, or by hand for somebody's own classifier.

It names the files and their hashes, the geometry, which class a high value means, the calibration, the thresholds of each operating point,
and what was measured. Unknown keys are refused, except under `training` and `figures`, which are for readers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.core.errors import CardMismatch, ModelMissing

CARD_FILE = "card.json"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CardPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EncoderNames(CardPart):
    """audio float32 [batch, left + n*frame + right] -> frames [batch, n, embedding_size], speech [batch, n] (probability)."""

    file: str
    audio: str = "audio"
    frames: str = "frames"
    speech: str = "speech"


class HeadNames(CardPart):
    """frames [batch, T, embedding_size], mask [batch, T] (1 = speech frame of the window) -> llr [batch], calibrated."""

    file: str
    frames: str = "frames"
    mask: str = "mask"
    llr: str = "llr"


class Frames(CardPart):
    frame_samples: int = Field(gt=0)
    left_samples: int = Field(ge=0)
    right_samples: int = Field(ge=0)
    embedding_size: int = Field(gt=0)
    speech_threshold: float = Field(default=0.5, gt=0, lt=1)
    one_at_a_time: bool = False  # the encoder's result depends on what it is batched with (8-bit activations share one range)
    encoder: EncoderNames
    head: HeadNames


class WholeWindow(CardPart):
    """A classifier of fixed-length windows: audio float32 [batch, samples] -> score [batch], [batch, 1] or [batch, 2].

    With two columns, `spoof_column` minus the other is the raw value. Shorter windows are repeated or zero-padded, as `short` says.
    """

    file: str
    audio: str = "audio"
    score: str = "score"
    samples: int = Field(gt=0)
    short: Literal["repeat", "zero"] = "repeat"
    spoof_column: Literal[0, 1] = 1


class Calibration(CardPart):
    """llr = scale * raw + bias. In a `frames` card it stands inside the graph already and is here for the record."""

    scale: float = 1.0
    bias: float = 0.0
    fitted_on: str = ""


class Pooling(CardPart):
    pool_windows: int = Field(default=3, ge=1)
    hysteresis_hops: int = Field(default=2, ge=1)
    range_llr: float | None = None  # the least mean llr of a spoofed range that makes the whole session spoof; None: the point's own


class Point(CardPart):
    bonafide_llr: float
    spoof_llr: float
    false_alarm: float | None = None
    miss: float | None = None
    uncertain: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Point:
        if self.bonafide_llr > self.spoof_llr:
            raise ValueError("bonafide_llr must not lie above spoof_llr")
        return self


class Card(CardPart):
    format: Literal[1]
    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    version: str
    kind: Literal["frames", "window"]
    sample_rate: int = Field(ge=8000, le=48000)
    window_seconds: float = Field(default=4.0, gt=0, le=60)
    first_window_seconds: float = Field(default=1.0, gt=0)
    hop_seconds: float = Field(default=0.5, ge=0.05)
    min_speech_seconds: float = Field(default=0.5, ge=0)
    high_means: Literal["spoof", "bonafide"]
    files: dict[str, Sha256]
    frames: Frames | None = None
    window: WholeWindow | None = None
    calibration: Calibration = Calibration()
    verdict: Pooling = Pooling()
    operating_points: dict[Literal["fast", "balanced", "strict"], Point]
    default_operating_point: Literal["fast", "balanced", "strict"] = "balanced"
    training: dict[str, Any] = {}
    figures: dict[str, Any] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Card:
        part = self.frames if self.kind == "frames" else self.window
        if part is None:
            raise ValueError(f"kind is {self.kind!r}, so the card needs a part of that name")
        if self.kind == "frames" and self.high_means != "spoof":
            raise ValueError("the head of a frames model gives an llr, and a high llr means spoof")
        if max(self.first_window_seconds, self.hop_seconds, self.min_speech_seconds) > self.window_seconds:
            raise ValueError("first_window_seconds, hop_seconds and min_speech_seconds must not be longer than window_seconds")
        if self.default_operating_point not in self.operating_points:
            raise ValueError("default_operating_point is not among operating_points")
        named = {self.frames.encoder.file, self.frames.head.file} if self.frames else {self.window.file} if self.window else set()
        if missing := named - set(self.files):
            raise ValueError(f"no sha256 under files for {', '.join(sorted(missing))}")
        if any("/" in name or name.startswith(".") for name in self.files):
            raise ValueError("files must be plain names beside the card")
        if self.frames and round(self.window_seconds * self.sample_rate) % self.frames.frame_samples:
            raise ValueError("window_seconds is not a whole number of frames")
        return self


def read_card(folder: Path) -> Card:
    """The card of a model folder. ModelMissing without one, CardMismatch when it does not hold together."""
    path = folder / CARD_FILE
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelMissing(f"There is no model card at {path}.") from None
    except OSError as exc:
        raise ModelMissing(f"{path} cannot be read: {exc.strerror}.") from None
    except (ValueError, RecursionError) as exc:
        raise CardMismatch(f"{path} is not JSON: {exc}.") from None
    try:
        return Card.model_validate(content)
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'card'}: {e['msg']}" for e in exc.errors(include_url=False))
        raise CardMismatch(f"{path}: {problems}.") from None
