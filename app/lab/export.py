"""A checkpoint becomes `models/<name>/`: encoder.onnx, head.onnx and card.json, the contract with the server.

The graphs take raw samples and give llrs: the spectrum, the sigmoid of the speech output and the calibration are inside. After
writing, the files are run in onnxruntime and compared with the torch net; a difference stops the export.
"""

import datetime
import hashlib
import json
import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from app.lab.augment import FAKES
from app.lab.calibrate import Calibration
from app.lab.config import FRAME_SAMPLES, RATE, Recipe, plain
from app.lab.eightbit import static
from app.lab.nets import Detector, Encoder, Head, parameters
from app.lab.windows import OnnxScorer, TorchScorer

OPSET = 17
PARITY = 1e-4
"""Largest allowed difference between torch and onnxruntime, for frames, speech and llr: of the largest number there is, or absolute below 1."""


class SpeechEncoder(nn.Module):
    """The encoder as served: a probability instead of a logit."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        frames, logit = self.encoder(audio)
        return frames, torch.sigmoid(logit)


@dataclass(frozen=True)
class Exported:
    card: Path
    parity: float
    """Largest difference seen between torch and onnxruntime."""


def export(
    model: Detector, recipe: Recipe, calibration: Calibration, folder: Path, training: dict, figures: dict, audio: Sequence[np.ndarray] = ()
) -> Exported:
    """Write the three files; `training` and `figures` go into the card as they are. With `audio`, pieces as the server sends them, the maps of a
    residual encoder become 8-bit numbers (`eightbit.static`)."""
    folder.mkdir(parents=True, exist_ok=True)
    model = model.eval()
    model.head.scale.fill_(calibration.scale)
    model.head.bias.fill_(calibration.bias)
    write_graphs(model, recipe, folder)
    parity = compare(model, recipe, folder)
    if parity > PARITY:
        raise RuntimeError(f"onnxruntime differs from torch by {parity:.2g}")
    if audio:
        static(folder / "encoder.onnx", audio)
    net = recipe.net
    card = {
        "format": 1, "name": recipe.name, "version": recipe.version, "kind": "frames", "sample_rate": RATE,
        "window_seconds": 4.0, "first_window_seconds": 1.0, "hop_seconds": 0.5, "min_speech_seconds": 0.5, "high_means": "spoof",
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("encoder.onnx", "head.onnx")},
        "frames": {
            "frame_samples": FRAME_SAMPLES, "left_samples": net.left_samples, "right_samples": net.right_samples,
            "embedding_size": net.embedding_size, "speech_threshold": calibration.speech_threshold,
            "one_at_a_time": net.still,
            "encoder": {"file": "encoder.onnx", "audio": "audio", "frames": "frames", "speech": "speech"},
            "head": {"file": "head.onnx", "frames": "frames", "mask": "mask", "llr": "llr"},
        },
        "calibration": {"scale": calibration.scale, "bias": calibration.bias, "fitted_on": calibration.fitted_on},
        "verdict": {"pool_windows": 3, "hysteresis_hops": 2},
        "operating_points": calibration.operating_points,
        "default_operating_point": "balanced",
        "training": {
            "parameters": parameters(model.encoder) + parameters(model.head), "seed": recipe.train.seed, **training, "recipe": _sizes(recipe),
        },
        "figures": figures,
    }  # fmt: skip
    path = folder / "card.json"
    path.write_text(json.dumps(card, indent=2) + "\n")
    return Exported(path, parity)


def write_graphs(model: Detector, recipe: Recipe, folder: Path) -> None:
    """Both graphs, with batch and time free. The tracing exporter is used: its graphs are plain, and fold the batch norms."""
    net = recipe.net
    audio = torch.randn(2, net.left_samples + 25 * FRAME_SAMPLES + net.right_samples) * 0.1
    frames, mask = torch.randn(2, 200, net.embedding_size), torch.ones(2, 200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            SpeechEncoder(model.encoder).eval(), (audio,), str(folder / "encoder.onnx"), input_names=["audio"], output_names=["frames", "speech"],
            dynamic_axes={"audio": {0: "batch", 1: "samples"}, "frames": {0: "batch", 1: "n"}, "speech": {0: "batch", 1: "n"}},
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        torch.onnx.export(
            _pure(model.head), (frames, mask), str(folder / "head.onnx"), input_names=["frames", "mask"], output_names=["llr"],
            dynamic_axes={"frames": {0: "batch", 1: "t"}, "mask": {0: "batch", 1: "t"}, "llr": {0: "batch"}},
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip


def compare(model: Detector, recipe: Recipe, folder: Path) -> float:
    """Largest difference between torch and onnxruntime over noise of several levels and lengths."""
    net = recipe.net
    ours, theirs = TorchScorer(model, net), OnnxScorer(folder, net.left_samples, net.right_samples)
    ours.in_pieces = False  # whole, and in float32, as the graph does it
    rng = np.random.default_rng(0)
    worst = 0.0
    for batch, count in ((1, 25), (3, 60), (2, 200)):
        audio = rng.standard_normal((batch, net.left_samples + count * FRAME_SAMPLES + net.right_samples), np.float32) * 0.05
        frames, speech = ours.encode(audio)
        other_frames, other_speech = theirs.encode(audio)
        mask = (rng.random((batch, count)) < 0.7).astype(np.float32)
        pairs = ((frames, other_frames), (speech, other_speech), (ours.judge(frames, mask), theirs.judge(frames, mask)))
        worst = max(worst, *(float(np.abs(a - b).max()) / max(1.0, float(np.abs(a).max())) for a, b in pairs))
    return worst


def provenance(recipe_path: Path, cache: Path, epochs: int) -> dict:
    """What the card says of the training, apart from sizes."""
    return {
        "data": "shared/data, split train, less the speakers kept back (app/lab/languages.py); copy-synthesis of its bona fide clips; "
        "lab synth; ESC-10 noise, recorded and simulated room responses, our own synthesised music and tones",
        "clips": clips_of(cache),
        "licences": "as in the manifest's licence column; no NC, ND or research-only source is in train; most repositories state none for audio",
        "command": f"voxproof lab data && voxproof lab train --recipe {recipe_path} && voxproof lab calibrate && voxproof lab export",
        "date": datetime.date.today().isoformat(),
        "epoch_chosen_by": "lowest EER on dev",
        "commit": commit(),
        "epochs": epochs,
        "torch": torch.__version__,
    }


def commit() -> str:
    """The checkout's commit, for a card."""
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return found or "not committed yet"


def clips_of(cache: Path) -> dict[str, int]:
    """How many clips each store of speech holds that training draws from."""
    return {path.stem: len(json.loads(path.read_text())) for name in FAKES if (path := cache / f"{name}.json").exists()}


def _pure(head: Head) -> nn.Module:
    return head.eval()


def _sizes(recipe: Recipe) -> dict:
    values = plain(recipe)
    return {key: values[key] for key in ("net", "augment", "train", "frozen", "stages")}
