"""What a broken graph gives is an error, never a score, and nothing of it stays behind. Loud samples (beyond +-3) poison the graphs here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from app.assets import asset_dir
from app.core.session import Session
from app.core.windows import Window
from app.core.wire import Start
from app.scoring.card import read_card
from app.scoring.load import Detector, load
from tests import toy
from tests.fake import LIMITS
from tests.toy import RATE, make_model, voice

POISON = 3.5  # float samples may reach +-4
ENCODER = "encoder.onnx"
PLACES = [("frames", ENCODER, "frames"), ("frames", ENCODER, "speech"), ("frames", "head.onnx", "llr"), ("window", "model.onnx", "score")]


def poisoned(graph: onnx.ModelProto, output: str, measured: str, limit: float) -> bytes:
    """The graph, with NaN in `output` for the rows of a batch in which any value of `measured` exceeds `limit`."""
    for node in graph.graph.node:
        for at, name in enumerate(node.output):
            if name == output:
                node.output[at] = "clean"
        for at, name in enumerate(node.input):
            if name == output:
                node.input[at] = "clean"
    measured = "clean" if measured == output else measured
    axes = {"frames": [1, 2], "clean": [1, 2], "audio": [1]}[measured]
    keep = {"frames": 1, "speech": 1, "llr": 0, "score": 0}[output]
    nodes = [
        helper.make_node("ReduceMax", [measured], ["loudest"], axes=axes, keepdims=keep),
        helper.make_node("Sub", ["limit", "loudest"], ["margin"]),
        helper.make_node("Sqrt", ["margin"], ["root"]),  # NaN under zero
        helper.make_node("Mul", ["root", "nothing"], ["zero_or_nan"]),
        helper.make_node("Add", ["clean", "zero_or_nan"], [output]),
    ]
    if output == "speech" and measured == "frames":
        nodes[3:4] = [helper.make_node("Mul", ["root", "nothing"], ["cube"]), helper.make_node("Squeeze", ["cube", "last_axis"], ["zero_or_nan"])]
        graph.graph.initializer.append(numpy_helper.from_array(np.array([2]), "last_axis"))
    graph.graph.node.extend(nodes)
    for name, value in (("limit", limit), ("nothing", 0.0)):
        graph.graph.initializer.append(numpy_helper.from_array(np.float32(value).reshape(()), name))
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


GRAPHS = {
    "frames": lambda: poisoned(toy.encoder(), "frames", "frames", 2.2),  # log power of +-3
    "speech": lambda: poisoned(toy.encoder(), "speech", "frames", 2.2),
    "llr": lambda: poisoned(toy.head(), "llr", "frames", 2.2),
    "score": lambda: poisoned(toy.classifier(), "score", "audio", 3.0),
}


@pytest.fixture(scope="module", params=PLACES, ids=lambda place: f"{place[1]}:{place[2]}")
def detector(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Detector]:
    kind, file, output = request.param
    folder = make_model(tmp_path_factory.mktemp("models") / "poisoned", kind)
    data = GRAPHS[output]()
    (folder / file).write_bytes(data)
    card = json.loads((folder / "card.json").read_text())
    card["files"][file] = hashlib.sha256(data).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    yield load(str(folder), Path("/nowhere"))


def session_on(detector: Detector, audio: np.ndarray) -> Session:
    start = {"audio": {"encoding": "pcm_f32le", "sample_rate": RATE}, "config": {}}
    session = Session("s", "t", detector.model, LIMITS, Start.model_validate(start))
    session.receive_bytes(audio.astype("<f4").tobytes())
    session.stop()
    return session


def speech(seconds: float) -> np.ndarray:
    return (voice(seconds, "spoof")[:, 0] / 32768).astype(np.float32)


def good_windows(detector: Detector) -> list[Window]:
    return session_on(detector, speech(3.2)).windows(99)


def bad_windows(detector: Detector) -> list[Window]:
    audio = speech(3.2)
    audio[20000:26000] = POISON
    return session_on(detector, audio).windows(99)


def test_a_score_that_is_no_number_is_an_error(detector: Detector) -> None:
    assert all(s.llr is None or np.isfinite(s.llr) for s in detector.scorer.score(good_windows(detector)))
    with pytest.raises(ValueError, match="finite"):
        detector.scorer.score(bad_windows(detector))


def test_one_bad_window_spoils_its_batch_and_nothing_else(detector: Detector) -> None:
    wanted = detector.scorer.score(good_windows(detector))
    good, bad = good_windows(detector), bad_windows(detector)
    with pytest.raises(ValueError, match="finite"):
        detector.scorer.score([*good[:3], *bad, *good[3:]])
    again = detector.scorer.score(good)
    assert [s.speech_ms for s in again] == [s.speech_ms for s in wanted]
    for one, other in zip(again, wanted, strict=True):
        assert one.llr == other.llr or one.llr == pytest.approx(other.llr, abs=1e-4)


def test_the_memory_is_left_as_it_was(detector: Detector) -> None:
    bad = bad_windows(detector)
    memory = bad[0].memory
    if memory is None:  # a whole-window classifier
        assert detector.card.kind == "window"
        return
    before = memory.read(0, 160)
    with pytest.raises(ValueError, match="finite"):
        detector.scorer.score(bad)
    for now, then in zip(memory.read(0, 160), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("name", ["toy", *sorted(p.parent.name for p in asset_dir("models").glob("*/card.json") if read_card(p.parent).frames)])
def test_masked_frames_have_no_influence(name: str, tmp_path: Path) -> None:
    """Whatever the encoder says of frames without speech, and whatever stands in the padding, the llr is that of the speech frames."""
    if name == "toy":
        make_model(tmp_path / "toy")
    detector = load(name, tmp_path if name == "toy" else asset_dir("models"))
    assert detector.card.frames is not None
    scorer, random, size = detector.scorer, np.random.default_rng(0), detector.card.frames.embedding_size
    frames, mask = random.standard_normal((3, 200, size)).astype(np.float32), (random.random((3, 200)) > 0.6).astype(np.float32)
    mask[:, 150:] = 0
    wanted = scorer._pool(frames, mask)  # type: ignore[attr-defined]
    other = np.where(mask[..., None] > 0, frames, 100 * random.standard_normal(frames.shape).astype(np.float32))
    np.testing.assert_allclose(scorer._pool(other, mask), wanted, atol=1e-4)  # type: ignore[attr-defined]
    np.testing.assert_allclose(scorer._pool(other[:, :150], mask[:, :150]), wanted, atol=1e-4)  # type: ignore[attr-defined]
