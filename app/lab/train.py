"""The training loop, top to bottom: batches in, a checkpoint after every epoch out.

Three losses, all binary cross-entropies: the clip's class from the pooled frames, the class of each speech frame (it teaches the
encoder), and speech or not for each frame. Speech frames are pooled as at run time: those that the net itself calls speech, from
the second epoch on. The weights evaluated and exported are an exponential average of the trained ones; the best epoch is the one
with the lowest EER on `dev`. `last.pt` holds weights, average, optimiser, epoch and random state: a killed run goes on.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from app.lab.augment import Batch, Batches
from app.lab.config import Recipe, Train, plain, recipe_from
from app.lab.frozen import train_head
from app.lab.nets import Detector, parameters
from app.lab.resnet import load, speaker_verification_file

MIN_SPEECH_FRAMES = 25
"""Half a second: the host gives no llr for less."""


def train(recipe: Recipe, device: str, judge: Callable[[Detector], dict], until: float = float("inf"), say: Callable[[str], None] = print) -> Path:
    """Train until `recipe.train.epochs` or, between epochs, the clock time `until`; `judge` gives the dev figures (key `eer`)."""
    config = recipe.train
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    recipe.runs.mkdir(parents=True, exist_ok=True)
    (recipe.runs / "recipe.json").write_text(json.dumps(plain(recipe), indent=1))
    model = begin(recipe).to(device)
    if recipe.net.still:
        return train_head(recipe, model, say)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    first, best = resume(recipe.runs / "last.pt", model, average, optimizer, device)
    say(f"{parameters(model)} parameters, epochs {first}..{config.epochs - 1}, {device}")
    for epoch in range(first, config.epochs):
        if time.time() > until:
            break
        started = time.time()
        losses = one_epoch(recipe, epoch, model, average, optimizer, device, say)
        found = judge(average.module)
        line = {"epoch": epoch, **losses, **found, "seconds": round(time.time() - started)}
        say(json.dumps(line))
        with (recipe.runs / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        is_best = found["eer"] < best
        best = min(best, found["eer"])
        state = {
            "model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch, "best": best,
            "recipe": plain(recipe), "figures": line, "torch_rng": torch.get_rng_state(), "numpy_rng": np.random.get_state(),
        }  # fmt: skip
        save(state, recipe.runs / "last.pt")
        save({key: state[key] for key in ("average", "epoch", "recipe", "figures")}, recipe.runs / f"epoch-{epoch:02d}.pt")
        if is_best:
            save({key: state[key] for key in ("average", "epoch", "recipe", "figures")}, recipe.runs / "best.pt")
    return recipe.runs / "best.pt"


def begin(recipe: Recipe) -> Detector:
    """An untrained detector, its encoder's pre-trained part filled in."""
    model = Detector(recipe.net)
    if recipe.net.family == "spectrum":
        model.encoder.trunk.to(memory_format=torch.channels_last)  # a third faster on CPUs in bfloat16
    if recipe.net.family == "resnet":
        model.encoder.speaker = load(speaker_verification_file(recipe.net.weights, recipe.packages), recipe.net.taps)
    return model


def one_epoch(recipe: Recipe, epoch: int, model: Detector, average: AveragedModel, optimizer, device: str, say: Callable) -> dict[str, float]:
    recipe = recipe.at(epoch)
    config = recipe.train
    batches = Batches(recipe, epoch)
    loader = DataLoader(batches, batch_size=None, num_workers=config.workers, collate_fn=_tensors, prefetch_factor=4 if config.workers else None)
    model.train()
    sums = np.zeros(4)
    for index, batch in enumerate(loader):
        step = epoch * len(batches) + index
        for group in optimizer.param_groups:  # set anew each step: a stage of the recipe may have changed them
            group["weight_decay"] = config.weight_decay
            group["lr"] = config.learning_rate * schedule(step, len(batches) * config.epochs, config)
        clip, frame, speech, right = losses_of(model, [part.to(device) for part in batch], config, use_labels=epoch == 0)
        loss = clip + config.frame_weight * frame + config.speech_weight * speech
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        average.update_parameters(model)
        sums += [clip.item(), frame.item(), speech.item(), right]
        if index % 32 == 31:
            say(f"epoch {epoch} step {index + 1}/{len(batches)} " + " ".join(f"{k} {v:.3f}" for k, v in named(sums / (index + 1)).items()))
    return named(sums / len(batches))


