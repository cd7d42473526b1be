"""The two scorers: frames pooled from memory equal the whole file in one go, batches do not matter, and rubbish is an error, never a score."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from app.assets import asset_dir
from app.core.session import Session
from app.core.windows import Scored, Window
from app.core.wire import Start
from app.scoring.load import Detector, load
from app.scoring.onnx import FrameScorer
from tests import toy
from tests.fake import LIMITS
from tests.toy import FRAME, LEFT, RATE, RIGHT, make_model, voice

Score = Callable[[Sequence[Window]], list[Scored]]
CLOSE = 1e-4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def frames(folder: Path) -> Detector:
    return load(str(make_model(folder / "frames")), folder)


@pytest.fixture(scope="module", params=["frames", "window", *sorted(p.parent.name for p in asset_dir("models").glob("*/card.json"))])
def detector(request: pytest.FixtureRequest, folder: Path) -> Detector:
    """The toy of each kind, and every model that is shipped: one of frames takes anything for speech here, because no test clip is."""
    if request.param in ("frames", "window"):
        return load(str(make_model(folder / request.param, request.param)), folder)
    shipped = load(request.param, asset_dir("models"))
    if shipped.card.frames is None:
        return shipped
    part = shipped.card.frames.model_copy(update={"speech_threshold": 1e-12})
    files = {name: (asset_dir("models") / request.param / name).read_bytes() for name in shipped.card.files}
    return Detector(shipped.card, shipped.model, FrameScorer(shipped.card, part, files))


def open_on(detector: Detector, audio: np.ndarray, encoding: str = "pcm_s16le", **config: Any) -> Session:
    start = {"audio": {"encoding": encoding, "sample_rate": RATE, "channels": audio.shape[1]}, "config": config}
    session = Session("s", "t", detector.model, LIMITS, Start.model_validate(start))
    session.receive_bytes(audio.tobytes())
    session.stop()
    return session


def scores_of(session: Session, score: Score, batch: int = 1) -> list[Scored]:
    out: list[Scored] = []
    while windows := session.windows(batch):
        scored = score(windows)
        for window, one in zip(windows, scored, strict=True):
            session.scored(window, one)
        out += scored
    return out


def assert_close(got: Sequence[Scored], wanted: Sequence[Scored]) -> None:
    assert [(s.speech_ms, s.new_speech_ms, s.llr is None) for s in got] == [(s.speech_ms, s.new_speech_ms, s.llr is None) for s in wanted]
    assert [s.llr for s in got if s.llr is not None] == pytest.approx([s.llr for s in wanted if s.llr is not None], abs=CLOSE)


MIXED = np.concatenate([voice(3.1), voice(1.3, "silence"), voice(4.2, "spoof"), voice(0.7, "silence"), voice(2.05)])


# --- batches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [2, 8, 17, 32])
def test_the_size_of_a_batch_does_not_matter(detector: Detector, batch: int) -> None:
    wanted = scores_of(open_on(detector, MIXED), detector.scorer.score)
    assert any(s.llr is not None for s in wanted)
    assert_close(scores_of(open_on(detector, MIXED), detector.scorer.score, batch), wanted)


@settings(max_examples=8)
@given(st.randoms(use_true_random=False))
def test_any_mixture_of_sessions_in_any_grouping(detector: Detector, random: Any) -> None:
    clips = [MIXED, voice(5.3, "spoof", seed=1), voice(2.2, "silence"), voice(6.7, seed=2)]
    wanted = [scores_of(open_on(detector, clip), detector.scorer.score) for clip in clips]
    sessions = [open_on(detector, clip) for clip in clips]
    got: list[list[Scored]] = [[] for _ in clips]
    left = set(range(len(clips)))
    while left:
        batch = [(i, w) for i in random.sample(sorted(left), random.randint(1, len(left))) for w in sessions[i].windows(random.randint(1, 5))]
        # Windows of one channel stay in order; those of different sessions may come in any.
        batch.sort(key=lambda pair, order=random.sample(range(9), 4): (pair[1].span.index, order[pair[0]]))  # type: ignore[misc]
        for (i, window), one in zip(batch, detector.scorer.score([w for _, w in batch]), strict=True):
            sessions[i].scored(window, one)
            got[i].append(one)
        left = {i for i in left if not sessions[i].closed}
    for one_got, one_wanted in zip(got, wanted, strict=True):
        assert_close(one_got, one_wanted)


def test_two_channels_score_as_each_alone(detector: Detector) -> None:
    both = np.concatenate([voice(5.2), voice(5.2, "spoof")], axis=1)
    together = scores_of(open_on(detector, both), detector.scorer.score, 8)
    for channel in (0, 1):
        alone = scores_of(open_on(detector, np.ascontiguousarray(both[:, channel : channel + 1])), detector.scorer.score)
        assert_close(together[channel::2], alone)


def test_no_windows_no_scores(detector: Detector) -> None:
    assert detector.scorer.score([]) == []


def test_silence_has_no_llr(detector: Detector) -> None:
    if detector.card.name not in ("toy", "toy-window"):
        detector = load(detector.card.name, asset_dir("models"))
    for audio in (voice(5, "silence"), np.zeros((80000, 1), np.int16)):
        assert {(s.llr, s.speech_ms, s.new_speech_ms) for s in scores_of(open_on(detector, audio), detector.scorer.score)} == {(None, 0, 0)}


@pytest.mark.parametrize("seconds", [0.001, 0.3, 1.0])
def test_the_shortest_streams(detector: Detector, seconds: float) -> None:
    scored = scores_of(open_on(detector, voice(seconds)), detector.scorer.score)
    assert len(scored) == 1 and scored[0].speech_ms <= seconds * 1000 + 20
    assert scored[0].llr is None or seconds == 1.0


def test_speech_adds_up_to_what_is_new_in_each_window(detector: Detector) -> None:
    scored = scores_of(open_on(detector, voice(9.3)), detector.scorer.score)
    assert all(0 <= s.new_speech_ms <= s.speech_ms <= 4000 for s in scored)
    # The frames kind counts each frame once; the energy gate may lose a piece of a frame at each hop.
    assert sum(s.new_speech_ms for s in scored) <= 9300
    assert detector.card.kind == "window" or scored[0].new_speech_ms == scored[0].speech_ms


# --- frames -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hop", [0.25, 0.5, 0.31, 1.7])
def test_streaming_equals_the_whole_file_at_once(frames: Detector, folder: Path, hop: float) -> None:
    audio = MIXED[:, 0].astype(np.float32) / 32768
    encoder, head = (ort.InferenceSession(str(folder / "frames" / name)) for name in ("encoder.onnx", "head.onnx"))
    count = len(audio) // FRAME
    padded = np.concatenate([np.zeros(LEFT, np.float32), audio, np.zeros(RIGHT, np.float32)])
    embedded, speech = (out[0] for out in encoder.run(["frames", "speech"], {"audio": padded[None, : LEFT + count * FRAME + RIGHT]}))
    heard, session = [], open_on(frames, MIXED, hop_seconds=hop)

    def score(windows: Sequence[Window]) -> list[Scored]:
        heard.extend(windows)
        return frames.scorer.score(windows)

    scored = scores_of(session, score, 8)
    assert len(heard) > 4 and heard[-1].span.end == len(audio)
    for window, one in zip(heard, scored, strict=True):
        start, end = window.span.start, window.span.end
        stop = end // FRAME if end == len(audio) else (end - RIGHT) // FRAME
        rows = np.arange(-(-start // FRAME), stop)
        mask = speech[rows] > 0.5
        assert one.speech_ms == 20 * int(mask.sum())
        if one.speech_ms < 500:
            assert one.llr is None
            continue
        (wanted,) = head.run(["llr"], {"frames": embedded[rows][mask][None], "mask": np.ones((1, int(mask.sum())), np.float32)})[0]
        assert one.llr == pytest.approx(float(wanted), abs=CLOSE)
    assert sum(s.new_speech_ms for s in scored) == 20 * int((speech > 0.5).sum())


def test_windows_that_failed_can_be_scored_again(frames: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also many of one stream at once: the memory must not be left with frames newer than the windows that come back."""
    audio = np.concatenate([voice(3.1), voice(9, "spoof")])
    wanted = scores_of(open_on(frames, audio), frames.scorer.score)
    head = frames.scorer._pool  # type: ignore[attr-defined]

    def broken(*arrays: np.ndarray) -> np.ndarray:
        raise RuntimeError("the head failed")

    def twice(windows: Sequence[Window]) -> list[Scored]:
        monkeypatch.setattr(frames.scorer, "_pool", broken)
        with pytest.raises(RuntimeError):
            frames.scorer.score(windows)
        monkeypatch.setattr(frames.scorer, "_pool", head)
        return frames.scorer.score(windows)

    assert_close(scores_of(open_on(frames, audio), twice, 8), wanted)


