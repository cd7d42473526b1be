"""Convolutions of an exported encoder as products of 8-bit numbers, their ranges taken beforehand from audio.

The maps of a residual encoder are large and their ranges steady, since level and mean are out of the bank before them: with ranges fixed
beforehand the maps stay 8-bit numbers from one convolution to the next, and on processors with 8-bit products they take a third of the time.
(Ranges taken anew in each run, which onnxruntime does for matrix products only, cost a pass over each input.)
Called by `export.export`, on the file that `export.write_graphs` wrote.
"""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from app.lab.config import FRAME_SAMPLES, Net
from app.lab.data import Store

MAPS = r"/speaker/maps"
"""The convolutions of `resnet.ResNet` that gain. The one on the bank, before them, has a single input channel and is no faster."""
SETTINGS = {"CalibMovingAverage": True}
"""The range of a map: the mean over pieces of its extremes. What a few pieces exceed is cut off, which costs less than coarser steps for all."""


PIECES = 200
NEW_FRAMES = 25
"""What a hop of the server brings: the ranges are those of the pieces it will send."""


def pieces_of(store: Store, net: Net, seed: int, held: set[str]) -> list[np.ndarray]:
    """Pieces [1, samples] as a stream brings them, half a second of new audio and its context, from clips drawn at random but for those `held`."""
    rng, size = np.random.default_rng(seed), net.left_samples + NEW_FRAMES * FRAME_SAMPLES + net.right_samples
    free = [index for index, clip in enumerate(store.clips) if clip.path not in held]
    chosen = [store[free[index]] for index in rng.permutation(len(free))[:PIECES]]
    long = [clip for clip in chosen if len(clip) > size]
    return [clip[None, begin : begin + size] for clip in long for begin in [int(rng.integers(len(clip) - size))]]


def static(path: Path, audio: Iterable[np.ndarray], inside: str = MAPS) -> None:
    """Rewrite the encoder graph at `path`: the Conv nodes whose names match `inside` get 7-bit weights, a scale per output channel (8 bits would
    overflow on processors without VNNI), and 8-bit inputs and outputs. All else stays in float32, and inputs, outputs and free axes as they are.
    At the end the frames' means over `audio` are put back to what they were.

    `audio`: float32 pieces [1, samples] of the length that the graph will mostly see, 50 or more, of real speech. ValueError if no Conv matches or
    there is no audio.
    """
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

    chosen = [node.name for node in onnx.load(path).graph.node if node.op_type == "Conv" and re.search(inside, node.name)]
    pieces = [np.ascontiguousarray(piece, np.float32) for piece in audio]
    if not chosen or not pieces:
        raise ValueError(f"no convolution matches {inside}" if pieces else "no audio to take ranges from")

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(pieces)

        def get_next(self) -> dict[str, np.ndarray] | None:
            piece = next(self.left, None)
            return None if piece is None else {"audio": piece}

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        quantize_static(
            path, made, Reader(), quant_format=QuantFormat.QDQ, op_types_to_quantize=["Conv"], nodes_to_quantize=chosen, per_channel=True,
            reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
            extra_options=SETTINGS,
        )  # fmt: skip
        means = [_mean_frames(each, pieces) for each in (path, made)]
        path.write_bytes(made.read_bytes())
    _shift(path, means[0] - means[1])


def _mean_frames(path: Path, pieces: list[np.ndarray]) -> np.ndarray:
    """[D] over all frames of all pieces."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["frames"], {"audio": piece})[0][0] for piece in pieces]).mean(0, dtype=np.float64)


def _shift(path: Path, by: np.ndarray) -> None:
    """Add `by` [D] to the frames: rounded weights move the mean of a map, by little next to a frame's spread but not next to a clip's mean's.

    A Gram matrix may so lose a little of its smallest eigenvalue: see `nets.root`.
    """
    model = onnx.load(path)
    graph = model.graph
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == "frames":
                node.output[index] = "frames/unshifted"
    graph.initializer.append(numpy_helper.from_array(by.astype(np.float32), "frames/shift"))
    graph.node.append(onnx.helper.make_node("Add", ["frames/unshifted", "frames/shift"], ["frames"], name="frames/Add"))
    onnx.save(model, path)
