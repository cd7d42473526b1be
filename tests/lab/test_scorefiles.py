"""Score files: the three formats say the same, the field's tools would read them, and a file is matched to clips or refused."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from app.lab.data import Clip
from app.lab.scorefiles import read_scores, write_scores

CLIPS = [Clip("dev/00001.flac", "bonafide"), Clip("dev/00002.flac", "spoof"), Clip("dev/00003.opus", "spoof")]
LLR = np.array([-1.25, 2.5, np.nan])


@pytest.fixture
def files(tmp_path):
    return {path.name: path for path in write_scores(tmp_path, "ours-dev", CLIPS, LLR)}


def test_ours_is_high_for_spoof(files):
    assert files["ours-dev.csv"].read_text().splitlines() == [
        "path,label,llr",
        "dev/00001.flac,bonafide,-1.250000",
        "dev/00002.flac,spoof,2.500000",
        "dev/00003.opus,spoof,0.000000",
    ]


def test_asvspoof_5_has_a_tab_a_header_and_the_other_direction(files):
    lines = files["ours-dev.asvspoof5.tsv"].read_text().splitlines()
    assert lines[:2] == ["filename\tcm-score", "dev/00001.flac\t1.250000"] and lines[3] == "dev/00003.opus\t0.000000"
    assert files["ours-dev.asvspoof5-key.tsv"].read_text().splitlines()[:2] == ["filename\tcm-label", "dev/00001.flac\tbonafide"]


def test_the_arena_has_a_space_no_header_and_the_other_direction(files):
    assert files["ours-dev.arena.txt"].read_text().splitlines()[1] == "dev/00002.flac -2.500000"
    assert files["ours-dev.arena-protocol.csv"].read_text().splitlines()[:2] == ["file_name,label", "dev/00001.flac,bonafide"]


@pytest.mark.parametrize("ending", [".csv", ".asvspoof5.tsv", ".arena.txt"])
def test_each_reads_back_as_high_for_spoof(files, ending):
    assert read_scores(files[f"ours-dev{ending}"], CLIPS, "bonafide").tolist() == pytest.approx(np.nan_to_num(LLR).tolist())


def test_names_without_folder_or_ending_are_matched(tmp_path):
    path = tmp_path / "theirs.txt"
    path.write_text("00002 0.5\n00003.opus 0.25\n00001 -1\n")
    assert read_scores(path, CLIPS).tolist() == [-1, 0.5, 0.25]
    assert read_scores(path, CLIPS, "bonafide").tolist() == [1, -0.5, -0.25]


def test_columns_are_found_by_their_names(tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text("label,score,file\nspoof,3,00003\nspoof,2,00002\nbonafide,1,00001\n")
    assert read_scores(path, CLIPS).tolist() == [1, 2, 3]


def test_a_gap_is_an_error(tmp_path):
    path = tmp_path / "theirs.txt"
    path.write_text("00002 0.5\n")
    with pytest.raises(ValueError, match="no score for 2 of 3"):
        read_scores(path, CLIPS)


def test_a_header_nobody_knows_is_an_error(tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text("clip,likelihood\n00001,1\n")
    with pytest.raises(ValueError, match="no column"):
        read_scores(path, CLIPS)


def test_two_clips_of_one_name_are_not_confused(tmp_path):
    path = tmp_path / "theirs.txt"
    path.write_text("dev/1.flac 1\neval/1.flac 2\n")
    assert read_scores(path, [Clip("eval/1.flac"), Clip("dev/1.flac")]).tolist() == [2, 1]
    with pytest.raises(ValueError, match="no score for 1"):
        read_scores(path, [Clip("other/1.flac")])
