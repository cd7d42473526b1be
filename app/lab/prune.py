"""Channels and neurons of a pre-trained encoder left out by least squares, so that it costs less where nothing is lost.

A product that follows a GELU sums what the channels before it say. On sound of `train` the channel is left out whose loss the others make good
best (optimal brain surgeon: what it adds, less what the rest can say in its stead), a sixteenth of the surplus at a time, and the product is
fitted anew to what all channels gave. No label is looked at. Called by `train.begin` for a recipe with `near_kept` or `mlp_kept`; the result is
kept beside the checkpoints, since a run that goes on must go on with the same encoder.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from app.lab.config import FRAME_SAMPLES, Net, Recipe
from app.lab.data import Store
from app.lab.languages import held_back
from app.lab.whisper import EDGE_SAMPLES, LogMel, Whisper

CLIPS, PIECES = 600, 4
"""Clips of `train` that are listened to, pieces of each: about 70,000 tokens."""
ROUNDS, RIDGE = 16, 1e-4


class Moments:
    """Mean and covariance [n, n] of rows, gathered piece by piece."""

    def __init__(self) -> None:
        self.count, self.sum, self.square = 0, 0.0, 0.0

    def add(self, rows: Tensor) -> None:
        rows = rows.flatten(0, -2)
        self.count += len(rows)
        self.sum, self.square = self.sum + rows.sum(0).double(), self.square + (rows.T @ rows).double()

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        mean = self.sum / self.count
        return mean.numpy(), (self.square / self.count - torch.outer(mean, mean)).numpy()


def smaller(net: Net) -> bool:
    return bool(net.near_kept or net.mlp_kept)


def pruned(recipe: Recipe, whole: Whisper, say: Callable[[str], None] = print) -> Whisper:
    """The encoder with the recipe's sizes, from the file or made and put there."""
    net, path = recipe.net, recipe.runs / "pruned.pt"
    made = Whisper(net.width, net.blocks, near=net.near_kept, feed=net.mlp_kept)
    if not path.exists():
        torch.save(leave_out(whole, net.near_kept, net.mlp_kept, list(heard(recipe)), say).state_dict(), path)
    made.load_state_dict(torch.load(path, weights_only=True))
    return made


def heard(recipe: Recipe) -> Iterator[Tensor]:
    """Log-mels [PIECES, 2T + 3, 80] of `CLIPS` clips of `train`, in the pieces that training takes."""
    store, held, spectrum = Store(recipe.cache, "train"), held_back(recipe.data), LogMel()
    free = [index for index, clip in enumerate(store.clips) if clip.path not in held]
    rng = np.random.default_rng(recipe.train.seed)
    size = recipe.net.piece_tokens * FRAME_SAMPLES
    for index in rng.permutation(free)[:CLIPS]:
        audio = torch.from_numpy(np.pad(store[index], (0, size + EDGE_SAMPLES)))
        yield spectrum(audio.unfold(0, size + EDGE_SAMPLES, size)[:PIECES])


@torch.no_grad()
def leave_out(whole: Whisper, near: int, feed: int, mels: list[Tensor], say: Callable[[str], None] = print) -> Whisper:
    """A smaller encoder after `whole`, whose weights it takes over and changes; `near`, `feed`: how many are left, 0: all. `mels` is gone
    through once for each layer."""
    if near:
        seen, out = Moments(), Moments()
        for mel in mels:
            columns = whole.columns(mel)
            seen.add(columns)
            out.add(whole.far(columns))
        groups = np.arange(3 * whole.near.out_features).reshape(3, -1).T
        whole.near, whole.far, lost = shrunk(whole.near, whole.far, groups, near, seen, out)
        say(f"first convolution: {near} of {len(groups)} channels, {lost:.1%} of the variance lost")
    for index, block in enumerate(whole.blocks if feed else ()):
        seen, out = Moments(), Moments()
        for mel in mels:
            tokens = block.attend(whole(mel)[index])
            fed = block.feed(tokens)
            seen.add(fed)
            out.add(tokens + block.down(fed))
        block.up, block.down, lost = shrunk(block.up, block.down, np.arange(block.up.out_features)[:, None], feed, seen, out)
        say(f"block {index + 1}: {feed} of {4 * block.out.out_features} neurons, {lost:.1%} of the variance lost")
    return whole


def shrunk(before: nn.Linear, after: nn.Linear, groups: np.ndarray, kept: int, seen: Moments, out: Moments) -> tuple[nn.Linear, nn.Linear, float]:
    """Both layers with `kept` of the channels between them, and the share of variance lost. `groups` [channels, g]: where each stands among the
    inputs of `after`. An output counts by the spread that it has in `out`."""
    mean, covariance = seen.found()
    spread = np.sqrt(np.diag(out.found()[1])) + 1e-9
    weight = after.weight.double().numpy()
    wanted = (weight / spread[:, None]).T
    chosen = choose(covariance, wanted, groups, kept)
    places = groups[chosen].T.reshape(-1)  # tap by tap, as the smaller layer gives them
    found = fitted(covariance, wanted, places)
    short = wanted.copy()
    short[places] -= found
    lost = np.sum(short * (covariance @ short)) / np.sum(wanted * (covariance @ wanted))
    found = found.T * spread[:, None]
    first = linear(before.weight.numpy()[chosen], before.bias.numpy()[chosen])
    return first, linear(found, after.bias.double().numpy() + weight @ mean - found @ mean[places]), float(lost)


def linear(weight: np.ndarray, bias: np.ndarray) -> nn.Linear:
    made = nn.Linear(weight.shape[1], len(weight))
    made.weight.copy_(torch.from_numpy(weight))
    made.bias.copy_(torch.from_numpy(bias))
    return made


def choose(covariance: np.ndarray, wanted: np.ndarray, groups: np.ndarray, kept: int) -> np.ndarray:
    """The `kept` channels, in order, whose inputs say most of `wanted` [inputs, outputs]."""
    alive = np.arange(len(groups))
    for left in np.linspace(len(alive), kept, ROUNDS + 1).round().astype(int)[1:]:
        places = groups[alive].reshape(-1)
        inverse = np.linalg.inv(regular(covariance, places))
        share = (inverse @ (covariance[places] @ wanted)).reshape(*groups[alive].shape, -1)
        size = groups.shape[1]
        own = inverse.reshape(len(alive), size, len(alive), size)[np.arange(len(alive)), :, np.arange(len(alive))]
        worth = np.sum(share * np.linalg.solve(own, share), axis=(1, 2))
        alive = np.sort(alive[np.argsort(-worth, kind="stable")[:left]])
    return alive


def fitted(covariance: np.ndarray, wanted: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[places, outputs]: what makes of these inputs alone the nearest to `wanted` of all."""
    return np.linalg.solve(regular(covariance, places), covariance[places] @ wanted)


def regular(covariance: np.ndarray, places: np.ndarray) -> np.ndarray:
    part = covariance[np.ix_(places, places)]
    return part + RIDGE * np.trace(part) / len(part) * np.eye(len(part))
