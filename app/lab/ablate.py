"""What single choices are worth, on `dev`, without training anew: scoring variants of one checkpoint. Prints a Markdown table."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from app.lab.config import Recipe
from app.lab.data import Store
from app.lab.evaluate import score_store
from app.lab.metrics import auc, eer
from app.lab.nets import Detector
from app.lab.train import load_average
from app.lab.windows import ClipScore, TorchScorer


def ablate(recipe: Recipe) -> str:
    """A Markdown table of dev EER and AUC by variant, and by epoch of training."""
    dev = Store(recipe.cache, "dev")
    spoof = np.array([clip.spoof for clip in dev.clips])
    lines = ["| variant | dev EER | dev AUC |", "|---|---|---|"]
    for name, llr in _variants(recipe, dev):
        llr = np.nan_to_num(llr)
        lines.append(f"| {name} | {eer(llr[~spoof], llr[spoof]):.1%} | {auc(llr[~spoof], llr[spoof]):.3f} |")
    return "\n".join(lines)


def _variants(recipe: Recipe, dev: Store) -> Iterator[tuple[str, np.ndarray]]:
    best, trained, line = load_average(recipe.runs / "best.pt")
    scorer = TorchScorer(best, trained.net)
    scores = score_store(scorer, dev, recipe.speech_threshold)
    yield f"as exported (epoch {line['epoch'] + 1})", _llrs(scores)
    yield "only the first window with speech", np.array([score.windows[0][1] if score.windows else np.nan for score in scores])
    yield "only the last window", np.array([score.windows[-1][1] if score.windows else np.nan for score in scores])
    yield "all frames pooled, pauses too (not retrained)", _llrs(score_store(_Everything(scorer), dev, 0.5))
    last = torch.load(recipe.runs / "last.pt", weights_only=False)
    raw = Detector(trained.net)
    raw.load_state_dict(last["model"])
    yield f"weights not averaged (epoch {last['epoch'] + 1})", _llrs(score_store(TorchScorer(raw, trained.net), dev, recipe.speech_threshold))
    for epoch in (4, 8, 12, 16, 20, 23):
        path: Path = recipe.runs / f"epoch-{epoch - 1:02d}.pt"
        if path.exists():
            yield f"after epoch {epoch}", _llrs(score_store(TorchScorer(load_average(path)[0], trained.net), dev, recipe.speech_threshold))


class _Everything:
    """A scorer to which every frame is speech."""

    def __init__(self, scorer: TorchScorer):
        self.left_samples, self.right_samples = scorer.left_samples, scorer.right_samples
        self.scorer, self.judge = scorer, scorer.judge

    def encode(self, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        frames, speech = self.scorer.encode(audio)
        return frames, np.ones_like(speech)


def _llrs(scores: list[ClipScore]) -> np.ndarray:
    return np.array([score.llr for score in scores])
