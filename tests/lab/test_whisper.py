"""The encoder on Whisper's lower blocks: its spectrogram against a plain Fourier transform, its geometry, its 8-bit export, its heads."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from app.lab import frozen  # noqa: E402
from app.lab.calibrate import Calibration  # noqa: E402
from app.lab.config import RATE, Frozen, Net, Recipe, Train  # noqa: E402
from app.lab.data import Clip, write_store  # noqa: E402
from app.lab.export import export  # noqa: E402
from app.lab.nets import Detector  # noqa: E402
from app.lab.train import begin, groups, load_average  # noqa: E402
from app.lab.whisper import COLUMN_SAMPLES, FOURIER_SAMPLES, LogMel, WhisperEncoder, mel_bands  # noqa: E402
from app.lab.windows import OnnxScorer, TorchScorer, score_clips  # noqa: E402
from app.scoring.load import load  # noqa: E402

NET = Net(
    family="whisper", width=64, blocks=2, piece_tokens=54, frequency_bins=80, left_samples=8480, right_samples=1600,
    embedding_size=16, attention_size=8, head_size=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    made = Detector(NET)
    for part in made.encoder.whisper.parameters():
        torch.nn.init.normal_(part, std=0.1)
    made.encoder.whisper.places.normal_(std=0.1)
    return made.eval()


def speech_like(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * 120 * n * time + rng.uniform(0, 6)) / n for n in range(1, 30))
    return (0.1 * tones * (1 + np.sin(2 * np.pi * 3 * time)) + 0.001 * rng.standard_normal(len(time))).astype(np.float32)


def test_spectrogram_is_a_fourier_transform_in_mel_bands():
    audio = speech_like(1.05)[: 320 * 40 + 800]
    audio = audio - audio.mean()
    window = np.hanning(FOURIER_SAMPLES + 1)[:-1]
    starts = range(0, len(audio) - FOURIER_SAMPLES - COLUMN_SAMPLES // 2 + 1, COLUMN_SAMPLES)
    power = np.array([np.abs(np.fft.rfft(audio[s : s + FOURIER_SAMPLES] * window)) ** 2 for s in starts])
    mel = np.log10(np.maximum(power @ mel_bands().T, 1e-10))
    wanted = np.maximum(mel - mel.max(), -8) / 4 + 1
    got = LogMel()(torch.from_numpy(audio)[None])[0].numpy()
    assert got.shape == (83, 80)
    np.testing.assert_allclose(got, wanted, atol=2e-3)


def test_mel_bands_are_librosas():
    librosa = pytest.importorskip("librosa")
    np.testing.assert_allclose(mel_bands(), librosa.filters.mel(sr=RATE, n_fft=FOURIER_SAMPLES, n_mels=80), atol=1e-7)


@pytest.mark.parametrize("dc", [-0.2, 0.01, 0.2])
def test_a_constant_changes_nothing(dc):
    audio = torch.from_numpy(speech_like(1.05)[: 320 * 40 + 800])[None]
    assert float((LogMel()(audio + dc) - LogMel()(audio)).abs().max()) < 2e-2


def test_a_stream_gets_the_tokens_that_whole_pieces_would(model):
    """The last block makes only the new tokens; all of them must be what it would make among all."""
    audio = torch.from_numpy(speech_like(1.6)[: 8480 + 25 * 320 + 1600])[None]
    with torch.no_grad():
        np.testing.assert_allclose(model.encoder(audio)[0], model.encoder.embed(model.encoder.spectrum(audio))[0], atol=1e-4)


@pytest.mark.parametrize("gain_db", [-30, -6, 6])
def test_level_changes_nothing(model, gain_db):
    audio = torch.from_numpy(speech_like(1.6)[: 8480 + 25 * 320 + 1600])[None]
    with torch.no_grad():
        as_is, louder = (model.encoder(audio * factor)[0] for factor in (1.0, 10 ** (gain_db / 20)))
    assert float((as_is - louder).abs().max()) < 2e-3


def test_geometry_must_add_up():
    with pytest.raises(ValueError, match="800 more than whole frames"):
        WhisperEncoder(replace(NET, left_samples=8000))


def test_a_frame_is_the_same_wherever_its_piece_stands_in_the_batch(model):
    audio = torch.from_numpy(np.stack([speech_like(2.4, seed)[: 320 * 108 + 800] for seed in range(3)]))
    encoder = model.encoder
    with torch.no_grad():
        together = encoder.embed(encoder.spectrum(encoder.cut(audio)), 3)[0]
        alone = torch.cat([encoder.embed(encoder.spectrum(encoder.cut(row[None])), 1)[0] for row in audio])
    assert together.shape == (3, 108 - 29, 16)
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_export_gives_the_server_a_model_that_scores_alike_in_any_company(model, tmp_path):
    recipe = Recipe(name="small", net=NET)
    points = {"balanced": {"bonafide_llr": -0.5, "spoof_llr": 0.5}}
    made = export(model, recipe, Calibration(operating_points=points, speech_threshold=0.01), tmp_path / "small", {}, {})
    card = json.loads(made.card.read_text())
    assert card["frames"]["one_at_a_time"] is True
    assert made.parity < 1e-3
    scorer = load("small", tmp_path).scorer
    pieces = [speech_like(2, seed)[: 8480 + 25 * 320 + 1600][None] for seed in range(4)]
    alone = [scorer._run_encoder(piece, 25)[0] for piece in pieces]
    again = [scorer._run_encoder(piece, 25)[0] for piece in pieces]
    assert all(np.array_equal(a, b) for a, b in zip(alone, again, strict=True))
    ours = OnnxScorer(made.card.parent, NET.left_samples, NET.right_samples, hopwise=True)
    clip = speech_like(3.3, 9)
    exact, quantised = (next(score_clips(s, [clip], 0.01)) for s in (_whole(model), ours))
    assert [w[0] for w in exact.windows] == [w[0] for w in quantised.windows]
    assert abs(exact.llr - quantised.llr) < 0.2


def _whole(model) -> TorchScorer:
    scorer = TorchScorer(model, NET)
    scorer.pieces = None
    return scorer


def test_pretrained_layers_learn_at_their_own_rate(model):
    config = Train(learning_rate=1e-3, pretrained_rate=0.1)
    old, new = groups(model, config)
    assert (old["lr"], new["lr"]) == (1e-4, 1e-3)
    assert sum(p.numel() for p in old["params"]) == sum(p.numel() for p in model.encoder.whisper.parameters())


@pytest.fixture
def still(tmp_path):
    """A recipe of a statistics head, and a `train` store of voices whose two classes differ in tilt."""
    pairs, columns = [], ("path", "split", "label", "family", "system", "source", "corpus", "speaker", "language")
    for index in range(16):
        audio = speech_like(2.4, index)
        if index % 2:
            audio[1:] -= 0.9 * audio[:-1]
        pairs.append((Clip(f"train/{index}", "spoof" if index % 2 else "bonafide", language="xx"), audio))
    write_store(tmp_path, "train", pairs)
    rows = [f"{clip.path},train,{clip.label},,,,,,xx" for clip, _ in pairs]
    (tmp_path / "manifest.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    net = replace(NET, head="statistics", embedding_size=128, used_blocks=(1, 2), head_size=16)
    return Recipe(net=net, data=tmp_path, cache=tmp_path, runs=tmp_path, frozen=Frozen(steps=120, shifts=2, changed=1))


def test_a_statistics_head_learns_while_the_encoder_stands_still(still):
    made = Detector(still.net)
    before = {name: p.detach().clone() for name, p in made.encoder.named_parameters()}
    path = frozen.train_head(still, made, lambda text: None)
    assert all(torch.equal(p, before[name]) for name, p in made.encoder.named_parameters())
    again, _, _ = load_average(path)
    rows = again.head.spread(torch.from_numpy(np.load(frozen.statistics_path(still, frozen.hearings(still)))))
    assert len(rows) == 3 * 16
    llr = torch.stack([net(rows).squeeze(-1) for net in again.head.nets]).mean(0).detach().numpy()
    assert (llr[1::2] > 0).all() and (llr[::2] < 0).all()


def test_encoding_goes_on_where_it_was_stopped(still):
    model, heard = Detector(still.net).eval(), frozen.hearings(still)
    whole = frozen.kept(still, model, heard, lambda text: None)
    np.save(frozen.statistics_path(still, heard), whole[:37])
    np.testing.assert_allclose(whole, frozen.kept(still, model, heard, lambda text: None), atol=1e-5)


def test_each_clip_is_heard_as_it_is_late_and_through_another_chain(still):
    heard = frozen.hearings(still)
    assert [(sum(h.late for h in heard[k : k + 16]), sum(h.changed for h in heard[k : k + 16])) for k in (0, 16, 32)] == [(0, 0), (16, 0), (16, 16)]
    audio = speech_like(2.4)
    one, other = (frozen.other_chain(audio, still.frozen, np.random.default_rng(seed)) for seed in (1, 2))
    assert 0.89 < len(one) / len(audio) < 1.11 and len(one) != len(other)
    assert 0.2 <= np.abs(one).max() <= 0.9 and np.isfinite(one).all() and one.dtype == np.float32


def test_rows_of_another_plan_are_kept_elsewhere(still):
    heard = frozen.hearings(still)
    assert frozen.statistics_path(still, heard) == frozen.statistics_path(still, list(heard)) != frozen.statistics_path(still, heard[16:])
    path = frozen.statistics_path(still, heard)
    for part, of_rows in (({"head_size": 8}, False), ({"dropout": 0.1}, False), ({"blocks": 1}, True), ({"left_samples": 800}, True)):
        assert (frozen.statistics_path(replace(still, net=replace(still.net, **part)), heard) != path) == of_rows, part
    assert frozen.statistics_path(replace(still, frozen=replace(still.frozen, speed=0.2)), heard) != path
    with pytest.raises(ValueError, match="among `shifts`"):
        frozen.hearings(replace(still, frozen=Frozen(shifts=0, changed=1)))


def test_of_the_spoofed_rows_a_share_is_lab_synths(still):
    write_store(still.cache, "synth", [(Clip(f"synth/{k}", "spoof", system=f"tts_{k % 2}"), speech_like(1, k)) for k in range(6)])
    recipe = replace(still, frozen=Frozen(shifts=1, changed=1, synth=0.2))
    heard = frozen.hearings(recipe)
    odds, spoof = frozen.odds_of(heard, recipe.frozen), np.array([h.clip.spoof for h in heard])
    made = np.array([h.store.name == "synth" for h in heard])
    assert len(heard) == 2 * 16 + 6 and made.sum() == 6
    assert odds[~spoof].sum() == pytest.approx(0.5) and odds[made].sum() == pytest.approx(0.1) and odds.sum() == pytest.approx(1)


@pytest.mark.parametrize("differences", [False, True])
def test_statistics_are_of_the_masked_frames_only(still, differences):
    head = Detector(replace(still.net, differences=differences)).head
    frames, mask = torch.randn(1, 30, 128), torch.zeros(1, 30)
    mask[:, 5:25] = 1
    frames[:, 25:] = float("nan")
    got = head.pooled(frames, mask)
    wanted = [frames[:, 5:25].mean(1), frames[:, 5:25].std(1)]
    if differences:
        wanted.append((frames[:, 6:25] - frames[:, 5:24]).std(1))
    torch.testing.assert_close(got, torch.cat(wanted, -1), atol=1e-4, rtol=1e-4)


def test_no_difference_is_taken_across_a_pause(still):
    head = Detector(replace(still.net, differences=True)).head
    frames, mask = torch.randn(1, 30, 128), torch.ones(1, 30)
    mask[:, 12] = 0
    steps = (frames[:, 1:] - frames[:, :-1])[:, [k for k in range(29) if k not in (11, 12)]]
    torch.testing.assert_close(head.pooled(frames, mask)[:, 256:], steps.std(1), atol=1e-4, rtol=1e-4)


def test_the_last_block_must_be_used():
    with pytest.raises(ValueError, match="last block"):
        WhisperEncoder(replace(NET, used_blocks=(1,)))


def test_frozen_blocks_stand_still():
    made = begin(Recipe(net=replace(NET, weights="")))
    assert all(p.requires_grad for p in made.parameters())
