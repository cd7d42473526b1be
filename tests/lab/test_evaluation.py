"""`evaluate` end to end on a small pack of tones and a toy model, of either kind: the figures are the session's, and all tables are there."""

import csv
import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("scipy")

from typer.testing import CliRunner

from app.lab import activity, breakdown, conditions, languages, recode, sessions, streaming
from app.lab.cli import app
from app.lab.config import RATE, Recipe
from app.lab.data import Clip, Store, read_manifest, write_store
from app.lab.publish import Asked, compact, measure_model, merged, show, write
from app.lab.served import Served, Step, Trail
from tests import toy

pytestmark = pytest.mark.timeout(300)  # seconds of work, but on a machine that trains beside it

SYSTEMS = {"tts_bark-vocos": 4, "voc_hifigan-v1": 4, "codec_dac": 3}
COLUMNS = ["path", "split", "label", "family", "system", "source", "corpus", "speaker", "language", "licence"]


def tone(kind, seed, seconds=3.0):
    return toy.voice(seconds, kind, seed=seed)[:, 0].astype(np.float32) / 32768


def rows_of(split):
    rows = []
    for index in range(10):
        language, speaker = [("en", f"reader:{index // 5}"), ("hi", "hindi_speech_corpus:00D"), ("hi", "hindi_speech_corpus:00A")][index % 3]
        rows.append((f"{split}/b{index}.flac", "bonafide", "real", "real", "home/real", "", speaker, language, "CC0"))
    for system, count in SYSTEMS.items():
        family = system.split("_")[0]
        rows += [(f"{split}/{system}{i}.flac", "spoof", family, system, f"home/{system}", "", "", "en", "CC-BY-NC-4.0") for i in range(count)]
    return [dict(zip(COLUMNS, (path, split, *rest), strict=True)) for path, *rest in rows]


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """A recipe whose data and cache are a few tones; two of the spoofs are dull, so that there are errors to count."""
    data, cache = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("cache")
    rows = rows_of("train") + rows_of("dev")
    with (data / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    with (data / "peers.csv").open("w") as file:
        file.write("path,split,label,aasist,inc-tssdnet,lfcc-lcnn-lstm\n")
        file.writelines(f"{row['path']},{row['split']},{row['label']},{i % 7},{i % 5},{i % 3}\n" for i, row in enumerate(rows))
    for split, clips in read_manifest(data).items():
        wrong = {index for index, clip in enumerate(clips) if clip.system == "codec_dac"}
        kinds = ["bonafide" if not clip.spoof or (index in wrong and index % 2) else "spoof" for index, clip in enumerate(clips)]
        write_store(cache, split, [(clip, tone(kind, index)) for index, (clip, kind) in enumerate(zip(clips, kinds, strict=True))])
    noise = np.random.default_rng(0)
    write_store(cache, "noise-held", [(Clip(f"n{i}", system="hiss"), 0.1 * noise.standard_normal(2 * RATE)) for i in range(2)])
    write_store(cache, "music-held", [(Clip("m0"), np.zeros(5 * RATE))])
    spoofs = [(Clip(f"synth/{i}", "spoof", "tts", "tts_piper", language="hi"), tone("spoof", i)) for i in range(4)]
    write_store(cache, "synth-held", spoofs)
    return Recipe(data=data, cache=cache)


@pytest.fixture(scope="module", params=["frames", "window"])
def folder(request, tmp_path_factory):
    return toy.make_model(tmp_path_factory.mktemp("models") / request.param, request.param)


@pytest.fixture(scope="module")
def whole(pack, folder, tmp_path_factory):
    asked = Asked(["dev"], languages=True, sounds=True, scores_to=tmp_path_factory.mktemp("scores"), command="voxproof lab evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "CALLS", {10: 2})  # the real ones are two hours of sound
        patch.setattr(conditions, "available", lambda: ["opus 16", "gsm"])
        patch.setattr(conditions, "SNR_DB", (10,))
        patch.setattr(breakdown, "DRAWS", 50)
        patch.setattr(activity, "KINDS", ("white",))
        return measure_model(folder, pack, asked, lambda line: None)


def test_the_figures_are_the_sessions(pack, folder, whole):
    dev = Store(pack.cache, "dev")
    llr, spoof = Served(folder).llrs(dev[i] for i in range(len(dev))), np.array([clip.spoof for clip in dev.clips])
    head = whole["splits"]["dev"]["headline"]
    assert (head["n_bonafide"], head["n_spoof"], head["systems"], head["unanswered"]) == (10, 11, 3, 0)
    point = whole["splits"]["dev"]["at_operating_points"]["balanced"]
    assert point["bonafide_called_spoof"] == pytest.approx((llr[~spoof] >= 0.75).mean(), abs=1e-4)
    assert point["spoof_called_bonafide"] == pytest.approx((llr[spoof] <= -0.75).mean(), abs=1e-4)
    assert sum(point["verdicts"]["spoof"].values()) == pytest.approx(1, abs=1e-3)
    assert head["min_dcf"] <= head["act_dcf"] and head["min_cllr"] <= head["cllr"]


def test_every_table_is_there_and_every_row_alike(whole):
    tables = whole["splits"]["dev"]["tables"]
    assert set(tables) == {"subset", "family", "system", "language", "source", "licence", "duration", "codec", "snr"}
    for name, rows in tables.items():
        assert rows, name
        for row in rows:
            assert {"group", "n_bonafide", "n_spoof", "eer", "eer_ci95", "auc", "false_alarm", "miss", "caught"} <= set(row)


def test_a_system_stands_against_all_bona_fide(whole):
    rows = {row["group"]: row for row in whole["splits"]["dev"]["tables"]["system"]}
    assert {name: row["n_spoof"] for name, row in rows.items()} == SYSTEMS
    assert all(row["n_bonafide"] == 10 for row in rows.values())
    assert rows["tts_bark-vocos"]["eer"] == 0 and rows["codec_dac"]["eer"] >= 0.1


def test_subsets_ask_their_question(whole):
    rows = {row["group"]: row["n_spoof"] for row in whole["splits"]["dev"]["tables"]["subset"]}
    assert rows["all"] == 11 and rows["codec family apart"] == 8 and rows["recent neural TTS"] == 4
    assert rows["systems seen in train"] == 11 and rows["systems not in train"] == 0


def test_streaming_and_score_files_and_languages(whole):
    streaming_figures = whole["splits"]["dev"]["streaming"]
    assert [row["false_alarms_per_hour"] for row in streaming_figures["detection"]] == [1, 5, 20]
    assert streaming_figures["first_verdict"]["never"] == 0 and 1 <= streaming_figures["first_verdict"]["audio_s"]["median"] <= 2
    hindi = next(row for row in whole["languages"]["rows"] if row["group"] == "hi")
    assert hindi["bonafide_from"] == {"dev": 6, "held": 3} and hindi["spoof_from"] == {"synth-held": 4} and hindi["eer"] == 0


def test_sounds_changes_and_cost(whole, folder):
    refused = whole["sounds"]["speech_refused"]
    assert set(refused) == {"silence", "white", "music, synthesised", "hiss"} and refused["silence"]["refused"] == 1
    assert ("speech_kept" in whole["sounds"]) == (whole["model"]["kind"] == "frames")  # a window model tells speech by its energy alone
    assert whole["robustness"]["polarity"]["llr_moves_by"] < 0.01 < whole["robustness"]["white noise 20 dB"]["llr_moves_by"]
    assert whole["cost"]["streaming"]["ms_per_audio_second"] > 0 and sum(whole["cost"]["bytes"].values()) == whole["model"]["bytes"]


def test_it_is_json_and_small_and_printed(whole):
    assert len(json.dumps(whole, allow_nan=False)) < 300_000
    assert "== dev:" in show(whole) and "seed 002" in show(whole)


def test_writing_keeps_what_was_measured_of_the_same_model(whole, tmp_path):
    folder = toy.make_model(tmp_path / "toy")
    write(folder, whole)
    later = {**whole, "splits": {"eval": whole["splits"]["dev"]}}
    later.pop("languages")
    assert set(write(folder, later)["splits"]) == {"dev", "eval"}
    kept = json.loads((folder / "evaluation.json").read_text())
    card = json.loads((folder / "card.json").read_text())
    assert "languages" in kept and set(card["figures"]) >= {"dev", "eval", "languages"}
    assert card["figures"]["dev"]["eer_ci95"] == whole["splits"]["dev"]["headline"]["eer_ci95"]
    Served(folder)  # the card still loads
    other = {**later, "model": {**whole["model"], "sha256": "0" * 64}}
    assert set(write(folder, other)["splits"]) == {"eval"}
    figures = json.loads((folder / "card.json").read_text())["figures"]
    assert "eval" in figures and not {"dev", "languages"} & set(figures)


def test_merging_keeps_tables_that_a_fast_run_leaves_out(whole):
    split = whole["splits"]["dev"]
    fast = {**split, "tables": {"family": []}}
    fast.pop("streaming")
    kept = merged(whole, {**whole, "splits": {"dev": fast}})["splits"]["dev"]
    assert kept["tables"]["codec"] == split["tables"]["codec"] and kept["tables"]["family"] == [] and "streaming" in kept
    assert compact(whole)["dev"]["by_family"]


def test_a_clips_llr_after_some_speech_is_that_of_a_shorter_session(pack, folder):
    """The promise behind the duration table: cutting the clip there gives the same answer (frames lag by their right context)."""
    served, audio = Served(folder), tone("bonafide", 3, 4.0) * 0.5 + tone("spoof", 4, 4.0) * 0.5
    trail = served.trails([audio])[0]
    assert trail.llr_at(99) == trail.llr and len(trail.steps) == 7
    heard = np.cumsum([step.new_speech_ms for step in trail.steps]) / 1000
    for step, seconds in list(zip(trail.steps, heard, strict=True))[:-1]:
        cut = served.trails([audio[: round(step.end_s * RATE)]])[0]
        assert trail.llr_at(seconds) == pytest.approx(cut.llr, abs=2e-3)


def test_alarms_replayed_are_the_alarms_of_the_session(pack, folder):
    served, dev = Served(folder), Store(pack.cache, "dev")
    card = served.detector.card
    point = card.operating_points["balanced"]
    pool = card.verdict.pool_windows, card.verdict.hysteresis_hops
    call = next(iter(streaming.join(dev, [[0, 12, 1, 13]])))
    trail = served.trails([call])[0]
    live = [step.end_s for step in trail.steps if step.changed and step.verdict == "spoof"]
    assert live and streaming.alarms(trail, pool, streaming._point(point.bonafide_llr, point.spoof_llr)) == live


def call(*llrs):
    steps = tuple(Step(1 + i / 2, llr, 500, "uncertain", "stable", False) for i, llr in enumerate(llrs))
    return Trail(0.0, "uncertain", len(llrs) / 2, len(llrs) / 2, steps)


def test_the_sweep_keeps_to_the_rate_and_reads_the_delay():
    """One hour: eleven calls, one of which scores 1 and ten -1. Nothing may sound at 1 an hour or less but the one; a spoof at 3 sounds at once."""
    bonafide, spoof = [call(*[1.0] * 20)] + [call(*[-1.0] * 20)] * 10, [call(-2, -2, *[3.0] * 8), call(*[-3.0] * 10)]
    found = {row["false_alarms_per_hour"]: row for row in streaming.sweep(bonafide, spoof, 0.5, (1, 1), -9.0)}
    assert found[1]["measured"] == 0 and found[1]["threshold_llr"] > 1  # one alarm in half an hour is two an hour
    assert found[5]["measured"] == 2 and -1 < found[5]["threshold_llr"] <= 1
    assert found[1]["detected"] == 0.5 and found[1]["delay_s"]["median"] == 2.0


def test_every_clip_is_in_one_call(pack):
    dev = Store(pack.cache, "dev")
    calls = streaming.plan(dev)
    assert sorted(i for kind in calls.values() for call in kind for i in call) == list(range(len(dev)))
    for kind, members in calls.items():
        assert all(dev.clips[i].spoof == (kind == "spoof") for call in members for i in call)


def test_a_coder_keeps_length_and_place():
    audio = tone("bonafide", 1, 2.0)
    for name in recode.available():
        back = recode.CODERS[name](audio)
        assert len(back) == len(audio) and np.corrcoef(back, audio)[0, 1] > 0.8, name
    assert {"gsm", "mu-law"} <= set(recode.available())


@pytest.mark.parametrize("snr_db", [20, 0])
def test_noise_has_the_stated_level(snr_db):
    audio = tone("bonafide", 1, 2.0) * 0.2
    mixed = recode.with_noise(audio, np.random.default_rng(0).standard_normal(RATE), snr_db)
    from app.lab.speech import label_speech

    active = np.repeat(label_speech(audio), 320)
    speech, noise = audio[: len(active)][active], (mixed - audio)[: len(active)][active]
    assert 10 * np.log10(np.mean(speech**2) / np.mean(noise**2)) == pytest.approx(snr_db, abs=0.5)


def test_the_sample_is_fixed_and_of_both_classes(pack):
    clips = Store(pack.cache, "dev").clips
    chosen = conditions.sample(clips, 12)
    assert chosen == conditions.sample(clips, 12) and len(set(chosen)) == 12
    assert sum(clips[i].spoof for i in chosen) == 6


def test_names_of_one_system():
    assert breakdown.plain_name("tts_kokoro-82m") == breakdown.plain_name("kokoro")
    assert breakdown.RECENT.search("tts_f5-tts") and breakdown.RECENT.search("vc_openvoice-v2")
    assert not breakdown.RECENT.search("tts_nvidia-taco2+waveglow") and not breakdown.RECENT.search("tts_hts-hmm")


def test_speakers_kept_back_are_found_and_an_old_index_is_refused(pack):
    kept = languages.held_back(pack.data)
    assert kept == {f"train/b{i}.flac" for i in (1, 4, 7)}
    assert languages.held_paths([Clip("train/b1.flac", "spoof", "copy", speaker="hindi_speech_corpus:00D", language="hi")]) == {"train/b1.flac"}
    with pytest.raises(ValueError, match="no speaker"):
        languages.held_paths([Clip("train/1.opus", "bonafide", language="te")])


@pytest.fixture
def recipe_file(pack, tmp_path):
    (tmp_path / "runs").mkdir()
    path = tmp_path / "recipe.toml"
    path.write_text(f'data = "{pack.data}"\ncache = "{pack.cache}"\nruns = "{tmp_path / "runs"}"\n')
    return path


def test_the_commands(recipe_file, tmp_path):
    model, where = toy.make_model(tmp_path / "window", "window"), ["--recipe", str(recipe_file), "--model", str(tmp_path / "window")]
    before = json.loads((model / "card.json").read_text())["operating_points"]
    made = CliRunner().invoke(app, ["calibrate", *where], catch_exceptions=False)
    assert made.exit_code == 0 and json.loads(made.output)["cllr"]["whole"]["cllr"] < 1
    assert json.loads((model / "card.json").read_text())["operating_points"] != before
    made = CliRunner().invoke(app, ["evaluate", *where, "--fast", "--write", "--scores-to", str(tmp_path)], catch_exceptions=False)
    assert made.exit_code == 0 and "by family" in made.output
    again = ["evaluate", *where, "--fast", "--scores", f"again={tmp_path / 'toy-window-dev.arena.txt'}"]
    printed = CliRunner().invoke(app, again, catch_exceptions=False).output
    ours, theirs = (next(line for line in printed.splitlines() if line.startswith(name)).split()[1:7] for name in ("toy-window ", "again "))
    assert ours[0] == theirs[0] and ours[4] == theirs[4]  # the same EER and AUC: the direction was understood


def test_calibrating_twice_changes_nothing(pack, tmp_path):
    from app.lab import calibrate

    folder = toy.make_model(tmp_path / "window", "window")
    first = calibrate.calibrate_folder(folder, pack.cache)
    calibrate.into_window_card(folder, first)
    second = calibrate.calibrate_folder(folder, pack.cache)
    assert (second.scale, second.bias) == pytest.approx((first.scale, first.bias), rel=1e-3, abs=1e-3)
    assert second.operating_points["balanced"] == pytest.approx(first.operating_points["balanced"], abs=1e-3)
