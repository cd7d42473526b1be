"""A start for nets on a pre-trained encoder: the new layers learn first, on tokens made once, while the encoder stands still.

The new layers need thousands of steps and the encoder's tokens are dear, so `warm.clips` clips are encoded once and passed over
`warm.passes` times. Called by `train` before its first epoch; what it leaves is the state of the model.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from app.lab.augment import Batches
from app.lab.config import Recipe
from app.lab.nets import Detector

WARM_EPOCH = 1_000_000
"""The number of the epoch whose batches are drawn: no training epoch has it."""
Made = tuple[Tensor, list[Tensor]]
"""Tokens bfloat16 [pieces, T, width], and the batch without its sound."""


def warm_up(recipe: Recipe, model: Detector, losses: Callable, tensors: Callable, device: str, say: Callable[[str], None]) -> None:
    """`losses(model, frames, speech logit, batch)` -> (clip, frame, speech, share right); `tensors` turns a `Batch` into tensors."""
    warm = recipe.warm
    made = encode(recipe, model, tensors, device, say)
    new = [p for name, p in model.named_parameters() if not name.startswith("encoder.whisper.")]
    optimizer = torch.optim.AdamW(new, warm.learning_rate, weight_decay=recipe.train.weight_decay)
    steps, step = warm.passes * len(made), 0
    rng = np.random.default_rng(recipe.train.seed)
    model.train()
    for index in range(warm.passes):
        sums = np.zeros(4)
        for at in rng.permutation(len(made)):
            for group in optimizer.param_groups:
                group["lr"] = warm.learning_rate * min(1.0, (step + 1) / 50) * (0.02 + 0.49 * (1 + np.cos(np.pi * step / steps)))
            tokens, batch = made[at]
            frames, speech = model.encoder.finish(tokens.float(), len(batch[1]))
            clip, frame, spoken, right = losses(model, frames, speech, batch)
            optimizer.zero_grad(set_to_none=True)
            (clip + recipe.train.frame_weight * frame + recipe.train.speech_weight * spoken).backward()
            torch.nn.utils.clip_grad_norm_(new, 5.0)
            optimizer.step()
            sums += [clip.item(), frame.item(), spoken.item(), right]
            step += 1
        say(f"warm-up pass {index + 1}/{warm.passes}: clip, frame, speech loss, accuracy {np.round(sums / len(made), 3)}")


@torch.no_grad()
def encode(recipe: Recipe, model: Detector, tensors: Callable, device: str, say: Callable[[str], None]) -> list[Made]:
    """The last blocks' tokens of `warm.clips` clips, kept in memory (about 0.2 MB a block and clip of 3 s at width 768)."""
    batches = Batches(replace(recipe, train=replace(recipe.train, epoch_clips=recipe.warm.clips)), WARM_EPOCH)
    count = recipe.warm.clips // recipe.train.batch
    loader = DataLoader(batches, batch_size=None, sampler=range(count), num_workers=recipe.train.workers, collate_fn=tensors)
    made, started = [], time.time()
    model.eval()
    for index, batch in enumerate(loader):
        audio, bands = batch[0].to(device), batch[4].to(device)
        with torch.autocast(device, torch.bfloat16):
            mel = model.encoder.hidden(audio, bands)
            tokens = model.encoder.tokens(mel).bfloat16()
        made.append((tokens, [None, *(part.to(device) for part in batch[1:])]))
        if index % 50 == 49:
            say(f"warm-up: {index + 1}/{count} batches encoded, {(index + 1) * recipe.train.batch / (time.time() - started):.0f} clips/s")
    return made
