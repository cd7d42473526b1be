"""Score files: ours written in three formats, anybody's read beside ours.

Ours (`.csv`: path, label, llr; high = spoof), ASVspoof 5 track 1 (`.asvspoof5.tsv`: tab, header `filename cm-score`, high = bona fide, with its key
file `filename cm-label`; evaluation-package/util.py of asvspoof-challenge/asvspoof5), and Speech DF Arena (`.arena.txt`: name and score with a
space, no header, high = bona fide, with its protocol `file_name,label`; utils/metrics.py of Speech-Arena/speech_df_arena).
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from app.lab.data import Clip

HighMeans = Literal["spoof", "bonafide"]
NAME_COLUMNS = {"path", "filename", "file_name", "file", "name", "utt", "utt_id", "utterance", "utterance_id", "id"}
SCORE_COLUMNS = {"llr": "spoof", "score": None, "cm-score": "bonafide", "cm_score": "bonafide"}
"""What a high value means where the header says so."""


def write_scores(folder: Path, name: str, clips: list[Clip], llr: np.ndarray) -> list[Path]:
    """Every clip has a line in each file: the formats allow no gaps, so an unanswered one has llr 0."""
    folder.mkdir(parents=True, exist_ok=True)
    llr = np.nan_to_num(llr)
    real = -llr + 0.0  # and no minus zero
    labels = [clip.label for clip in clips]
    paths = [clip.path for clip in clips]
    made = {
        ".csv": ["path,label,llr", *(f"{p},{label},{value:.6f}" for p, label, value in zip(paths, labels, llr, strict=True))],
        ".asvspoof5.tsv": ["filename\tcm-score", *(f"{p}\t{value:.6f}" for p, value in zip(paths, real, strict=True))],
        ".asvspoof5-key.tsv": ["filename\tcm-label", *(f"{p}\t{label}" for p, label in zip(paths, labels, strict=True))],
        ".arena.txt": [f"{p} {value:.6f}" for p, value in zip(paths, real, strict=True)],
        ".arena-protocol.csv": ["file_name,label", *(f"{p},{label}" for p, label in zip(paths, labels, strict=True))],
    }
    for ending, lines in made.items():
        (folder / f"{name}{ending}").write_text("\n".join(lines) + "\n")
    return [folder / f"{name}{ending}" for ending in made]


def read_scores(path: Path, clips: list[Clip], high_means: HighMeans = "spoof") -> np.ndarray:
    """The score of each clip, turned so that high = spoof. A header's `llr` or `cm-score` says the direction; else `high_means` does.

    A line is matched by the clip's path, or by its file name with or without ending, if that is unique. A clip without a line is an error.
    """
    rows = list(_rows(path))
    name_column, score_column, direction = 0, 1, high_means
    header = [cell.strip().lower() for cell in rows[0]]
    if not _number(header[-1]) and not _number(header[min(1, len(header) - 1)]):
        names = [index for index, cell in enumerate(header) if cell in NAME_COLUMNS]
        scores = [index for index, cell in enumerate(header) if cell in SCORE_COLUMNS]
        if not names or not scores:
            raise ValueError(f"{path}: no column of names and scores in {', '.join(header)}")
        name_column, score_column = names[0], scores[0]
        direction = SCORE_COLUMNS[header[score_column]] or high_means
        rows = rows[1:]
    given = {row[name_column].strip(): float(row[score_column]) for row in rows}
    times = Counter(alias for name in given for alias in {*_aliases(name)} - {name})
    given |= {alias: score for name, score in given.items() for alias in _aliases(name) if times[alias] == 1 and alias not in given}
    found = [next((given[alias] for alias in (clip.path, *_aliases(clip.path)) if alias in given), np.nan) for clip in clips]
    if missing := sum(np.isnan(found)):
        raise ValueError(f"{path}: no score for {missing} of {len(clips)} clips")
    return np.array(found) * (1.0 if direction == "spoof" else -1.0)


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(newline="") as file:
        lines = [line.strip() for line in file if line.strip()]
    if not lines:
        raise ValueError(f"{path} is empty")
    if "," in lines[0]:
        yield from csv.reader(lines)
    else:
        yield from (re.split(r"\t|\s+", line) for line in lines)


def _aliases(name: str) -> tuple[str, ...]:
    """`dev/00001.flac` may be called `00001.flac` or `00001`."""
    path = PurePosixPath(name)
    return (path.name, path.stem)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
