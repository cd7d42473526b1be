"""What a still encoder's head says of sources it never learnt from: the calibration's other half.

`dev` was made by generators that the heads have not heard, but it is one collection: scores on it lie further apart than on a new one, and elsewhere.
Leaving a quarter of the sources of `train` out in turn shows what happens on others (models/README.md); an llr should hold for both.
These are scores of whole clips in float32 with their labels of speech, not of the server's windows: on `dev` such scores want a scale some 10 %
larger. And sources are left out, not generators: one spoof in seven is of a system that another part has too.
Called by `voxproof lab fuse`.
"""

from collections.abc import Callable

import numpy as np
import torch

from app.lab.calibrate import Beside, system_weights
from app.lab.config import Recipe
from app.lab.frozen import fit, hearings, kept, odds_of
from app.lab.nets import HEADS, Detector

PARTS = 4


def left_out(recipe: Recipe, model: Detector, say: Callable[[str], None]) -> Beside:
    """For each clip of `train` that heads learn from, as it is: the score of heads trained without its source, on the rows that `frozen` kept."""
    heard = hearings(recipe)
    rows = kept(recipe, model, heard, say)
    spoof = np.array([each.clip.spoof for each in heard])
    part_of = parts([each.clip.source for each in heard], spoof)
    part = np.array([part_of[each.clip.source] for each in heard])
    plain = np.array([each.store.name == "train" and not (each.late or each.degraded) for each in heard])
    raw = np.full(len(heard), np.nan)
    for number in range(PARTS):
        others, asked = part != number, plain & (part == number)
        torch.manual_seed(recipe.train.seed)
        head = HEADS[recipe.net.head](recipe.net)
        odds = odds_of([each for each, use in zip(heard, others, strict=True) if use], recipe.frozen)
        for index, net in enumerate(head.nets):
            fit(net, head.spread, rows[others], spoof[others], odds, recipe, index)
        with torch.no_grad():
            raw[asked] = head.judge(torch.from_numpy(rows[asked])).numpy()
        say(f"part {number + 1}/{PARTS} of the sources left out")
    systems = [each.clip.system for each, use in zip(heard, plain, strict=True) if use]
    return Beside(raw[plain], spoof[plain], system_weights(systems, spoof[plain]))


def parts(sources: list[str], spoof: np.ndarray) -> dict[str, int]:
    """Source -> one of `PARTS`, about as many clips of both classes in each: the largest first, each to where there is most room for it."""
    names, totals = np.array(sources), np.array([(~spoof).sum(), spoof.sum()])
    load, placed = np.zeros((PARTS, 2)), {}
    for name in sorted(set(sources), key=lambda each: (-int((names == each).sum()), each)):
        mine = names == name
        size = np.array([(~spoof[mine]).sum(), spoof[mine].sum()]) / totals
        placed[name] = int(np.argmin((load + size).max(1)))
        load[placed[name]] += size
    return placed