def named(sums: np.ndarray) -> dict[str, float]:
    names = ("loss_clip", "loss_frame", "loss_speech", "accuracy")
    return {name: round(float(value), 4) for name, value in zip(names, sums, strict=True)}


def losses_of(model: Detector, batch: list[Tensor], config: Train, use_labels: bool) -> tuple[Tensor, Tensor, Tensor, float]:
    """(clip, frame, speech) losses, and the share of clips on the right side of zero."""
    audio, bands = batch[0], batch[4]
    with torch.no_grad():
        spectrum = model.encoder.hidden(audio, bands)
    with torch.autocast(audio.device.type, torch.bfloat16):
        frames, speech_logit = model.encoder.embed(spectrum, len(audio))
    return losses_from(model, frames.float(), speech_logit.float(), batch, config, use_labels)


def losses_from(
    model: Detector, frames: Tensor, speech_logit: Tensor, batch: list[Tensor], config: Train, use_labels: bool
) -> tuple[Tensor, Tensor, Tensor, float]:
    """The same from the frames on."""
    _, speech, spoof, judged, _ = batch
    frame_logit = model.frame_judge(frames).squeeze(-1)
    use = speech if use_labels else (speech_logit.detach() > 0).float()
    llr = model.head(frames, use)
    weight = judged * (use.sum(1) >= MIN_SPEECH_FRAMES)
    goal = spoof * (1 - 2 * config.label_smoothing) + config.label_smoothing
    clip = (F.binary_cross_entropy_with_logits(llr, goal, reduction="none") * weight).sum() / weight.sum().clamp(min=1)
    each = F.binary_cross_entropy_with_logits(frame_logit, goal.unsqueeze(1).expand_as(frame_logit), reduction="none")
    mask = speech * judged.unsqueeze(1)
    frame = (each * mask).sum() / mask.sum().clamp(min=1)
    # Without labels' help: a clip that is not speech at all is rare in a batch but must be refused, so it weighs three times.
    weight_speech = (1 + 2 * (1 - judged)).unsqueeze(1)
    speech_loss = (F.binary_cross_entropy_with_logits(speech_logit, speech, reduction="none") * weight_speech).mean()
    right = (((llr > 0).float() == spoof).float() * weight).sum() / weight.sum().clamp(min=1)
    return clip, frame, speech_loss, float(right)


def schedule(step: int, steps: int, config: Train) -> float:
    """Linear warm-up, then half a cosine down to 2 %."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    return 0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * min(step / steps, 1.0)))


def resume(path: Path, model: Detector, average: AveragedModel, optimizer, device: str) -> tuple[int, float]:
    """(first epoch to run, best EER so far)."""
    if not path.exists():
        return 0, float("inf")
    state = torch.load(path, map_location=device, weights_only=False)
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["torch_rng"].cpu())
    np.random.set_state(state["numpy_rng"])
    return state["epoch"] + 1, state["best"]


def load_average(path: Path, device: str = "cpu") -> tuple[Detector, Recipe, dict]:
    """The averaged weights of a checkpoint in evaluation mode, its recipe, and its log line."""
    state = torch.load(path, map_location=device, weights_only=False)
    recipe = recipe_from(state["recipe"])
    model = Detector(recipe.net).to(device)
    weights = {key.removeprefix("module."): value for key, value in state["average"].items() if key.startswith("module.")}
    model.load_state_dict(weights)
    return model.eval(), recipe, state["figures"]


def save(state: dict, path: Path) -> None:
    """Whole or not at all: a run killed while writing keeps its last checkpoint."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _tensors(batch: Batch) -> list[Tensor]:
    return [torch.from_numpy(part) for part in (batch.audio, batch.speech, batch.spoof, batch.judged, batch.bands)]
