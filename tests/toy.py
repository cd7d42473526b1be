"""A tiny stand-in detector, made with onnx.helper: a real model folder (graphs, card, hashes) in a few kilobytes, for tests that need
verdicts but not good ones. It hears brightness: dull sounds are bona fide, bright ones spoofed, quiet ones no speech.

`make_model` writes the folder; `voice` makes audio of a wanted verdict. The same bytes every time, on every machine.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

RATE = 16000
FRAME, LEFT, RIGHT, SIZE = 320, 1600, 1280, 4
FIELD = LEFT + FRAME + RIGHT  # what one frame hears
FLOOR = 1e-6  # power of -60 dBFS: keeps the logarithm of silence finite
SPEECH_LOG_POWER = -11.5  # -50 dBFS: louder is speech
SPEECH_SLOPE = 1.5
BIAS = 2.5  # a sine of about 700 Hz has an llr of 0

Pcm16 = npt.NDArray[np.int16]
Kind = Literal["frames", "window"]


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Import it into a test module, or `conftest`, to use it."""
    return make_model(tmp_path_factory.mktemp("models") / "toy")


def make_model(folder: Path, kind: Kind = "frames", **changes: Any) -> Path:
    """Writes a model folder `load` accepts, and gives it back. `changes` replace fields of the card (a dict of `files` hashes too)."""
    folder.mkdir(parents=True, exist_ok=True)
    graphs = {"encoder.onnx": encoder(), "head.onnx": head()} if kind == "frames" else {"model.onnx": classifier()}
    for name, graph in graphs.items():
        (folder / name).write_bytes(graph.SerializeToString(deterministic=True))
    card = {
        "format": 1, "name": "toy" if kind == "frames" else "toy-window", "version": "0.0.1", "kind": kind, "sample_rate": RATE,
        "window_seconds": 4.0, "first_window_seconds": 1.0, "hop_seconds": 0.5, "min_speech_seconds": 0.5, "high_means": "spoof",
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in graphs},
        **(_frames_part() if kind == "frames" else _window_part()),
        "verdict": {"pool_windows": 3, "hysteresis_hops": 2},
        "operating_points": {
            "fast": {"bonafide_llr": -0.25, "spoof_llr": 0.25},
            "balanced": {"bonafide_llr": -0.75, "spoof_llr": 0.75},
            "strict": {"bonafide_llr": -1.0, "spoof_llr": 2.0},
        },
        "default_operating_point": "balanced",
        **changes,
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card, indent=2), "utf-8")
    return folder


def voice(seconds: float, kind: Literal["bonafide", "spoof", "silence"] = "bonafide", rate: int = RATE, channels: int = 1, seed: int = 0) -> Pcm16:
    """int16 [frames, channels] that the toy model calls `kind`: a tone that swells like syllables, and a little noise."""
    frames = round(seconds * rate)
    time = np.arange(frames)[:, None] / rate
    noise = np.random.default_rng(seed).standard_normal((frames, channels))
    if kind == "silence":
        return np.round(3 * noise).astype(np.int16)
    pitch = (140.0 if kind == "bonafide" else 2200.0) * (1 + 0.1 * np.arange(channels))[None, :]
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * time + seed)
    drift = 1 + 0.15 * np.sin(2 * np.pi * 0.23 * time + seed)
    phase = 2 * np.pi * np.cumsum(pitch * drift, axis=0) / rate
    return np.round(9000 * swell * np.sin(phase) + 60 * noise).astype(np.int16)


# --- graphs -------------------------------------------------------------------------------------------------
# Brightness is the power of the difference of neighbouring samples over the power of the samples. No graph pads, so a frame's values
# depend on its own field only: on all of it, so that wrong context shows.


