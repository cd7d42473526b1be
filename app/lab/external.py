"""Somebody else's detector as a list of scores: an ONNX or TorchScript file that maps audio [1, samples] to one or two numbers a clip.

Scored as such detectors are published: on the first `samples` samples, a shorter clip repeated; for an ONNX file that comes with a card
(kind `window`) `voxproof lab evaluate --model` drives the server's session instead. Called by `evaluate`.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from app.lab.data import Store
from app.lab.scorefiles import HighMeans, read_scores

Raw = Callable[[np.ndarray], np.ndarray]


def others(
    onnx: Path | None, torchscript: Path | None, files: dict[str, Path | str], samples: int, high_means: HighMeans
) -> dict[str, Callable[[Store], np.ndarray]]:
    """Name -> what gives the scores of a store's clips, high = spoof: detectors under their file's name, score files under the name given."""
    found: dict[str, Callable[[Store], np.ndarray]] = {}
    for path, score in ((onnx, onnx_scores), (torchscript, torchscript_scores)):
        if path is not None:
            found[path.stem] = lambda store, path=path, score=score: score(path, (store[i] for i in range(len(store))), samples, high_means)
    for name, path in files.items():
        found[name] = lambda store, path=Path(path): read_scores(path, store.clips, high_means)
    return found


def onnx_scores(path: Path, clips: Iterable[np.ndarray], samples: int, high_means: HighMeans) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    audio, outputs = graph.get_inputs()[0], [node.name for node in graph.get_outputs()]
    three = len(audio.shape) == 3  # [batch, channel, samples]
    return _scores(lambda x: graph.run(outputs, {audio.name: x[:, None] if three else x})[-1], clips, samples, high_means)


def torchscript_scores(path: Path, clips: Iterable[np.ndarray], samples: int, high_means: HighMeans) -> np.ndarray:
    import torch

    model = torch.jit.load(str(path), map_location="cpu").eval()

    def raw(audio: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            out = model(torch.from_numpy(audio))
        return (out[-1] if isinstance(out, tuple | list) else out).numpy()

    return _scores(raw, clips, samples, high_means)


def fitted(audio: np.ndarray, samples: int) -> np.ndarray:
    """The first `samples` samples; a shorter clip is repeated, as the ASVspoof baselines do."""
    return np.tile(audio, -(-samples // max(1, len(audio))))[:samples].astype(np.float32)


def _scores(raw: Raw, clips: Iterable[np.ndarray], samples: int, high_means: HighMeans) -> np.ndarray:
    """High = spoof. Of two columns the second is the class that `high_means` names, as in the ASVspoof baselines, and the first the other."""
    found = []
    for clip in clips:
        out = np.asarray(raw(fitted(clip, samples)[None]), np.float64).reshape(-1)
        if len(out) not in (1, 2):
            raise ValueError(f"the detector gives {len(out)} numbers a clip; one or two are understood")
        found.append(out[0] if len(out) == 1 else out[1] - out[0])
    return np.array(found) * (1.0 if high_means == "spoof" else -1.0)
