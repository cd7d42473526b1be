"""A model's name or path -> a checked `Detector`: card read, files hashed, graphs opened and tried. Called once, by `main` or the CLI."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from app.assets import asset_dir
from app.core.errors import ModelAltered, ModelMissing
from app.core.messages import ModelInfo
from app.core.terms import Model
from app.core.verdict import OperatingPoint
from app.core.windows import FrameLayout, Layout
from app.scoring.card import Card, read_card
from app.scoring.onnx import FrameScorer, Scorer, WindowScorer


@dataclass(frozen=True)
class Detector:
    card: Card
    model: Model
    scorer: Scorer
    folder: Path | None = None  # where its card and its report lie


def load(name: str, models_dir: Path | None = None) -> Detector:
    """The detector `name` of `models_dir` (None: the program's own), or at the path `name`. ModelMissing, ModelAltered or CardMismatch."""
    models_dir = models_dir or asset_dir("models")
    folder = models_dir / name if "/" not in name and (models_dir / name).is_dir() else Path(name)
    if not folder.is_dir():
        known = ", ".join(sorted(p.parent.name for p in models_dir.glob("*/card.json"))) or "none"
        raise ModelMissing(f"There is no model {name!r} in {models_dir} (it has: {known}) and no folder of that path.")
    card = read_card(folder)
    files = {file: _checked(folder / file, sha256) for file, sha256 in card.files.items()}
    scorer: Scorer
    if card.frames is not None:
        scorer = FrameScorer(card, card.frames, files)
    else:
        assert card.window is not None
        scorer = WindowScorer(card, card.window, files)
    return Detector(card, _model(card), scorer, folder)


def _model(card: Card) -> Model:
    rate, frames = card.sample_rate, None
    if card.frames is not None:
        frames = FrameLayout(card.frames.frame_samples, card.frames.left_samples, card.frames.right_samples, card.frames.embedding_size)
    layout = Layout(rate, round(card.window_seconds * rate), round(card.first_window_seconds * rate), round(card.hop_seconds * rate), frames)
    info = ModelInfo(
        name=card.name, version=card.version, sha256=fingerprint(card), sample_rate=rate, window_seconds=card.window_seconds,
        hop_seconds=card.hop_seconds, min_speech_seconds=card.min_speech_seconds,
    )  # fmt: skip
    points: dict[str, OperatingPoint] = {name: OperatingPoint(point.bonafide_llr, point.spoof_llr) for name, point in card.operating_points.items()}
    return Model(info, layout, points, card.default_operating_point, **card.verdict.model_dump())


def fingerprint(card: Card) -> str:
    """One sha256 for a model of several files: the hash of its files' names and hashes. A single file keeps its own."""
    if len(card.files) == 1:
        return next(iter(card.files.values()))
    return hashlib.sha256("".join(f"{name}:{sha256}\n" for name, sha256 in sorted(card.files.items())).encode()).hexdigest()


def _checked(path: Path, sha256: str) -> bytes:
    """The file's bytes. The graphs are made of these, not read again: weights that lie in further files would escape the hash."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelMissing(f"{path} is named by the card but is not there.") from None
    except OSError as exc:
        raise ModelMissing(f"{path} cannot be read: {exc.strerror}.") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelAltered(f"{path} is not the file its card was written for: the sha256 differs.")
    return content
