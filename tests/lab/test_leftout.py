"""Which sources are left out together, and what their scores do to a calibration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from app.lab.calibrate import Beside, Windows, calibrated
from app.lab.config import RATE, Frozen, Net, Recipe
from app.lab.data import Clip, write_store
from app.lab.leftout import PARTS, left_out, parts
from app.lab.nets import Detector


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=40, max_size=300))
def test_every_source_is_in_one_part_whatever_the_order(rows: list[tuple[int, bool]]) -> None:
    rows = [*rows, (0, True), (0, False)]
    sources, spoof = [f"source {number}" for number, _ in rows], np.array([fake for _, fake in rows])
    placed = parts(sources, spoof)
    assert set(placed) == set(sources) and set(placed.values()) <= set(range(PARTS))
    order = np.random.default_rng(0).permutation(len(rows))
    assert parts([sources[i] for i in order], spoof[order]) == placed


def test_equal_sources_are_spread_evenly() -> None:
    sources = [f"{number:02}" for number in range(16) for _ in range(20)]
    spoof = np.tile([False, True], 160)
    placed = parts(sources, spoof)
    assert sorted(list(placed.values()).count(part) for part in range(PARTS)) == [4, 4, 4, 4]


def test_a_calibration_lies_between_what_both_halves_want() -> None:
    """Of two classes, each a Gaussian of deviation 1 and `2 d` apart, the llr is `2 d x`: known for both halves, and what is fitted is between."""
    rng = np.random.default_rng(1)
    spoof = np.tile([False, True], 3000)

    def drawn(half_apart: float, shift: float) -> np.ndarray:
        return np.where(spoof, half_apart, -half_apart) + shift + rng.standard_normal(len(spoof))

    near, far = drawn(1.5, 0.6), drawn(0.6, -0.4)
    heard = [Windows([score], score, {1: score, 2: score, 4: score}) for score in near]
    alone = calibrated(heard, spoof, None, 0.5)
    assert alone.scale == pytest.approx(3.0, rel=0.1) and alone.bias == pytest.approx(-3.0 * 0.6, rel=0.15) and alone.fitted_on == "dev"
    both = calibrated(heard, spoof, None, 0.5, Beside(far, spoof, np.ones(len(far))))
    assert 1.2 < both.scale < 3.0 and -1.8 < both.bias < 0.48
    assert both.fitted_on == "dev and sources of train left out"
    heavier = calibrated(heard, spoof, None, 0.5, Beside(far, spoof, np.full(len(far), 7.0)))
    assert heavier.scale == pytest.approx(both.scale, abs=1e-3)  # the halves count alike, however their clips are weighed
    as_itself = calibrated(heard, spoof, None, 0.5, Beside(near, spoof, np.ones(len(near))))
    assert as_itself.scale == pytest.approx(alone.scale, rel=1e-3) and as_itself.bias == pytest.approx(alone.bias, rel=1e-2)


def test_no_clip_is_judged_by_a_head_that_learnt_from_its_source(tmp_path) -> None:
    """Spoofs are darker everywhere but in one source, where it is the other way round: a head that had heard it would know."""
    torch = pytest.importorskip("torch")
    columns, rows, pairs = ("path", "split", "label", "family", "system", "source", "corpus", "speaker", "language"), [], []
    for index in range(24):
        source, fake = f"source {index // 6}", bool(index % 2)
        dark = fake != (source == "source 3")
        rng = np.random.default_rng(index)
        audio = np.convolve(0.1 * rng.standard_normal(RATE * 2), [1, 0.95] if dark else [1, -0.95], "same").astype(np.float32)
        pairs.append((Clip(f"train/{index}", "spoof" if fake else "bonafide", source=source, language="xx"), audio))
        rows.append(f"train/{index},train,{'spoof' if fake else 'bonafide'},,,{source},,,xx")
    write_store(tmp_path, "train", pairs)
    (tmp_path / "manifest.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    net = Net(
        family="resnet", taps=(1,), groups=(1,), piece_tokens=30, left_samples=800, right_samples=1600, embedding_size=528, head="covariance",
        head_size=16,
    )  # fmt: skip
    recipe = Recipe(net=net, data=tmp_path, cache=tmp_path, runs=tmp_path, frozen=Frozen(steps=150, shifts=1, changed=1))
    torch.manual_seed(3)
    found = left_out(recipe, Detector(net).eval(), lambda text: None)
    assert found.raw.shape == found.spoof.shape == found.weight.shape == (24,)  # of the 48 hearings those of the clips as they are
    assert (found.spoof == np.arange(24) % 2).all() and np.isfinite(found.raw).all()
    usual, odd = np.arange(24) < 18, np.arange(24) >= 18
    assert found.raw[odd & found.spoof].mean() < found.raw[odd & ~found.spoof].mean()
    assert found.raw[usual & found.spoof].mean() > found.raw[usual & ~found.spoof].mean()
