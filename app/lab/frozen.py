"""A head on an encoder that stands still: the pooled statistics of each `train` clip are taken once, and small nets learn to judge them.

Fine-tuning fits the recording chains of `train` within a few thousand clips, and copy-synthesis or degraded rows made this head worse on `dev`
(models/README.md has the figures): it learns from the clips as they are and through other recording chains, both classes alike, and from what
`lab synth` made. Called by `voxproof lab train` for a recipe whose net has the `statistics` head.
"""

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.signal import fftconvolve, firwin2, resample_poly
from torch.nn import functional as F

from app.lab.config import FRAME_SAMPLES, Frozen, Recipe, plain
from app.lab.data import Clip, Store, sampling_weights
from app.lab.languages import held_back
from app.lab.nets import Detector
from app.lab.speech import label_speech

SAVED_EVERY = 1000
MIN_SPEECH_FRAMES = 10
LEAD_FRAMES = 50
"""A clip heard late begins with less silence than this: a second."""
FILTER_POINTS = 6


@dataclass(frozen=True)
class Hearing:
    """One row of the head's: a clip as it is; after a stretch of silence (`late`: its pieces are cut elsewhere, and a voice that begins late looks no
    different); or besides through another recording chain (`changed`), which is no evidence of how a voice was made."""

    store: Store
    index: int
    late: bool = False
    changed: bool = False

    @property
    def clip(self) -> Clip:
        return self.store.clips[self.index]


def train_head(recipe: Recipe, model: Detector, say: Callable[[str], None]) -> Path:
    """Encode, fit; the checkpoint is `runs/best.pt`, as the training loop leaves it.

    Nothing is judged here: this encoder tells no speech, so it can be scored only with the net beside it.
    """
    heard = hearings(recipe)
    rows = kept(recipe, model.eval(), heard, say)
    spoof = np.array([each.clip.spoof for each in heard])
    odds = odds_of(heard, recipe.frozen.synth)
    for index, net in enumerate(model.head.nets):
        fit(net, model.head.spread, rows, spoof, odds, recipe, index)
        say(f"head {index + 1}/{len(model.head.nets)} fitted on {len(rows)} clips")
    state = {
        "average": {f"module.{name}": value for name, value in model.state_dict().items()},
        "epoch": 0,
        "recipe": plain(recipe),
        "figures": {"epoch": 0},
    }
    torch.save(state, recipe.runs / "best.pt")
    return recipe.runs / "best.pt"


def hearings(recipe: Recipe) -> list[Hearing]:
    """Each `train` clip that is not held back once as it is and then `shifts` times otherwise; then what `lab synth` made, as it is."""
    store, held, frozen = Store(recipe.cache, "train"), held_back(recipe.data), recipe.frozen
    if not 0 <= frozen.changed <= frozen.shifts:
        raise ValueError("`changed` counts among `shifts`")
    chosen = [index for index, clip in enumerate(store.clips) if clip.path not in held]
    heard = [
        Hearing(store, index, late=turn > 0, changed=turn > frozen.shifts - frozen.changed) for turn in range(1 + frozen.shifts) for index in chosen
    ]
    if frozen.synth:
        made = Store(recipe.cache, "synth")
        heard += [Hearing(made, index) for index in range(len(made))]
    return heard


def odds_of(heard: list[Hearing], synth: float) -> np.ndarray:
    """Chance of each row, half for each class; of the spoofed half `synth` goes to what `lab synth` made."""
    spoof = np.array([each.clip.spoof for each in heard])
    made = np.array([each.store.name == "synth" for each in heard])
    odds = np.zeros(len(heard))
    for kind, share in ((~spoof, 1.0), (spoof & ~made, 1.0 - synth), (spoof & made, synth)):
        if kind.any():
            odds[kind] = 0.5 * share * sampling_weights([each.clip for each, use in zip(heard, kind, strict=True) if use])
    return odds / odds.sum()


def statistics_path(recipe: Recipe, heard: list[Hearing]) -> Path:
    """Where the rows of these hearings are kept: others are kept elsewhere, so that no row is taken for another clip's."""
    plan = "\n".join(f"{each.clip.path} {each.late} {each.changed}" for each in heard)
    return recipe.runs / f"statistics-{zlib.crc32(plan.encode()):08x}.npy"