def encoder() -> onnx.ModelProto:
    """audio [batch, LEFT + n * FRAME + RIGHT] -> frames [batch, n, 4] (log powers: own frame and whole field, plain and bright), speech."""
    own, own_less = np.zeros((1, 1, FIELD), np.float32), np.zeros((1, 1, FIELD - 1), np.float32)
    own[0, 0, LEFT : LEFT + FRAME] = own_less[0, 0, LEFT : LEFT + FRAME] = 1 / FRAME
    plain = np.concatenate([own, np.full((1, 1, FIELD), 1 / FIELD, np.float32)])
    bright = np.concatenate([own_less, np.full((1, 1, FIELD - 1), 1 / (FIELD - 1), np.float32)])
    nodes = [
        _node("Unsqueeze", ["audio", "one"], "x"),
        _node("Mul", ["x", "x"], "power"),
        _node("Conv", ["x", "difference"], "dx"),
        _node("Mul", ["dx", "dx"], "dpower"),
        _node("Conv", ["power", "plain"], "plain_power", strides=[FRAME]),
        _node("Conv", ["dpower", "bright"], "bright_power", strides=[FRAME]),
        _node("Concat", ["plain_power", "bright_power"], "powers", axis=1),
        _node("Add", ["powers", "floor"], "floored"),
        _node("Log", ["floored"], "logs"),
        _node("Transpose", ["logs"], "frames", perm=[0, 2, 1]),
        _node("Gather", ["logs", "first"], "loudness", axis=1),
        _node("Sub", ["loudness", "quiet"], "over"),
        _node("Mul", ["over", "slope"], "logit"),
        _node("Sigmoid", ["logit"], "speech"),
    ]
    constants = {
        "one": np.array([1]), "first": np.array(0), "difference": np.array([[[-1, 1]]], np.float32), "plain": plain, "bright": bright,
        "floor": np.float32(FLOOR), "quiet": np.float32(SPEECH_LOG_POWER), "slope": np.float32(SPEECH_SLOPE),
    }  # fmt: skip
    outputs = {"frames": ["batch", "n", SIZE], "speech": ["batch", "n"]}
    return _model("toy-encoder", nodes, constants, {"audio": ["batch", "samples"]}, outputs)


def head() -> onnx.ModelProto:
    """frames [batch, T, 4], mask [batch, T] -> llr [batch]: the masked mean brightness."""
    nodes = [
        _node("MatMul", ["frames", "weights"], "each"),
        _node("Mul", ["each", "mask"], "masked"),
        _node("ReduceSum", ["masked", "one"], "sum", keepdims=0),
        _node("ReduceSum", ["mask", "one"], "count", keepdims=0),
        _node("Max", ["count", "least"], "divisor"),
        _node("Div", ["sum", "divisor"], "mean"),
        _node("Add", ["mean", "bias"], "llr"),
    ]
    weights = np.array([-0.75, -0.25, 0.75, 0.25], np.float32)
    constants = {"weights": weights, "one": np.array([1]), "least": np.float32(1), "bias": np.float32(BIAS)}
    return _model("toy-head", nodes, constants, {"frames": ["batch", "T", SIZE], "mask": ["batch", "T"]}, {"llr": ["batch"]})


def classifier() -> onnx.ModelProto:
    """audio [batch, samples] -> score [batch]: the brightness of the whole window, not calibrated (the card adds BIAS)."""
    nodes = [
        _node("Unsqueeze", ["audio", "one"], "x"),
        _node("Conv", ["x", "difference"], "dx"),
        _node("Mul", ["x", "x"], "power"),
        _node("Mul", ["dx", "dx"], "dpower"),
        _node("ReduceMean", ["power"], "plain", axes=[1, 2], keepdims=0),
        _node("ReduceMean", ["dpower"], "bright", axes=[1, 2], keepdims=0),
        _node("Add", ["plain", "floor"], "plain_floored"),
        _node("Add", ["bright", "floor"], "bright_floored"),
        _node("Div", ["bright_floored", "plain_floored"], "ratio"),
        _node("Log", ["ratio"], "score"),
    ]
    constants = {"one": np.array([1]), "difference": np.array([[[-1, 1]]], np.float32), "floor": np.float32(FLOOR)}
    return _model("toy-window", nodes, constants, {"audio": ["batch", "samples"]}, {"score": ["batch"]})


def _frames_part() -> dict[str, Any]:
    files = {"encoder": {"file": "encoder.onnx"}, "head": {"file": "head.onnx"}}
    return {"frames": {"frame_samples": FRAME, "left_samples": LEFT, "right_samples": RIGHT, "embedding_size": SIZE, **files}}


def _window_part() -> dict[str, Any]:
    return {"window": {"file": "model.onnx", "samples": 4 * RATE, "short": "repeat"}, "calibration": {"scale": 1.0, "bias": BIAS}}


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], **attributes)


def _model(
    name: str, nodes: list[onnx.NodeProto], constants: dict[str, Any], inputs: dict[str, list[Any]], outputs: dict[str, list[Any]]
) -> onnx.ModelProto:
    def infos(shapes: dict[str, list[Any]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(each, TensorProto.FLOAT, shape) for each, shape in shapes.items()]

    tensors = [numpy_helper.from_array(np.asarray(value), each) for each, value in constants.items()]
    graph = helper.make_graph(nodes, name, infos(inputs), infos(outputs), tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="voxproof-tests", ir_version=9)
    onnx.checker.check_model(model)
    return model