def test_an_encoder_that_minds_its_company_gets_one_window_at_a_time(folder: Path) -> None:
    part = {**toy._frames_part()["frames"], "one_at_a_time": True}
    detector = load(str(make_model(folder / "alone", frames=part)), folder)
    sizes: list[int] = []
    run = detector.scorer._run_encoder  # type: ignore[attr-defined]
    detector.scorer._run_encoder = lambda audio, count: sizes.append(len(audio)) or run(audio, count)  # type: ignore[attr-defined]
    sessions = [open_on(detector, voice(2, seed=seed)) for seed in range(3)]
    detector.scorer.score([session.windows()[0] for session in sessions])
    assert sizes == [1, 1, 1]


# --- whole windows ------------------------------------------------------------------------------------------


def window_model(folder: Path, name: str, graph: onnx.ModelProto | None = None, **changes: Any) -> Detector:
    path = make_model(folder / name, "window", **changes)
    if graph is not None:
        data = graph.SerializeToString()
        (path / "model.onnx").write_bytes(data)
        card = json.loads((path / "card.json").read_text())
        card["files"]["model.onnx"] = hashlib.sha256(data).hexdigest()
        (path / "card.json").write_text(json.dumps(card))
    return load(str(path), folder)


def last(detector: Detector, audio: np.ndarray) -> float:
    llr = scores_of(open_on(detector, audio), detector.scorer.score)[-1].llr
    assert llr is not None
    return llr


