"""A head on an encoder that stands still: the pooled statistics of each `train` clip are taken once, and small nets learn to judge them.

Fine-tuning fits the recording chains of `train` within a few thousand clips, and copy-synthesis or degraded rows made this head worse on `dev`
(models/README.md has the figures): it learns from the clips as they are, both classes alike. The spectrum net beside it (`fuse.py`) is the
one that is taught codecs, rooms and noise. Called by `voxproof lab train` for a recipe whose net has the `statistics` head.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from app.lab.config import FRAME_SAMPLES, Recipe, plain
from app.lab.data import Store, sampling_weights
from app.lab.languages import held_back
from app.lab.nets import Detector
from app.lab.speech import label_speech

SAVED_EVERY = 1000
MIN_SPEECH_FRAMES = 10
LEAD_FRAMES = 50
"""A clip's later passes begin with less silence than this: a second."""


def train_head(recipe: Recipe, model: Detector, say: Callable[[str], None]) -> Path:
    """Encode, fit; the checkpoint is `runs/best.pt`, as the training loop leaves it.

    Nothing is judged here: this encoder tells no speech, so it can be scored only with the net beside it.
    """
    store, held = Store(recipe.cache, "train"), held_back(recipe.data)
    chosen = [index for index, clip in enumerate(store.clips) if clip.path not in held]
    chosen = chosen * (1 + recipe.frozen.shifts)
    rows = kept(recipe, model.eval(), store, chosen, say)
    clips = [store.clips[index] for index in chosen]
    spoof = np.array([clip.spoof for clip in clips])
    odds = np.zeros(len(clips))
    for kind in (spoof, ~spoof):
        odds[kind] = sampling_weights([clip for clip, use in zip(clips, kind, strict=True) if use])
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


def kept(recipe: Recipe, model: Detector, store: Store, chosen: list[int], say: Callable[[str], None]) -> np.ndarray:
    """Statistics [clips, 2 D], from the file or made and put there; a run that was stopped goes on.

    From its second time on, a clip comes after a stretch of silence: its pieces are cut elsewhere, and a voice that begins late looks no different.
    """
    path = recipe.runs / "statistics.npy"
    rows = list(np.load(path)) if path.exists() else []
    started, first = time.time(), len(rows)
    once = len(set(chosen))
    for done, index in enumerate(chosen[first:], first + 1):
        lead = int(np.random.default_rng((recipe.train.seed, done)).integers(1, LEAD_FRAMES)) if done > once else 0
        rows.append(statistics_of(model, store[index], lead))
        if done % SAVED_EVERY == 0 or done == len(chosen):
            np.save(path, np.array(rows, np.float32))
            say(f"{done}/{len(chosen)} clips encoded, {(done - first) / (time.time() - started):.0f} a second")
    return np.array(rows, np.float32)


@torch.no_grad()
def statistics_of(model: Detector, clip: np.ndarray, lead: int = 0) -> np.ndarray:
    """Mean and deviation [2 D] over the clip's speech frames, `lead` frames of silence before it; over all of them if speech is short."""
    net, encoder = model.net, model.encoder
    count = len(clip) // FRAME_SAMPLES + lead
    tokens = -(-(count + encoder.before + encoder.after) // net.piece_tokens) * net.piece_tokens
    samples = net.left_samples + net.right_samples + (tokens - encoder.before - encoder.after) * FRAME_SAMPLES
    audio = torch.zeros(1, samples)
    begin = net.left_samples + lead * FRAME_SAMPLES
    audio[0, begin : begin + len(clip)] = torch.from_numpy(clip)[: samples - begin]
    with torch.autocast("cpu", torch.bfloat16):
        frames, _ = encoder.embed(encoder.spectrum(encoder.cut(audio)), 1)
    speech = np.zeros(count, bool)
    labels = label_speech(clip)[: count - lead]
    speech[lead : lead + len(labels)] = labels
    if speech.sum() < MIN_SPEECH_FRAMES:
        speech[:] = True
    return model.head.pooled(frames[:, :count].float(), torch.from_numpy(speech[None].astype(np.float32)))[0].numpy()


def fit(net: torch.nn.Module, spread: torch.nn.Module, rows: np.ndarray, spoof: np.ndarray, odds: np.ndarray, recipe: Recipe, index: int) -> None:
    """`recipe.frozen.steps` steps of AdamW on rows drawn by `odds`, as often of one class as of the other."""
    torch.manual_seed(recipe.train.seed + index)
    inputs, goal = torch.from_numpy(rows), torch.from_numpy(spoof.astype(np.float32))
    spread.mean.copy_(inputs.mean(0))
    spread.deviation.copy_(inputs.std(0) + 1e-6)
    inputs, chances = spread(inputs), torch.from_numpy(np.where(spoof, odds / odds[spoof].sum(), odds / odds[~spoof].sum()))
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
