"""A head on an encoder that stands still: what it pools of each `train` clip is taken once, and small nets learn to judge that.

Fine-tuning fits the recording chains of `train` within a few thousand clips, and copy-synthesis made heads worse on `dev` (models/README.md has the
figures): they learn from the clips as they are, through other recording chains and worn down, both classes alike, and from what `lab synth` made.
The encoder's speech output is taught last. Called by `voxproof lab train` for a recipe whose net has the `covariance` head.
"""

import json
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.signal import fftconvolve, firwin2, resample_poly
from torch.nn import functional as F
from torch.utils.data import DataLoader

from app.lab.augment import Batch, Batches, degrade
from app.lab.config import FRAME_SAMPLES, Frozen, Recipe, plain
from app.lab.data import Clip, Store, sampling_weights
from app.lab.eightbit import pieces_of
from app.lab.languages import held_back
from app.lab.nets import Detector
from app.lab.speech import label_speech

SAVED_EVERY = 1000
SPEECH_PASSES = 10
MIN_SPEECH_FRAMES = 10
LEAD_FRAMES = 50
"""A clip heard late begins with less silence than this: a second."""
FILTER_POINTS = 6
OF_THE_HEAD = ("heads", "attention_size", "head_size", "dropout")
"""What of a net's sizes does not change the rows its head learns from."""


@dataclass(frozen=True)
class Hearing:
    """One row of the head's: a clip as it is; after a stretch of silence (`late`: its pieces are cut elsewhere, and a voice that begins late looks no
    different); besides through another recording chain (`changed`), which is no evidence of how a voice was made; or worn down as training from
    scratch wears clips down (`degraded`)."""

    store: Store
    index: int
    late: bool = False
    changed: bool = False
    degraded: bool = False

    @property
    def clip(self) -> Clip:
        return self.store.clips[self.index]


def train_head(recipe: Recipe, model: Detector, say: Callable[[str], None]) -> Path:
    """Settle the encoder, encode, fit, teach it speech; the checkpoint is `runs/best.pt`, as the training loop leaves it.

    Nothing is judged here: of a detector that `fuse` makes, other nets may be part.
    """
    heard = hearings(recipe)
    pieces = pieces_of(Store(recipe.cache, "train"), recipe.net, recipe.train.seed, held_back(recipe.data))
    model.encoder.settle(torch.from_numpy(np.concatenate(pieces)))
    rows = kept(recipe, model.eval(), heard, say)
    spoof = np.array([each.clip.spoof for each in heard])
    odds = odds_of(heard, recipe.frozen)
    for index, net in enumerate(model.head.nets):
        fit(net, model.head.spread, rows, spoof, odds, recipe, index)
        say(f"head {index + 1}/{len(model.head.nets)} fitted on {len(rows)} clips")
    say(f"speech told apart, loss {teach_speech(recipe, model):.3f}")
    state = {
        "average": {f"module.{name}": value for name, value in model.state_dict().items()},
        "epoch": 0,
        "recipe": plain(recipe),
        "figures": {"epoch": 0},
    }
    torch.save(state, recipe.runs / "best.pt")
    return recipe.runs / "best.pt"