def test_short_windows_are_repeated_or_padded_as_the_card_says(folder: Path) -> None:
    graph = ort.InferenceSession(str(make_model(folder / "window", "window") / "model.onnx"))
    clip = voice(1.0, "spoof")
    audio = (clip[:, 0] / 32768).astype(np.float32)
    for short, filled in (("repeat", np.tile(audio, 4)), ("zero", np.pad(audio, (0, 48000)))):
        detector = window_model(folder, short, window={"file": "model.onnx", "samples": 64000, "short": short})
        wanted = float(graph.run(["score"], {"audio": filled[None]})[0][0]) + toy.BIAS
        assert last(detector, clip) == pytest.approx(wanted, abs=CLOSE)
    # A model that hears less than the window hears its end.
    detector = window_model(folder, "less", window={"file": "model.onnx", "samples": 8000})
    wanted = float(graph.run(["score"], {"audio": audio[None, -8000:]})[0][0]) + toy.BIAS
    assert last(detector, clip) == pytest.approx(wanted, abs=CLOSE)


def test_direction_calibration_and_columns(folder: Path) -> None:
    clip, flat = voice(4.0, "spoof"), {"calibration": {"scale": 1.0, "bias": 0.0}}
    plain = last(window_model(folder, "plain", **flat), clip)
    assert last(window_model(folder, "flipped", high_means="bonafide", **flat), clip) == pytest.approx(-plain, abs=CLOSE)
    scaled = window_model(folder, "scaled", calibration={"scale": 2.0, "bias": -1.0}, high_means="bonafide")
    assert last(scaled, clip) == pytest.approx(-2 * plain - 1, abs=CLOSE)
    two = toy.classifier()
    two.graph.node[-1].output[0] = "raw"  # [batch] -> [batch, 2]: (raw, 3 * raw)
    two.graph.initializer.append(numpy_helper.from_array(np.array([[1, 3]], np.float32), "factors"))
    two.graph.node.append(helper.make_node("Unsqueeze", ["raw", "one"], ["column"]))
    two.graph.node.append(helper.make_node("Mul", ["column", "factors"], ["score"]))
    two.graph.output[0].CopyFrom(helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, ["batch", 2]))
    for column, sign in ((1, 2), (0, -2)):
        part = {"file": "model.onnx", "samples": 64000, "spoof_column": column}
        assert last(window_model(folder, f"two{column}", two, window=part, **flat), clip) == pytest.approx(sign * plain, abs=CLOSE)


def test_the_energy_gate_counts_what_is_loud_enough(folder: Path) -> None:
    detector = window_model(folder, "gate")
    clip = np.concatenate([voice(2.0, "silence"), voice(2.0, "spoof")])
    scored = scores_of(open_on(detector, clip), detector.scorer.score)
    assert [s.speech_ms for s in scored] == [0, 0, 0, 500, 1000, 1500, 2000]
    assert [s.new_speech_ms for s in scored] == [0, 0, 0, 500, 500, 500, 500]
    faint = (clip // 400).astype(np.int16)  # speech under -60 dBFS is none
    assert {s.speech_ms for s in scores_of(open_on(detector, faint), detector.scorer.score)} <= {0}
