"""`card.json`: what holds together is read as written, and whatever does not is refused with the field's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.assets import asset_dir
from app.core.errors import CardMismatch, ModelError, ModelMissing
from app.scoring.card import Card, read_card
from tests.toy import make_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "whole", "window")


def changed(folder: Path, path: str, value: Any) -> dict[str, Any]:
    """The folder's card with the field at a dotted path replaced; `...` removes it."""
    content: dict[str, Any] = json.loads((folder / "card.json").read_text())
    inner = content
    *above, last = path.split("/")
    for name in above:
        inner = inner.setdefault(name, {})
    inner[last] = value
    if value is ...:
        del inner[last]
    return content


def written(path: Path, content: Any) -> Path:
    (path / "card.json").write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def test_a_card_is_read_as_it_stands(folder: Path, whole: Path) -> None:
    for each, kind in ((folder, "frames"), (whole, "window")):
        card = read_card(each)
        assert card.kind == kind and read_card(each) == card
        assert json.loads(card.model_dump_json())["files"] == json.loads((each / "card.json").read_text())["files"]


def test_the_bundled_cards_are_good() -> None:
    kinds = {path.parent.name: read_card(path.parent).kind for path in asset_dir("models").glob("*/card.json")}
    assert kinds == {"standard": "frames", "light": "frames", "accurate": "frames", "classic": "window"}


BROKEN_FRAMES: list[tuple[str, Any]] = [
    ("format", 2), ("format", ...), ("name", "a b"), ("name", "../x"), ("name", ""), ("kind", "conv"), ("sample_rate", 7999),
    ("sample_rate", "fast"), ("window_seconds", 0), ("window_seconds", 61), ("window_seconds", 4.001), ("window_seconds", float("nan")),
    ("first_window_seconds", 4.5), ("first_window_seconds", 0), ("hop_seconds", 0), ("hop_seconds", 1e-6), ("hop_seconds", 4.5),
    ("hop_seconds", float("inf")), ("min_speech_seconds", -1), ("min_speech_seconds", 5), ("high_means", "bonafide"), ("high_means", "fake"),
    ("files", {}), ("files/encoder.onnx", "abc"), ("files/encoder.onnx", "A" * 64),
    ("files", dict.fromkeys(["encoder.onnx", "head.onnx", "a/b"], "0" * 64)),
    ("files/.hidden", "0" * 64),
    ("frames", ...), ("frames", None), ("frames/head", ...), ("frames/head/file", "other.onnx"), ("frames/frame_samples", 0),
    ("frames/left_samples", -1), ("frames/embedding_size", 0), ("frames/speech_threshold", 1), ("frames/extra", 1), ("surprise", 1),
    ("verdict/pool_windows", 0), ("verdict/hysteresis_hops", 0), ("operating_points/balanced", ...), ("operating_points/loud", {}),
    ("operating_points/balanced/bonafide_llr", 9.0), ("operating_points/balanced/spoof_llr", float("nan")), ("operating_points", {}),
    ("operating_points/fast/bonafide_llr", float("-inf")), ("default_operating_point", "loud"),
    ("calibration/scale", float("nan")), ("calibration/fited_on", "dev"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), BROKEN_FRAMES)
def test_a_card_that_does_not_hold_together_is_refused(path: str, value: Any, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CardMismatch) as caught:
        read_card(written(tmp_path, changed(folder, path, value)))
    assert str(tmp_path / "card.json") in caught.value.message


@pytest.mark.parametrize(
    ("path", "value"),
    [("window", ...), ("window/file", "x.onnx"), ("window/samples", 0), ("window/short", "loop"), ("window/spoof_column", 2),
     ("calibration/bias", "one")],
)  # fmt: skip
def test_the_same_goes_for_a_classifier_of_windows(path: str, value: Any, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(CardMismatch):
        read_card(written(tmp_path, changed(whole, path, value)))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"format": 1', "\x00", '{"format":1}'])
def test_what_is_not_a_card(text: str, tmp_path: Path) -> None:
    with pytest.raises(CardMismatch):
        read_card(written(tmp_path, text))


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_bytes(b'{"name": "\xff\xfe"}')
    with pytest.raises(CardMismatch):
        read_card(tmp_path)


def test_a_card_that_is_missing_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        read_card(tmp_path)
    (tmp_path / "card.json").mkdir()
    with pytest.raises(ModelMissing):
        read_card(tmp_path)


@pytest.mark.parametrize("part", ["training", "figures"])
def test_what_is_for_readers_may_hold_anything(part: str, folder: Path, tmp_path: Path) -> None:
    card = read_card(written(tmp_path, changed(folder, part, {"anything": [1, {"deep": None}]})))
    assert isinstance(card, Card) and getattr(card, part) == {"anything": [1, {"deep": None}]}


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@given(st.sampled_from(sorted(Card.model_fields)), JSON)
def test_any_value_in_any_field_is_read_or_refused(field: str, value: Any) -> None:
    content = dict(CONTENT, **{field: value})
    try:
        Card.model_validate(content)
    except ValueError as exc:
        assert str(exc)


CONTENT = json.loads(
    """{"format": 1, "name": "t", "version": "1", "kind": "window", "sample_rate": 16000, "high_means": "spoof", "files": {"m": "%s"},
    "window": {"file": "m", "samples": 64000}, "operating_points": {"balanced": {"bonafide_llr": -1, "spoof_llr": 1}},
    "default_operating_point": "balanced"}"""
    % ("0" * 64)
)


def test_defaults_are_those_of_the_protocol() -> None:
    card = Card.model_validate(CONTENT)
    assert (card.window_seconds, card.first_window_seconds, card.hop_seconds, card.min_speech_seconds) == (4.0, 1.0, 0.5, 0.5)
    assert (card.verdict.pool_windows, card.verdict.hysteresis_hops, card.calibration.scale, card.calibration.bias) == (3, 2, 1.0, 0.0)
    assert issubclass(CardMismatch, ModelError) and issubclass(ModelMissing, ModelError)
