"""Steps of the recording chain, coders, vocoders and the batches made with them: lengths, seeds, labels, and no word of the class."""

import inspect
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("soxr")
soundfile = pytest.importorskip("soundfile")

from app.lab import augment, chains, codecs, data, sounds, stores  # noqa: E402
from app.lab.augment import Batches, Draw  # noqa: E402
from app.lab.config import FRAME_SAMPLES, RATE, Augment, Recipe, Train  # noqa: E402
from app.lab.resynth import MORE_METHODS, resynthesise  # noqa: E402
from app.lab.speech import label_speech  # noqa: E402

STEPS = ("loudspeaker", "distorted", "levelled", "suppressed", "resampled", "lossy")
QUIET = Augment(
    coded=0, filtered=0, band_limited=0, room=0, telephone=0, clipped=0, noise=0, floor=0, gap=0, edited=0, loudspeaker=0, distorted=0,
    levelled=0, suppressed=0, resampled=0, lossy=0, recoded=0, babble=0,
)  # fmt: skip


def voice(seed, seconds=3.0):
    """A buzz through two resonances, two syllables a second, and silence between them."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    turn = 2 * np.pi * np.cumsum(110 * rng.uniform(0.8, 1.8) * (1 + 0.1 * np.sin(2 * np.pi * 0.8 * time))) / RATE
    tones = sum(np.exp(-(((n * 120 - rng.uniform(400, 1500)) / 600) ** 2)) * np.sin(n * turn) for n in range(1, 25))
    return (0.04 * tones * (np.sin(2 * np.pi * 1.0 * time) > -0.3) + 1e-5 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    clips = [data.Clip(f"train/{i}", "spoof" if i % 2 else "bonafide", "voc" if i % 2 else "real", f"s{i % 4}", "here") for i in range(12)]
    data.make_store(cache, "train", clips, lambda i, _: voice(i))
    for name in ("copies", "copies-more", "copies-neural"):
        copies = [stores.copy_of(clip, "copy_phase", 4000 if "neural" in name else 0) for clip in clips[::2]]
        data.make_store(cache, name, copies, lambda i, clip: stores.original(cache, clip)[clip.offset :][: 2 * RATE if clip.offset else None])
    for name, kind in (("noise", "pink"), ("music", "music"), ("rir", "clicks")):
        rng = np.random.default_rng(0)
        data.write_store(cache, name, [(data.Clip(f"{name}/{i}", system=kind), sounds.sound(kind, RATE, rng)) for i in range(2)])
    return Recipe(cache=cache, train=Train(seed=3, epoch_clips=64, batch=32, crop_seconds=(1.0, 2.5), nonspeech=0.1))


@pytest.mark.parametrize("name", STEPS)
def test_steps_keep_length_stay_finite_and_follow_the_seed(name):
    step = getattr(chains, name)
    for seed in range(8):
        for audio in (voice(seed, 1.7), np.zeros(20000, np.float32)):
            made = step(audio.copy(), np.random.default_rng(seed))
            assert made.shape == audio.shape and made.dtype == np.float32 and np.isfinite(made).all()
            assert np.array_equal(made, step(audio.copy(), np.random.default_rng(seed)))


@pytest.mark.parametrize("name", STEPS)
def test_steps_keep_speech_where_it_was(name):
    """The envelope of the result follows the original's with no shift of a frame or more."""
    envelope = lambda x: np.sqrt((x[: len(x) // 160 * 160].reshape(-1, 160) ** 2).mean(1))  # noqa: E731
    audio = voice(1, 3.0)
    for seed in range(6):
        made = getattr(chains, name)(audio.copy(), np.random.default_rng(seed))
        a, b = envelope(audio) - envelope(audio).mean(), envelope(made) - envelope(made).mean()
        lag = np.correlate(b, a, "full").argmax() - len(a) + 1
        assert abs(lag) <= 1, (name, seed)


@pytest.mark.parametrize("name", chains.EDITS)
def test_edits_move_labels_with_the_sound(name):
    audio = voice(2)
    labels = label_speech(audio)
    other = (voice(3), label_speech(voice(3)))
    for seed in range(12):
        made, moved = chains.EDITS[name]((audio.copy(), labels.copy()), lambda: other, np.random.default_rng(seed))
        assert np.isfinite(made).all() and made.dtype == np.float32
        assert abs(len(made) - len(moved) * FRAME_SAMPLES) < 2 * FRAME_SAMPLES
        count = min(len(moved), len(made) // FRAME_SAMPLES)
        power = (made[: count * FRAME_SAMPLES].reshape(count, -1) ** 2).mean(1)
        loud = power > 0.05 * np.quantile(power, 0.9)
        assert (loud & ~moved[:count]).sum() <= 4, f"sound with no label, seed {seed}"  # at most at the edges


def test_no_step_is_told_the_class():
    for step in (*chains.EDITS.values(), *(getattr(chains, name) for name in STEPS), codecs.recoded, augment.degrade, augment._filter):
        names = " ".join(inspect.signature(step).parameters)
        assert not any(word in names for word in ("spoof", "real", "judged", "draw")), step


def test_twins_share_cut_chain_and_labels(recipe):
    """Here the copies are the originals: a pair must come out the same to the last bit."""
    batches = Batches(replace(recipe, augment=replace(recipe.augment, paired=1.0, edited=0.6)), 0)
    for place in range(6):
        for name in ("copies", "copies-neural"):
            rows = [batches._row(60, Draw(name, place, twin), np.random.default_rng(place)) for twin in (False, True)]
            assert np.array_equal(rows[0][0], rows[1][0]) and np.array_equal(rows[0][1], rows[1][1])


def test_batches_pair_copies_with_originals(recipe, monkeypatch):
    monkeypatch.setattr(augment, "COPY_SHARES", {"copies": 0.5, "copies-neural": 0.5})
    drawn = replace(recipe, augment=replace(recipe.augment, paired=1.0), train=replace(recipe.train, copies=1.0, synth=0.0))
    batch = Batches(drawn, 0)[0]
    pairs = [(a, b) for a, b in zip(range(16), range(16, 32), strict=True) if batch.judged[b]]
    assert len(pairs) > 8
    for a, b in pairs:
        assert np.array_equal(batch.audio[a], batch.audio[b]) and (batch.spoof[a], batch.spoof[b]) == (0, 1) and batch.judged[a]


def test_batches_without_optional_stores_and_labels_that_fit(recipe):
    settings = replace(recipe, augment=replace(QUIET, edited=1.0), train=replace(recipe.train, nonspeech=0.0))
    batch, again = Batches(settings, 1)[1], Batches(settings, 1)[1]
    assert np.array_equal(batch.audio, again.audio) and np.isfinite(batch.audio).all() and np.abs(batch.audio).max() <= 1.01
    left, frames = settings.net.left_samples, batch.speech.shape[1]
    power = (batch.audio[:, left : left + frames * FRAME_SAMPLES].reshape(32, frames, -1) ** 2).mean(2)
    loud = power > 0.05 * np.quantile(power, 0.9, axis=1, keepdims=True)
    assert (loud & (batch.speech < 0.5)).mean() < 0.04


@pytest.mark.parametrize("method", MORE_METHODS)
def test_more_copies_keep_length_and_level(method):
    if method in ("lpc", "world_smoothed"):
        pytest.importorskip("pyworld")
    audio = voice(2, 1.0)
    for seed in range(4):
        copy = resynthesise(audio, method, np.random.default_rng(seed))
        assert copy.shape == audio.shape and np.isfinite(copy).all()
        assert np.abs(copy).max() == pytest.approx(np.abs(audio).max(), rel=1e-3)
        assert not np.allclose(copy, audio, atol=1e-3)


@pytest.mark.parametrize("name", codecs.CODERS)
def test_coders_keep_length_and_place(name):
    if codecs.CODERS[name].encoder:
        av = pytest.importorskip("av")
        if codecs.CODERS[name].encoder not in av.codecs_available:
            pytest.skip(f"no {name} in this PyAV")
    audio = voice(4, 1.5)
    for seed in range(2):
        made = codecs.through(audio, name, np.random.default_rng(seed))
        assert made.shape == audio.shape and np.isfinite(made).all()
        assert np.corrcoef(made, audio)[0, 1] > 0.3


def test_a_killed_build_goes_on_to_the_same_store(tmp_path):
    clips = [data.Clip(str(i)) for i in range(6)]
    work = partial(lambda i, _: np.random.default_rng(i).uniform(-0.5, 0.5, 100 + i).astype(np.float32))
    data.make_store(tmp_path, "whole", clips, work)

    def dies(index, clip):
        if index == 4:
            raise KeyboardInterrupt
        return work(index, clip)

    with pytest.raises(KeyboardInterrupt):
        data.make_store(tmp_path, "killed", clips, dies)
    assert not (tmp_path / "killed.json").exists()
    with (tmp_path / "killed.part.jsonl").open("a") as rows, (tmp_path / "killed.part.i16").open("ab") as audio:
        rows.write('{"path": "4", "la')  # half a line and half a clip
        audio.write(b"1234")
    assert data.make_store(tmp_path, "killed", clips, work) == 6
    for suffix in ("i16", "json"):
        assert (tmp_path / f"killed.{suffix}").read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    assert json.loads((tmp_path / "killed.json").read_text())[5]["length"] == 105
    assert data.make_store(tmp_path, "late", clips, work, until=0.0) == 1


def test_simulated_rooms_decay():
    pytest.importorskip("pyroomacoustics")
    from app.lab.rooms import simulated_room

    for seed in range(3):
        response = simulated_room(np.random.default_rng(seed))
        assert np.isfinite(response).all() and np.abs(response).max() == pytest.approx(1)
        assert (response[:2000] ** 2).sum() > 5 * (response[-2000:] ** 2).sum()
