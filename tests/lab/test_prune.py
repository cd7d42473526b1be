"""Channels left out by least squares: what the others can say costs nothing, and the recipe's encoder and head come out in the sizes it asks for."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from app.lab import frozen, prune  # noqa: E402
from app.lab.nets import Detector  # noqa: E402
from app.lab.train import load_average  # noqa: E402
from app.lab.whisper import Whisper  # noqa: E402
from tests.lab.test_whisper import NET, still  # noqa: E402, F401


def whole(width: int = 64, blocks: int = 2) -> Whisper:
    torch.manual_seed(11)
    made = Whisper(width, blocks)
    for part in made.parameters():
        torch.nn.init.normal_(part, std=0.1)
    return made.eval()


def mels(count: int = 12) -> list:
    torch.manual_seed(12)
    return [torch.randn(4, 2 * 30 + 3, 80) * torch.rand(80) for _ in range(count)]


@torch.no_grad()
def test_what_the_others_can_say_is_left_out_and_nothing_is_lost(monkeypatch):
    monkeypatch.setattr(prune, "ROUNDS", 128)  # one at a time: of two that say the same, both may go at once
    model, heard = whole(), mels()
    for block in model.blocks:  # every second neuron says what the one before it says, louder
        block.up.weight[1::2], block.up.bias[1::2] = block.up.weight[::2], block.up.bias[::2]
        block.down.weight[:, 1::2] *= 3
    before = model(heard[0])
    after = prune.leave_out(model, 0, 128, heard, lambda _: None)(heard[0])
    assert [block.up.out_features for block in model.blocks] == [128, 128]
    assert float((after[2] - before[2]).std()) < 0.03 * float(before[2].std())


@torch.no_grad()
def test_channels_of_the_first_convolution_are_left_out_with_all_three_taps(monkeypatch):
    monkeypatch.setattr(prune, "ROUNDS", 32)
    model, heard = whole(blocks=1), mels()
    model.near.weight[32:], model.near.bias[32:] = model.near.weight[:32], model.near.bias[:32]
    before = model(heard[0])[0]
    prune.leave_out(model, 32, 0, heard, lambda _: None)
    assert (model.near.out_features, model.far.in_features) == (32, 96)
    assert float((model(heard[0])[0] - before).std()) < 0.03 * float(before.std())


def test_the_least_is_lost_where_it_can_be_chosen():
    """Against channels drawn at random: what is left out is what matters least."""
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((4000, 8)) @ rng.standard_normal((8, 40)) + 0.3 * rng.standard_normal((4000, 40))
    covariance, wanted, groups = np.cov(rows.T), rng.standard_normal((40, 5)), np.arange(40)[:, None]

    def lost(places: np.ndarray) -> float:
        short = wanted.copy()
        short[places] -= prune.fitted(covariance, wanted, places)
        return float(np.sum(short * (covariance @ short)))

    drawn = [lost(np.sort(rng.permutation(40)[:12])) for _ in range(20)]
    assert lost(prune.choose(covariance, wanted, groups, 12)) < min(drawn)


def test_a_recipe_gets_the_sizes_it_asks_for_and_goes_on_with_the_same_encoder(still):  # noqa: F811
    net = replace(still.net, near_kept=32, mlp_kept=64)
    recipe = replace(still, net=net)
    encoder = prune.pruned(recipe, whole(), lambda _: None)
    again = prune.pruned(recipe, whole(), lambda _: pytest.fail("the file is there"))
    assert all(torch.equal(a, b) for a, b in zip(encoder.state_dict().values(), again.state_dict().values(), strict=True))
    model = Detector(net)
    model.encoder.whisper = encoder
    made, _, _ = load_average(frozen.train_head(recipe, model, lambda _: None))
    assert [block.up.out_features for block in made.encoder.whisper.blocks] == [64, 64]
    audio = torch.randn(1, NET.left_samples + 25 * 320 + NET.right_samples) * 0.1
    with torch.no_grad():
        torch.testing.assert_close(made.encoder(audio)[0], model.encoder(audio)[0])
