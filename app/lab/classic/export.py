"""The feature module and a fitted ensemble become one ONNX file, `audio [B, 64000] -> score [B]`, and a card of kind `window`.

skl2onnx makes the members' graphs (ai.onnx.ml); they are joined behind the traced feature graph. `compare` runs the file beside
scikit-learn on real audio, and a difference stops the export. Called by `train`.
"""

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import compose, helper, numpy_helper
from skl2onnx import to_onnx
from torch import nn

from app.lab.classic.ensemble import LEAST, MEMBERS, Ensemble
from app.lab.classic.features import SAMPLES, Features
from app.lab.config import RATE

FILE = "classic.onnx"
OPSETS = {"": 17, "ai.onnx.ml": 3}
IR_VERSION = 9
PARITY = 1e-3
"""Largest allowed difference of a probability between onnxruntime and scikit-learn, on the same audio."""


def trace(module: nn.Module, example: torch.Tensor, path: Path, output: str) -> None:
    """With the batch free. The tracing exporter is used: its graphs are plain."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (example,), str(path), input_names=["audio"], output_names=[output],
            dynamic_axes={"audio": {0: "batch"}, output: {0: "batch"}}, opset_version=OPSETS[""], dynamo=False,
        )  # fmt: skip


def write_features(path: Path) -> Path:
    """The feature graph alone: training hears what will be served, and four times as fast as through torch."""
    trace(Features().eval(), torch.randn(2, SAMPLES) * 0.1, path, "features")
    return path


class Graph:
    """One output of an ONNX file, on one thread."""

    def __init__(self, path: Path, output: str):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.output, self.session = output, onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, audio: np.ndarray) -> np.ndarray:
        return self.session.run([self.output], {"audio": np.ascontiguousarray(audio, np.float32)})[0]


def write_model(ensemble: Ensemble, features: Path, path: Path) -> None:
    """The joined file. `features` stays an output, for tests and explanations; the server asks for `score` only."""
    model = _of_version(onnx.load(features))
    columns = model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    outputs = ["features"]
    for name in MEMBERS:
        member = compose.add_prefix(_member(ensemble, name, columns), f"{name}_")
        found = member.graph.output[1].name
        model = compose.merge_models(model, member, io_map=[("features", member.graph.input[0].name)], outputs=[*outputs, found])
        outputs.append(found)
    _add_mean(model.graph, ensemble, dict(zip(MEMBERS, outputs[1:], strict=True)))
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _member(ensemble: Ensemble, name: str, columns: int) -> onnx.ModelProto:
    """features -> label, values [B, 2]: a forest's shares; raw scores of the others, spoof last."""
    estimator = getattr(ensemble, name)
    options = {"zipmap": False} if name == "forest" else {"zipmap": False, "raw_scores": True}
    last = estimator[-1] if name == "svm" else estimator
    return _of_version(to_onnx(estimator, np.zeros((1, columns), np.float32), options={id(last): options}, target_opset=OPSETS))


def _of_version(model: onnx.ModelProto) -> onnx.ModelProto:
    """Parts can only be joined under the same versions."""
    model.ir_version = IR_VERSION
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in OPSETS.items())
    return model


def _add_mean(graph: onnx.GraphProto, ensemble: Ensemble, values: dict[str, str]) -> None:
    """score = the mean of scale * output + bias."""

    def constant(name: str, value) -> str:
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes) -> str:
        graph.node.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    spoof = constant("spoof_column", np.array(1, np.int64))
    terms = []
    for name, value in values.items():
        out = node("Gather", [value, spoof], f"{name}_spoof", axis=1)
        if name == "forest":
            limits = [constant("least_share", np.float32(LEAST)), constant("most_share", np.float32(1 - LEAST))]
            out = node("Clip", [out, *limits], "forest_share")
            rest = node("Sub", [constant("one", np.float32(1)), out], "forest_rest")
            out = node("Log", [node("Div", [out, rest], "forest_odds")], "forest_log_odds")
        scale, bias = ensemble.maps[name]
        out = node("Mul", [out, constant(f"{name}_scale", np.float32(scale / len(MEMBERS)))], f"{name}_scaled")
        terms.append(node("Add", [out, constant(f"{name}_bias", np.float32(bias / len(MEMBERS)))], f"{name}_term"))
    node("Sum", terms, "score")
    del graph.output[:]
    shapes = {"score": ["batch"], "features": ["batch", None]}
    graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes.items())


def compare(path: Path, ensemble: Ensemble, audio: np.ndarray) -> float:
    """Largest difference of P(spoof) between the file and scikit-learn given the same features. [N, 64000]; RuntimeError above `PARITY`."""
    theirs = 1 / (1 + np.exp(-Graph(path, "score")(audio).astype(np.float64)))
    worst = float(np.abs(theirs - ensemble.predict_proba(Graph(path, "features")(audio))[:, 1]).max())
    if not worst <= PARITY:
        raise RuntimeError(f"onnxruntime differs from scikit-learn by {worst:.2g}")
    return worst


def write_card(folder: Path, calibration: tuple[float, float], points: dict, training: dict, figures: dict) -> Path:
    card = {
        "format": 1, "name": "classic", "version": "0.1.0", "kind": "window", "sample_rate": RATE,
        "window_seconds": 4.0, "first_window_seconds": 1.0, "hop_seconds": 0.5, "min_speech_seconds": 0.5, "high_means": "spoof",
        "files": {FILE: hashlib.sha256((folder / FILE).read_bytes()).hexdigest()},
        "window": {"file": FILE, "audio": "audio", "score": "score", "samples": SAMPLES, "short": "repeat"},
        "calibration": {"scale": calibration[0], "bias": calibration[1], "fitted_on": "dev"},
        "verdict": {"pool_windows": 3, "hysteresis_hops": 2},
        "operating_points": points,
        "default_operating_point": "balanced",
        "training": training,
        "figures": figures,
    }  # fmt: skip
    path = folder / "card.json"
    path.write_text(json.dumps(card, indent=2) + "\n")
    return path
