"""A head on an encoder that stands still: how often each clip is heard and how, the rows kept of it, and what the head learns from them."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from app.lab import frozen  # noqa: E402
from app.lab.config import RATE, Frozen, Net, Recipe  # noqa: E402
from app.lab.data import Clip, Store, write_store  # noqa: E402
from app.lab.nets import Detector  # noqa: E402
from app.lab.train import load_average  # noqa: E402

NET = Net(
    family="resnet", taps=(1,), groups=(1,), piece_tokens=30, left_samples=800, right_samples=1600, embedding_size=528, head="covariance",
    head_size=16,
)  # fmt: skip


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * 120 * n * time + rng.uniform(0, 6)) / n for n in range(1, 30))
    return (0.1 * tones * (1 + np.sin(2 * np.pi * 3 * time)) + 0.001 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.fixture
def still(tmp_path):
    """A recipe, and a `train` store of voices whose two classes differ in tilt."""
    pairs, columns = [], ("path", "split", "label", "family", "system", "source", "corpus", "speaker", "language")
    for index in range(8):
        audio = voice(2.4, index)
        if index % 2:
            audio[1:] -= 0.9 * audio[:-1]
        pairs.append((Clip(f"train/{index}", "spoof" if index % 2 else "bonafide", language="xx"), audio))
    write_store(tmp_path, "train", pairs)
    rows = [f"{clip.path},train,{clip.label},,,,,,xx" for clip, _ in pairs]
    (tmp_path / "manifest.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    return Recipe(net=NET, data=tmp_path, cache=tmp_path, runs=tmp_path, frozen=Frozen(steps=120, shifts=2, changed=1))


@pytest.fixture
def model():
    torch.manual_seed(1)
    return Detector(NET).eval()


def test_a_head_learns_while_the_encoder_stands_still(still, model, monkeypatch):
    """Its spreads are settled, no weight moves. (How it is taught what is speech: `test_training.py`.)"""
    monkeypatch.setattr(frozen, "teach_speech", lambda recipe, model: 0.0)
    before = {name: p.detach().clone() for name, p in model.encoder.named_parameters()}
    path = frozen.train_head(still, model, lambda text: None)
    assert all(torch.equal(p, before[name]) for name, p in model.encoder.named_parameters())
    again, _, _ = load_average(path)
    assert float(again.encoder.grams[0].middle.abs().max()) > 0
    rows = again.head.spread(torch.from_numpy(np.load(frozen.statistics_path(still, frozen.hearings(still)))))
    assert len(rows) == 3 * 8
    llr = torch.stack([net(rows).squeeze(-1) for net in again.head.nets]).mean(0).detach().numpy()
    assert (llr[1::2] > 0).all() and (llr[::2] < 0).all()


def test_encoding_goes_on_where_it_was_stopped(still, model):
    heard = frozen.hearings(still)
    whole = frozen.kept(still, model, heard, lambda text: None)
    np.save(frozen.statistics_path(still, heard), whole[:17])
    np.testing.assert_allclose(whole, frozen.kept(still, model, heard, lambda text: None), atol=1e-5)


def test_a_row_is_what_the_head_pools_of_the_speech(still, model):
    """Silence before a clip and labels of its own change which frames those are, and how the clip is cut; other than that, nothing."""
    clip = Store(still.cache, "train")[0]
    labels = np.zeros(len(clip) // 320, bool)
    labels[30:60] = True
    row = frozen.statistics_of(model, clip, labels=labels)
    audio = torch.zeros(1, 800 + 1600 + 125 * 320)
    audio[0, 800 : 800 + len(clip)] = torch.from_numpy(clip)
    with torch.no_grad():
        frames = model.encoder.embed(model.encoder.spectrum(model.encoder.cut(audio)), 1)[0]
        wanted = model.head.pooled(frames[:, 30:60], torch.ones(1, 30))[0].numpy()
    assert row.shape == (528,)
    assert np.linalg.norm(row - wanted) < 0.02 * np.linalg.norm(wanted)  # encoded in bfloat16
    late = frozen.statistics_of(model, clip, lead=25, labels=labels)  # a whole piece later
    assert np.linalg.norm(late - row) < 0.05 * np.linalg.norm(row)
    few = np.zeros_like(labels)
    few[:9] = True
    everything = frozen.statistics_of(model, clip, labels=np.ones_like(labels))
    np.testing.assert_array_equal(frozen.statistics_of(model, clip, labels=few), everything)


def test_each_clip_is_heard_as_it_is_late_and_through_another_chain(still):
    heard = frozen.hearings(still)
    assert [(sum(h.late for h in heard[k : k + 8]), sum(h.changed for h in heard[k : k + 8])) for k in (0, 8, 16)] == [(0, 0), (8, 0), (8, 8)]
    audio = voice(2.4)
    one, other = (frozen.other_chain(audio, still.frozen, np.random.default_rng(seed)) for seed in (1, 2))
    assert 0.89 < len(one) / len(audio) < 1.11 and len(one) != len(other)
    assert 0.2 <= np.abs(one).max() <= 0.9 and np.isfinite(one).all() and one.dtype == np.float32


def test_rows_of_another_plan_are_kept_elsewhere(still):
    heard = frozen.hearings(still)
    path = frozen.statistics_path(still, heard)
    assert path == frozen.statistics_path(still, list(heard)) != frozen.statistics_path(still, heard[8:])
    for part, of_rows in (({"head_size": 8}, False), ({"dropout": 0.1}, False), ({"taps": (2,)}, True), ({"left_samples": 1120}, True)):
        assert (frozen.statistics_path(replace(still, net=replace(still.net, **part)), heard) != path) == of_rows, part
    assert frozen.statistics_path(replace(still, frozen=replace(still.frozen, speed=0.2)), heard) != path
    with pytest.raises(ValueError, match="among `shifts`"):
        frozen.hearings(replace(still, frozen=Frozen(shifts=0, changed=1)))


def test_of_the_spoofed_rows_a_share_is_lab_synths(still):
    write_store(still.cache, "synth", [(Clip(f"synth/{k}", "spoof", system=f"tts_{k % 2}"), voice(1, k)) for k in range(6)])
    recipe = replace(still, frozen=Frozen(shifts=1, changed=1, synth=0.2))
    heard = frozen.hearings(recipe)
    odds, spoof = frozen.odds_of(heard, recipe.frozen), np.array([h.clip.spoof for h in heard])
    made = np.array([h.store.name == "synth" for h in heard])
    assert len(heard) == 2 * 8 + 6 and made.sum() == 6
    assert odds[~spoof].sum() == pytest.approx(0.5) and odds[made].sum() == pytest.approx(0.1) and odds.sum() == pytest.approx(1)