def teach_speech(recipe: Recipe, model: Detector) -> float:
    """Fit the encoder's speech output, alone, to the labels of one epoch of degraded batches, as a net from scratch learns it: noise, rooms, music,
    codecs, sounds that are no speech. Making them takes longer than learning from them, so each is used `SPEECH_PASSES` times. Returns the mean loss
    of the last pass."""
    encoder, part, train = model.encoder, model.encoder.speech, recipe.train
    batches = Batches(recipe, 0)
    loader = DataLoader(batches, batch_size=None, num_workers=train.workers, collate_fn=_needed, prefetch_factor=4 if train.workers else None)
    made = [(encoder.speech_columns(torch.from_numpy(audio)).half(), torch.from_numpy(speech), judged) for audio, speech, judged in loader]
    optimizer = torch.optim.AdamW(part.parameters(), recipe.frozen.learning_rate)
    part.train()
    for turn in range(SPEECH_PASSES):
        losses = []
        for step, index in enumerate(np.random.default_rng((train.seed, turn)).permutation(len(made))):
            for group in optimizer.param_groups:
                group["lr"] = recipe.frozen.learning_rate * decay((turn + step / len(made)) / SPEECH_PASSES)
            columns, goal, judged = made[index]
            logit = part.judge(columns.float()).reshape(len(goal), -1)[:, : goal.shape[1]]
            # A clip that is not speech at all is rare in a batch but must be refused, so it weighs three times.
            loss = F.binary_cross_entropy_with_logits(logit, goal, weight=torch.from_numpy(3 - 2 * judged)[:, None].expand_as(goal))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    part.eval()
    return float(np.mean(losses))


def hearings(recipe: Recipe) -> list[Hearing]:
    """Each `train` clip that is not held back once as it is and then `shifts` times otherwise, and once degraded; then what `lab synth` made, as it
    is."""
    store, held, frozen = Store(recipe.cache, "train"), held_back(recipe.data), recipe.frozen
    if not 0 <= frozen.changed <= frozen.shifts:
        raise ValueError("`changed` counts among `shifts`")
    chosen = [index for index, clip in enumerate(store.clips) if clip.path not in held]
    heard = [
        Hearing(store, index, late=turn > 0, changed=turn > frozen.shifts - frozen.changed) for turn in range(1 + frozen.shifts) for index in chosen
    ]
    if frozen.degraded:
        heard += [Hearing(store, index, degraded=True) for index in chosen]
    if frozen.synth:
        made = Store(recipe.cache, "synth")
        heard += [Hearing(made, index) for index in range(len(made))]
    return heard


def odds_of(heard: list[Hearing], frozen: Frozen) -> np.ndarray:
    """Chance of each row, half for each class; of the spoofed half `frozen.synth` goes to what `lab synth` made, of the rest of both classes
    `frozen.degraded` to degraded rows."""
    spoof, made, degraded = np.array([(each.clip.spoof, each.store.name == "synth", each.degraded) for each in heard]).T
    odds = np.zeros(len(heard))
    for kind, share in (
        (~spoof & ~degraded, 1 - frozen.degraded),
        (~spoof & degraded, frozen.degraded),
        (spoof & ~made & ~degraded, (1 - frozen.synth) * (1 - frozen.degraded)),
        (spoof & degraded, (1 - frozen.synth) * frozen.degraded),
        (spoof & made, frozen.synth),
    ):
        if kind.any():
            odds[kind] = 0.5 * share * sampling_weights([each.clip for each, use in zip(heard, kind, strict=True) if use])
    return odds / odds.sum()


def statistics_path(recipe: Recipe, heard: list[Hearing]) -> Path:
    """Where the rows of these hearings are kept: those of others, of another encoder or of other chains are kept elsewhere."""
    frozen, values = recipe.frozen, plain(recipe)
    encoder = {key: value for key, value in values["net"].items() if key not in OF_THE_HEAD}
    made_by = json.dumps([encoder, values["augment"], frozen.speed, frozen.filter_db, recipe.train.seed])
    plan = made_by + "\n".join(f"{each.clip.path} {each.late} {each.changed} {each.degraded}" for each in heard)
    return recipe.runs / f"statistics-{zlib.crc32(plan.encode()):08x}.npy"