def kept(recipe: Recipe, model: Detector, heard: list[Hearing], say: Callable[[str], None]) -> np.ndarray:
    """Statistics [rows, 2 D or 3 D], from the file or made and put there; a run that was stopped goes on."""
    path = statistics_path(recipe, heard)
    rows = list(np.load(path)) if path.exists() else []
    started, first = time.time(), len(rows)
    for done, each in enumerate(heard[first:], first + 1):
        rng = np.random.default_rng((recipe.train.seed, done))
        lead = int(rng.integers(1, LEAD_FRAMES)) if each.late else 0
        audio = each.store[each.index]
        rows.append(statistics_of(model, other_chain(audio, recipe.frozen, rng) if each.changed else audio, lead))
        if done % SAVED_EVERY == 0 or done == len(heard):
            np.save(path, np.array(rows, np.float32))
            say(f"{done}/{len(heard)} clips encoded, {(done - first) / (time.time() - started):.0f} a second")
    return np.array(rows, np.float32)


def other_chain(audio: np.ndarray, frozen: Frozen, rng: np.random.Generator) -> np.ndarray:
    """The clip at another speed (pitch and formants move with it, as on a tape), level, and through a random smooth filter."""
    audio = resample_poly(audio, round(100 * rng.uniform(1 - frozen.speed, 1 + frozen.speed)), 100)
    at, gain_db = np.r_[0, np.sort(rng.uniform(0.01, 0.99, FILTER_POINTS)), 1], rng.uniform(-frozen.filter_db, frozen.filter_db, FILTER_POINTS + 2)
    audio = fftconvolve(audio, firwin2(129, at, 10 ** (gain_db / 20)), "same")
    return (audio * rng.uniform(0.2, 0.9) / (np.abs(audio).max() + 1e-9)).astype(np.float32)


@torch.no_grad()
def statistics_of(model: Detector, clip: np.ndarray, lead: int = 0) -> np.ndarray:
    """What the head pools [2 D or 3 D] over the clip's speech frames, `lead` frames of silence before it; over all of them if speech is short."""
    net, encoder = model.net, model.encoder
    count = len(clip) // FRAME_SAMPLES + lead
    tokens = -(-(count + encoder.before + encoder.after) // net.piece_tokens) * net.piece_tokens
    samples = net.left_samples + net.right_samples + (tokens - encoder.before - encoder.after) * FRAME_SAMPLES
    audio = torch.zeros(1, samples)
    begin = net.left_samples + lead * FRAME_SAMPLES
    audio[0, begin : begin + len(clip)] = torch.from_numpy(clip)[: samples - begin]
    spectrum = encoder.spectrum(encoder.cut(audio))  # in float32: its products span many decades
    with torch.autocast("cpu", torch.bfloat16):
        frames, _ = encoder.embed(spectrum, 1)
    speech = np.zeros(count, bool)
    labels = label_speech(clip)[: count - lead]
    speech[lead : lead + len(labels)] = labels
    if speech.sum() < MIN_SPEECH_FRAMES:
        speech[:] = True
    return model.head.pooled(frames[:, :count].float(), torch.from_numpy(speech[None].astype(np.float32)))[0].numpy()


def fit(net: torch.nn.Module, spread: torch.nn.Module, rows: np.ndarray, spoof: np.ndarray, odds: np.ndarray, recipe: Recipe, index: int) -> None:
    """`recipe.frozen.steps` steps of AdamW on rows drawn by `odds`."""
    torch.manual_seed(recipe.train.seed + index)
    inputs, goal = torch.from_numpy(rows), torch.from_numpy(spoof.astype(np.float32))
    spread.mean.copy_(inputs.mean(0))
    spread.deviation.copy_(inputs.std(0) + 1e-6)
    inputs, chances = spread(inputs), torch.from_numpy(odds)
    frozen, smooth = recipe.frozen, recipe.train.label_smoothing
    optimizer = torch.optim.AdamW(net.parameters(), frozen.learning_rate, weight_decay=frozen.weight_decay)
    net.train()
    for step in range(frozen.steps):
        for group in optimizer.param_groups:
            group["lr"] = frozen.learning_rate * (0.02 + 0.49 * (1 + np.cos(np.pi * step / frozen.steps)))
        chosen = torch.multinomial(chances, frozen.batch, replacement=True)
        loss = F.binary_cross_entropy_with_logits(net(inputs[chosen]).squeeze(-1), goal[chosen] * (1 - 2 * smooth) + smooth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    net.eval()
