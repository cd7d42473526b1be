"""Convolutions of an exported encoder as products of 8-bit numbers, their ranges taken beforehand from audio.

`export.quantise` takes ranges anew in each run, which onnxruntime does for matrix products only and which costs a pass over each input. The maps of
a speaker encoder are large and their ranges steady, since level and mean are out of the bank before them: with fixed ranges the maps stay 8-bit
numbers from one convolution to the next, and on processors with 8-bit products they take a third of the time. Small convolutions (a few columns
wide) are better left: what they gain goes into converting to and fro, and the densely joined layers lose most.
Called once by `voxproof lab fuse`, on the file that `export.write_graphs` wrote.
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

MAPS = r"/speaker/(maps|finish)"
"""The convolutions of `speaker.Speaker` that gain: four fifths of its products. The one on the bank has a single input channel and is no faster."""
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
    """Add `by` [D] to the frames: rounded weights move the mean of a map, by little next to a frame's spread but not next to a clip's mean's."""
    model = onnx.load(path)
    graph = model.graph
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == "frames":
                node.output[index] = "frames/unshifted"
    graph.initializer.append(numpy_helper.from_array(by.astype(np.float32), "frames/shift"))
    graph.node.append(onnx.helper.make_node("Add", ["frames/unshifted", "frames/shift"], ["frames"], name="frames/Add"))
    onnx.save(model, path)


def lean(path: Path, inside: str = "/speaker/") -> int:
    """Take single steps out of the graph at `path` that its convolutions can do; returns how many nodes went. The results differ by rounding.

    Scale, shift and ReLU before a convolution of one column: with s > 0, relu(s x + b) = s max(x, -b / s) + b, and the convolution takes s and b.
    A number that a convolution's input is multiplied by goes into its weights.
    """
    model = onnx.load(path)
    graph = model.graph
    before = len(graph.node)
    values = {each.name: each for each in graph.initializer}
    constants = {node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in graph.node if node.op_type == "Constant"}
    makers = {name: node for node in graph.node for name in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    def alone(name: str, kind: str) -> onnx.NodeProto | None:
        """What makes `name`, if it is a `kind` and nothing else uses it."""
        found = makers.get(name)
        return found if found is not None and found.op_type == kind and len(users[name]) == 1 else None

    def known(name: str) -> np.ndarray | None:
        return numpy_helper.to_array(values[name]) if name in values else constants.get(name)

    def store(name: str, value: np.ndarray) -> None:
        fresh = numpy_helper.from_array(value.astype(np.float32), name)
        if name in values:
            values[name].CopyFrom(fresh)
        else:
            graph.initializer.append(fresh)
            values[name] = graph.initializer[-1]

    for conv in [node for node in graph.node if node.op_type == "Conv" and re.search(inside, node.name)]:
        if any(len(users[name]) > 1 for name in conv.input[1:]) or conv.input[1] not in values:
            continue
        weight = numpy_helper.to_array(values[conv.input[1]]).astype(np.float64)
        times = alone(conv.input[0], "Mul")
        factor = known(times.input[1]) if times else None
        if factor is not None and factor.size == 1:
            store(conv.input[1], weight * float(factor.reshape(())))
            conv.input[0] = times.input[0]
            graph.node.remove(times)
            continue
        relu = alone(conv.input[0], "Relu")
        add = alone(relu.input[0], "Add") if relu else None
        times = alone(add.input[0], "Mul") if add else None
        if times is None or weight.ndim != 3 or weight.shape[2] != 1:
            continue
        scale, shift = known(times.input[1]), known(add.input[1])
        if len(users[add.input[1]]) > 1:
            continue
        if scale is None or shift is None or scale.shape != (weight.shape[1], 1) or shift.shape != scale.shape or scale.min() < 1e-3:
            continue
        scale, shift = scale.astype(np.float64), shift.astype(np.float64)
        bias = numpy_helper.to_array(values[conv.input[2]]) if len(conv.input) > 2 else np.zeros(len(weight))
        if len(conv.input) < 3:
            conv.input.append(f"{conv.name}/bias")
        store(conv.input[1], weight * scale)
        store(conv.input[2], bias + weight[..., 0] @ shift[:, 0])
        store(add.input[1], -shift / scale)
        at = list(graph.node).index(relu)
        graph.node.insert(at, onnx.helper.make_node("Max", [times.input[0], add.input[1]], [relu.output[0]], name=f"{relu.name}/Max"))
        for node in (times, add, relu):
            graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for kept in [each for each in graph.initializer if each.name not in used]:
        graph.initializer.remove(kept)
    for node in [node for node in graph.node if node.op_type == "Constant" and node.output[0] not in used]:
        graph.node.remove(node)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return before - len(graph.node)