def kept(recipe: Recipe, model: Detector, heard: list[Hearing], say: Callable[[str], None]) -> np.ndarray:
    """What the head pools [rows, D], from the file or made and put there; a run that was stopped goes on."""
    path = statistics_path(recipe, heard)
    rows = list(np.load(path)) if path.exists() else []
    started, first = time.time(), len(rows)
    wear = Wear(recipe) if recipe.frozen.degraded else None
    for done, each in enumerate(heard[first:], first + 1):
        rng = np.random.default_rng((recipe.train.seed, done))
        lead = int(rng.integers(1, LEAD_FRAMES)) if each.late else 0
        audio = each.store[each.index]
        if wear and each.degraded:
            rows.append(statistics_of(model, wear(each.index, rng), labels=label_speech(audio)))
        else:
            rows.append(statistics_of(model, other_chain(audio, recipe.frozen, rng) if each.changed else audio, lead))
        if done % SAVED_EVERY == 0 or done == len(heard):
            part = path.with_suffix(".part.npy")  # whole or not at all: a run killed while writing keeps what it had
            np.save(part, np.array(rows, np.float32))
            part.replace(path)
            say(f"{done}/{len(heard)} clips encoded, {(done - first) / (time.time() - started):.0f} a second")
    return np.array(rows, np.float32)


class Wear:
    """A clip of `train` worn down: coded beforehand (`Augment.coded` of them), and through the chain of `augment.degrade`."""

    def __init__(self, recipe: Recipe) -> None:
        self.batches, self.odds = Batches(recipe, 0), recipe.augment
        self.plain = self.batches.stores["train"]
        self.coded = self.batches.stores.get("train-coded")

    def __call__(self, index: int, rng: np.random.Generator) -> np.ndarray:
        audio = self.coded[index] if self.coded and rng.random() < self.odds.coded else self.plain[index]
        return degrade(audio, np.repeat(label_speech(self.plain[index]), FRAME_SAMPLES), self.odds, self.batches, rng)


def other_chain(audio: np.ndarray, frozen: Frozen, rng: np.random.Generator) -> np.ndarray:
    """The clip at another speed (pitch and formants move with it, as on a tape), level, and through a random smooth filter."""
    audio = resample_poly(audio, round(100 * rng.uniform(1 - frozen.speed, 1 + frozen.speed)), 100)
    at, gain_db = np.r_[0, np.sort(rng.uniform(0.01, 0.99, FILTER_POINTS)), 1], rng.uniform(-frozen.filter_db, frozen.filter_db, FILTER_POINTS + 2)
    audio = fftconvolve(audio, firwin2(129, at, 10 ** (gain_db / 20)), "same")
    return (audio * rng.uniform(0.2, 0.9) / (np.abs(audio).max() + 1e-9)).astype(np.float32)


@torch.no_grad()
def statistics_of(model: Detector, clip: np.ndarray, lead: int = 0, labels: np.ndarray | None = None) -> np.ndarray:
    """What the head pools [D] over the clip's speech frames (`labels`; None: as they are found in it), `lead` frames of silence before it;
    over all of them if speech is short."""
    net, encoder = model.net, model.encoder
    count = len(clip) // FRAME_SAMPLES + lead
    samples = net.left_samples + net.right_samples + (count + encoder.missing(count)) * FRAME_SAMPLES
    audio = torch.zeros(1, samples)
    begin = net.left_samples + lead * FRAME_SAMPLES
    audio[0, begin : begin + len(clip)] = torch.from_numpy(clip)[: samples - begin]
    spectrum = encoder.spectrum(encoder.cut(audio))  # in float32: its products span many decades
    with torch.autocast("cpu", torch.bfloat16):
        frames, _ = encoder.embed(spectrum, 1)
    speech = np.zeros(count, bool)
    labels = (label_speech(clip) if labels is None else labels)[: count - lead]
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
            group["lr"] = frozen.learning_rate * decay(step / frozen.steps)
        chosen = torch.multinomial(chances, frozen.batch, replacement=True)
        loss = F.binary_cross_entropy_with_logits(net(inputs[chosen]).squeeze(-1), goal[chosen] * (1 - 2 * smooth) + smooth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    net.eval()


def decay(done: float) -> float:
    """Share of the learning rate when `done` of the steps are taken: half a cosine down to 2 %."""
    return 0.02 + 0.49 * (1 + float(np.cos(np.pi * done)))


def _needed(batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return batch.audio, batch.speech, batch.judged
