"""8-bit convolutions: only those asked for, near the float graph's frames, for pieces of any length."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from app.lab.config import Net  # noqa: E402
from app.lab.data import Clip, Store, write_store  # noqa: E402
from app.lab.eightbit import pieces_of, static  # noqa: E402
from app.lab.export import write_graphs  # noqa: E402
from app.lab.nets import Detector  # noqa: E402

NET = Net(
    family="resnet", taps=(1, 4), groups=(1, 1), piece_tokens=30, left_samples=800, right_samples=1600, embedding_size=528 + 2080,
    head="covariance", head_size=8,
)  # fmt: skip
TOLERANCE = 0.2
"""Error as a share of what varies, both root mean square."""


def piece(seed: int, frames: int = 25) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(800 + frames * 320 + 1600) / 16000
    tones = sum(np.sin(2 * np.pi * rng.uniform(100, 200) * n * time + rng.uniform(0, 6)) / n for n in range(1, 30))
    sound = 0.1 * tones * (1 + np.sin(2 * np.pi * 4 * time)) + 0.003 * rng.standard_normal(len(time))
    return sound[None].astype(np.float32)


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> Path:
    torch.manual_seed(5)
    model = Detector(NET).eval()
    model.encoder.settle(torch.from_numpy(np.concatenate([piece(seed) for seed in range(4)])))
    folder = tmp_path_factory.mktemp("float")
    write_graphs(model, SimpleNamespace(net=NET), folder)
    return folder / "encoder.onnx"


def frames_of(path: Path, audio: np.ndarray) -> np.ndarray:
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["frames"], {"audio": audio})[0]


def test_only_the_convolutions_asked_for_become_8_bit_and_frames_stay_near(graph, tmp_path):
    made = Path(shutil.copy(graph, tmp_path))
    pieces = [piece(seed) for seed in range(4)]
    static(made, pieces)
    before, after = onnx.load(graph).graph, onnx.load(made).graph
    weights = {value.name: value.data_type for value in after.initializer}
    stored = {node.output[0]: weights.get(node.input[0]) for node in after.node if node.op_type == "DequantizeLinear"}
    convolutions = [node for node in after.node if node.op_type == "Conv" and "/speaker/" in node.name]
    others = [node for node in after.node if node.op_type == "Conv" and node not in convolutions]
    assert others and not any(stored.get(node.input[1]) for node in others)
    eight = {node.name for node in convolutions if stored.get(node.input[1]) == onnx.TensorProto.INT8}
    assert eight == {node.name for node in convolutions if "/maps." in node.name}
    assert len(eight) == 4 * 2 + 1 == len(convolutions) - 1
    assert all(np.abs(onnx.numpy_helper.to_array(value)).max() <= 64 for value in after.initializer if value.data_type == onnx.TensorProto.INT8)
    for kind in ("input", "output"):
        assert [str(each) for each in getattr(before, kind)] == [str(each) for each in getattr(after, kind)]
    means = [np.concatenate([frames_of(path, each)[0] for each in pieces]).mean(0) for path in (graph, made)]
    np.testing.assert_allclose(means[1], means[0], atol=1e-4 * np.abs(means[0]).max())
    for frames in (25, 50):
        audio = piece(9, frames)
        floats, eights = frames_of(graph, audio)[0], frames_of(made, audio)[0]
        assert eights.shape == (frames, 528 + 2080)
        for columns in (slice(528), slice(528, None)):
            wanted, got = floats[:, columns], eights[:, columns]
            assert np.linalg.norm(got - wanted) < TOLERANCE * np.linalg.norm(wanted - wanted.mean(0))


def test_nothing_to_do_is_an_error(graph, tmp_path):
    made = Path(shutil.copy(graph, tmp_path))
    with pytest.raises(ValueError, match="no convolution matches"):
        static(made, [piece(0)], "/nowhere/")
    with pytest.raises(ValueError, match="no audio"):
        static(made, [])


def test_pieces_are_a_streams_and_of_no_held_clip(tmp_path):
    pairs = [(Clip(f"train/{k}", "bonafide"), np.full(16000, k / 100, np.float32)) for k in range(12)]
    write_store(tmp_path, "train", pairs)
    held = {"train/3", "train/7"}
    pieces = pieces_of(Store(tmp_path, "train"), Net(left_samples=800, right_samples=1600), 1, held)
    assert {piece.shape for piece in pieces} == {(1, 800 + 25 * 320 + 1600)}
    assert {round(float(piece[0, 0]) * 100) for piece in pieces} == set(range(12)) - {3, 7}
