"""A model folder -> a detector: found by name or path, every file hashed, every graph tried, and nothing half loaded."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from app.core.errors import BadConfig, CardMismatch, ModelAltered, ModelMissing
from app.core.session import Session
from app.core.wire import Start
from app.scoring.card import read_card
from app.scoring.load import fingerprint, load
from app.scoring.onnx import FrameScorer, WindowScorer
from tests import toy
from tests.fake import LIMITS
from tests.toy import make_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_model(folder / "frames")
    make_model(folder / "whole", "window")
    return folder


@pytest.fixture
def broken(models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(models / "frames", tmp_path / "broken"))


def test_a_model_by_name_or_by_path(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for detector in (load("frames", models), load(str(models / "frames"), tmp_path)):
        assert isinstance(detector.scorer, FrameScorer) and detector.card.name == detector.model.info.name == "toy"
    assert isinstance(load("whole", models).scorer, WindowScorer)
    monkeypatch.chdir(models)
    assert load("./whole", tmp_path).card.name == "toy-window"


def test_what_a_session_learns_of_the_model(models: Path) -> None:
    model = load("frames", models).model
    layout, info = model.layout, model.info
    assert (layout.rate, layout.window, layout.first, layout.hop) == (16000, 64000, 16000, 8000)
    assert layout.frames is not None and (layout.frames.frame, layout.frames.left, layout.frames.right) == (toy.FRAME, toy.LEFT, toy.RIGHT)
    assert set(model.points) == {"fast", "balanced", "strict"} and model.points["balanced"].spoof_llr == 0.75
    assert (info.sample_rate, info.window_seconds, info.hop_seconds, info.min_speech_seconds) == (16000, 4.0, 0.5, 0.5)
    assert load("whole", models).model.layout.frames is None


def test_the_fingerprint_follows_the_files(models: Path, tmp_path: Path) -> None:
    card = read_card(models / "frames")
    assert fingerprint(card) == load("frames", models).model.info.sha256 != fingerprint(read_card(models / "whole"))
    assert fingerprint(read_card(models / "whole")) == read_card(models / "whole").files["model.onnx"]
    other = card.model_copy(update={"files": {**card.files, "head.onnx": "0" * 64}})
    assert fingerprint(other) != fingerprint(card) == fingerprint(card.model_copy(update={"files": dict(reversed(card.files.items()))}))


@pytest.mark.parametrize("name", ["nothing", "", "..", "frames/nothing", "/nowhere/at/all"])
def test_a_model_that_is_not_there(name: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelMissing) as caught:
        load(name, models)
    if name == "nothing":
        assert "frames, whole" in caught.value.message


@pytest.mark.parametrize("file", ["encoder.onnx", "head.onnx"])
def test_a_file_that_is_missing(file: str, broken: Path) -> None:
    (broken / file).unlink()
    with pytest.raises(ModelMissing, match=file):
        load(str(broken), broken)


@pytest.mark.parametrize("file", ["encoder.onnx", "head.onnx"])
@pytest.mark.parametrize("at", [0, 100, -1])
def test_one_altered_byte_is_refused(file: str, at: int, broken: Path) -> None:
    data = bytearray((broken / file).read_bytes())
    data[at] ^= 1
    (broken / file).write_bytes(data)
    with pytest.raises(ModelAltered, match=file):
        load(str(broken), broken)


def test_a_cut_or_longer_file_is_refused(broken: Path) -> None:
    data = (broken / "head.onnx").read_bytes()
    for other in (data[:-1], data + b"\0", b""):
        (broken / "head.onnx").write_bytes(other)
        with pytest.raises(ModelAltered):
            load(str(broken), broken)


def rebuilt(folder: Path, kind: str, graphs: dict[str, bytes], **changes: Any) -> Path:
    """A model folder with other graphs, the hashes made right again."""
    make_model(folder, kind)  # type: ignore[arg-type]
    card = json.loads((folder / "card.json").read_text())
    for name, data in graphs.items():
        (folder / name).write_bytes(data)
        card["files"][name] = hashlib.sha256(data).hexdigest()
    for path, value in changes.items():
        part, _, field = path.partition("__")
        if field:
            card[part][field] = value
        else:
            card[part] = value
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"frames__embedding_size": 5}, {"frames__frame_samples": 640}, {"frames__left_samples": 1599}, {"frames__right_samples": 1600},
        {"frames__encoder": {"file": "encoder.onnx", "audio": "sound"}}, {"frames__encoder": {"file": "encoder.onnx", "speech": "voice"}},
        {"frames__head": {"file": "head.onnx", "llr": "score"}}, {"frames__head": {"file": "head.onnx", "mask": "m"}},
        {"frames__encoder": {"file": "encoder.onnx", "speech": "frames"}}, {"frames__head": {"file": "encoder.onnx"}},
    ],
)  # fmt: skip
def test_a_card_of_another_geometry_or_other_names_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    folder = rebuilt(tmp_path / "odd", "frames", {}, **changes)
    with pytest.raises(CardMismatch):
        load(str(folder), tmp_path)


@pytest.mark.parametrize("changes", [{"window__score": "llr"}, {"window__audio": "sound"}])
def test_wrong_names_of_a_classifier(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CardMismatch):
        load(str(rebuilt(tmp_path / "odd", "window", {}, **changes)), tmp_path)


@pytest.mark.parametrize("data", [b"", b"not a graph", b"PK\x03\x04", toy.head().SerializeToString()[:200]])
def test_a_file_that_is_no_graph(data: bytes, tmp_path: Path) -> None:
    folder = rebuilt(tmp_path / "odd", "frames", {"head.onnx": data})
    with pytest.raises(CardMismatch):
        load(str(folder), tmp_path)


def classifier_giving(columns: list[Any], axes: list[int]) -> bytes:
    """audio [batch, samples] -> its mean over `axes`, declared as [batch, *columns]."""
    nodes = [helper.make_node("ReduceMean", ["audio"], ["score"], axes=axes, keepdims=int(bool(columns)))]
    audio = helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["batch", "samples"])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", *columns])
    graph = helper.make_graph(nodes, "odd", [audio], [score])
    return onnx.ModelProto.SerializeToString(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))


def test_the_shape_of_a_classifiers_score(tmp_path: Path) -> None:
    for name, columns in (("flat", []), ("column", [1])):
        load(str(rebuilt(tmp_path / name, "window", {"model.onnx": classifier_giving(columns, [1])})), tmp_path)
    with pytest.raises(CardMismatch):  # one number for the whole batch
        load(str(rebuilt(tmp_path / "all", "window", {"model.onnx": classifier_giving([], [0, 1])})), tmp_path)


def test_a_profile_the_card_does_not_have_is_refused_at_start(tmp_path: Path) -> None:
    points = {"balanced": {"bonafide_llr": -1, "spoof_llr": 1}}
    model = load(str(make_model(tmp_path / "one", operating_points=points)), tmp_path).model
    audio = {"encoding": "pcm_s16le", "sample_rate": 16000}
    with pytest.raises(BadConfig) as caught:
        Session("s", "t", model, LIMITS, Start.model_validate({"audio": audio, "config": {"profile": "strict"}}))
    assert caught.value.field == "config.profile" and "balanced" in caught.value.message
    session = Session("s", "t", model, LIMITS, Start.model_validate({"audio": audio}))
    session.receive_text('{"type":"update","config":{"profile":"fast"}}')
    assert session.messages()[-1].content()["code"] == "bad_config"
