"""The encoder on a residual speaker encoder: reading its file, what a frame is made of, what changes nothing, and its graph."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("scipy")

from app.lab.config import Net, Recipe  # noqa: E402
from app.lab.export import PARITY, compare, write_graphs  # noqa: E402
from app.lab.nets import Detector  # noqa: E402
from app.lab.resnet import BLOCKS, Gram, ResNet, ResNetEncoder, load, sides, size, stage_of  # noqa: E402

NET = Net(family="resnet", piece_tokens=30, left_samples=800, right_samples=1600, head="covariance", head_size=8)
AROUND = NET.left_samples + NET.right_samples


def net_of(taps: tuple[int, ...], groups: tuple[int, ...]) -> Net:
    net = replace(NET, taps=taps, groups=groups)
    return replace(net, embedding_size=size(net))


def sound(frames: int, seed: int = 0) -> torch.Tensor:
    """[1, 800 + 320 frames + 1600]: a voice-like buzz that comes and goes, and noise."""
    rng, samples = np.random.default_rng(seed), AROUND + frames * 320
    time = np.arange(samples) / 16000
    tones = sum(np.sin(2 * np.pi * (110 + 10 * seed) * n * time + rng.uniform(0, 6)) / n for n in range(1, 40))
    return torch.from_numpy((0.1 * tones * (1.2 + np.sin(8 * np.pi * time)) + 0.003 * rng.standard_normal(samples)).astype(np.float32))[None]


@pytest.fixture(scope="module")
def three():
    """A tap in each stage; nobody trained it, but its spreads are of sounds."""
    torch.manual_seed(4)
    model = Detector(net_of((1, 4, 8), (3, 1, 2))).eval()
    model.encoder.settle(torch.cat([sound(25, seed) for seed in range(4)]))
    return model


# --- what a frame is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("block", "groups"), [(1, 1), (3, 3), (4, 1), (7, 3), (8, 1), (13, 3)])
def test_a_frame_holds_the_means_of_products_of_two_channels(block, groups):
    """In plain loops. The bands of the groups are uneven (80, 40 and 20 into three), the columns of 10, 20 and 40 ms."""
    torch.manual_seed(block)
    gram, (before, count) = Gram(block, groups), (3, 4)
    channels, bands = {0: (32, 80), 1: (64, 40), 2: (128, 20)}[gram.stage]
    gram.middle.normal_(std=0.3)
    gram.scale.uniform_(0.5, 1.5)
    if channels == 128:
        gram.turn.copy_(torch.linalg.qr(torch.randn(128, 64)).Q.T)
    columns_of = {0: lambda frame: (2 * frame, 2 * frame + 1), 1: lambda frame: (frame,), 2: lambda frame: (frame // 2,)}[gram.stage]
    maps = torch.randn(2, channels, bands, columns_of(before + count)[-1] + 1)
    cells = ((maps - gram.middle) * gram.scale).double().numpy()
    side = min(channels, 64)
    if channels == 128:
        cells = np.einsum("sc,kcbt->ksbt", gram.turn.double().numpy(), cells)
    edges = [bands * group // groups for group in range(groups + 1)]
    wanted = np.zeros((2, count, groups * side * (side + 1) // 2))
    for clip in range(2):
        for frame in range(count):
            at = 0
            for first, end in pairwise(edges):
                own = np.stack([cells[clip, :, first:end, column] for column in columns_of(before + frame)])
                for one in range(side):
                    for other in range(one, side):
                        wanted[clip, frame, at] = np.mean(own[:, one] * own[:, other])
                        at += 1
    got = gram(maps, before, count)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got.numpy(), wanted, atol=1e-4, rtol=1e-4)


def test_no_cell_counts_for_more_than_eight_deviations():
    gram, maps = Gram(4, 1), torch.zeros(1, 64, 40, 3)
    maps[0, 5, 7, 1] = 1e6
    frames = gram(maps, 0, 3)[0]
    assert float(frames.max()) == pytest.approx(8.0**2 / 40) and int((frames != 0).sum()) == 1


def test_settled_maps_have_no_mean_and_unit_spread():
    torch.manual_seed(2)
    for block, channels, bands in ((2, 32, 80), (5, 64, 40), (9, 128, 20)):
        maps = torch.randn(3, channels, bands, 40) * (0.5 + 3 * torch.rand(channels, bands, 1)) + 5 * torch.randn(channels, bands, 1)
        gram = Gram(block, 1)
        gram.settle(maps)
        cells = (maps - gram.middle) * gram.scale
        assert float(cells.mean((0, 3)).abs().max()) < 1e-4
        torch.testing.assert_close(cells.std((0, 3)), torch.ones(channels, bands), atol=5e-3, rtol=0)


def test_of_a_wide_map_the_strongest_directions_stay():
    torch.manual_seed(2)
    gram, mixed = Gram(9, 1), torch.randn(128, 128) * torch.logspace(0, -2, 128)
    maps = torch.einsum("cd,kdbt->kcbt", mixed, torch.randn(3, 128, 20, 40))
    gram.settle(maps)
    torch.testing.assert_close(gram.turn @ gram.turn.T, torch.eye(64), atol=1e-5, rtol=0)
    rows = ((maps - gram.middle) * gram.scale).clamp(-8, 8).transpose(0, 1).flatten(1).double()
    values = torch.linalg.eigvalsh(rows @ rows.T)
    kept = (gram.turn.double() @ rows).square().sum()
    assert float(kept / values[-64:].sum()) == pytest.approx(1, abs=1e-5)


def test_a_map_that_never_changes_makes_no_noise():
    gram = Gram(1, 1)
    gram.settle(torch.full((2, 32, 80, 20), 3.0))
    assert float(gram(torch.full((1, 32, 80, 20), 3.0), 0, 10).abs().max()) == 0


# --- sizes --------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 13), st.integers(1, 4)), min_size=1, max_size=4, unique_by=lambda tap: tap[0]))
@settings(max_examples=30, deadline=None)
def test_a_frame_is_as_long_as_said(chosen):
    taps, groups = zip(*sorted(chosen), strict=True)
    net = replace(NET, taps=taps, groups=groups)
    made = 0
    for block, count in zip(taps, groups, strict=True):
        stage = stage_of(block)
        made += Gram(block, count)(torch.zeros(1, 32 << stage, 80 >> stage, 8 >> stage), 0, 4).shape[-1]
    assert made == size(net) and len(sides(net)) == sum(groups)


def test_the_encoder_gives_what_size_says(three):
    assert three.net.embedding_size == 3 * 528 + 2080 + 2 * 2080
    with torch.no_grad():
        for count in (25, 26, 50):
            frames, speech = three.encoder(sound(count))
            assert frames.shape == (1, count, three.net.embedding_size) and speech.shape == (1, count)


def test_blocks_are_counted_from_one_and_end_with_the_third_stage():
    assert [stage_of(block) for block in range(1, 14)] == [0] * 3 + [1] * 4 + [2] * 6
    with pytest.raises(ValueError, match="there are 13 blocks, not 14"):
        stage_of(sum(BLOCKS) + 1)


@pytest.mark.parametrize("taps", [(), (3, 1), (2, 2), (0, 1)], ids=["none", "falling", "twice", "nought"])
def test_taps_must_rise_from_one(taps):
    with pytest.raises(ValueError, match="counted from 1, in their order"):
        ResNet(taps)


def test_what_does_not_suit_is_refused():
    with pytest.raises(ValueError, match="not 14"):
        ResNet((3, 14))
    with pytest.raises(ValueError, match="embedding_size 528"):
        Detector(replace(net_of((1,), (1,)), embedding_size=96))
    with pytest.raises(ValueError, match="shorter"):
        size(replace(NET, taps=(1, 4), groups=(1,)))
    for wrong in (replace(net_of((1,), (1,)), head="attention"), Net(head="covariance")):
        with pytest.raises(ValueError, match="covariance head"):
            Detector(wrong)


# --- audio in, frames out -----------------------------------------------------------------------------------


def test_frames_of_a_piece_are_those_of_a_longer_one_but_at_its_edges(three):
    """Of the same bank: a map has noughts for neighbours at a piece's edges, which reach 15 frames inwards through eight blocks."""
    torch.manual_seed(6)
    bank, (begin, end), edge = torch.randn(1, 80, 2 * 80), (8, 72), 15
    with torch.no_grad():
        whole, part = three.encoder.embed(bank)[0], three.encoder.embed(bank[..., 2 * begin : 2 * end])[0]
    first = three.encoder.before  # what comes out begins after the context
    inner, same = part[:, edge - first : end - begin - edge - first], whole[:, begin + edge - first : end - edge - first]
    torch.testing.assert_close(inner, same, atol=1e-4, rtol=1e-4)
    assert float((part[:, 0] - whole[:, begin]).abs().max()) > 1e-2


def test_a_stream_is_cut_as_training_cuts(three):
    """Two hops: what each gives alone is what training makes of the whole in pieces."""
    encoder, audio = three.encoder, sound(50)
    with torch.no_grad():
        hops = [encoder(audio[:, begin : begin + AROUND + 25 * 320]) for begin in (0, 25 * 320)]
        whole, speech = encoder.embed(encoder.spectrum(encoder.cut(audio)), 1)
    torch.testing.assert_close(torch.cat([frames for frames, _ in hops], 1), whole, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.cat([logit for _, logit in hops], 1), speech, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("change", [lambda x: x * 0.05, lambda x: x * 3, lambda x: -x, lambda x: x + 0.2], ids=["-26 dB", "+10 dB", "polarity", "DC"])
def test_level_polarity_and_a_constant_change_nothing(three, change):
    audio = sound(25)
    with torch.no_grad():
        as_is, changed = three.encoder(audio)[0], three.encoder(change(audio))[0]
    assert float((as_is - changed).norm()) < 2e-2 * float((as_is - as_is.mean(1)).norm())


def test_silence_gives_finite_frames(three):
    with torch.no_grad():
        frames, speech = three.encoder(torch.zeros(1, AROUND + 25 * 320))
    assert torch.isfinite(frames).all() and torch.isfinite(speech).all()


@pytest.mark.parametrize("frame", [3, 12, 21])
def test_a_frame_is_of_the_sound_at_its_place(frame):
    """A click in the middle of a frame changes what the first block says of that frame most."""
    torch.manual_seed(4)
    encoder, audio = ResNetEncoder(net_of((1,), (1,))).eval(), sound(25)
    clicked = audio.clone()
    clicked[0, NET.left_samples + 320 * frame + 160] += 0.3
    with torch.no_grad():
        moved = (encoder(clicked)[0] - encoder(audio)[0])[0].abs().sum(-1)
    assert int(moved.argmax()) == frame


def test_the_speech_output_hears_averages_its_context_and_its_piece(three):
    """Layer by layer, the norm by its own module; what is served has the norm folded in."""
    encoder = ResNetEncoder(three.net).eval()
    part, maps = encoder.speech, torch.randn(3, 32, 80, 60)
    part.norm.running_mean.normal_()
    part.norm.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        columns = maps.reshape(3, 32, 20, 4, 30, 2).mean((3, 5)).permute(0, 3, 1, 2).reshape(3, 30, 640)
        torch.testing.assert_close(part.columns(maps), columns, atol=1e-5, rtol=1e-5)
        hidden = torch.relu(part.first(part.norm(columns.flatten(0, 1)))).reshape(3, 30, 32)
        near = torch.relu(torch.stack([part.near(hidden[:, at : at + 6].transpose(1, 2))[..., 0] for at in range(25)], dim=1))
        joined = torch.cat([near, near.mean(1, keepdim=True).expand_as(near)], dim=-1)
        wanted = part.last(torch.relu(part.joined(joined.transpose(1, 2)))).squeeze(1)
        torch.testing.assert_close(part(maps), wanted, atol=1e-4, rtol=1e-4)


def test_what_speech_is_taught_on_is_what_it_hears(three):
    """The columns of a clip's pieces, judged, are the encoder's own speech output, but for the digits of bfloat16."""
    encoder, audio = ResNetEncoder(three.net).eval(), sound(60)
    with torch.no_grad():
        taught = encoder.speech.judge(encoder.speech_columns(audio)).reshape(1, -1)[:, :60]
        bank = encoder.spectrum(encoder.cut(torch.nn.functional.pad(audio, (0, 320 * encoder.missing(60)))))
        torch.testing.assert_close(taught, encoder.embed(bank, 1)[1][:, :60], atol=0.05, rtol=0.05)


def test_speech_needs_a_tap_in_the_first_two_stages():
    with pytest.raises(ValueError, match="first tap"):
        ResNetEncoder(net_of((10,), (1,)))


# --- files --------------------------------------------------------------------------------------------------


class Unpooled(torch.nn.Module):
    """The order of its convolutions in the package's graph: first, what goes past, second; and some of what comes after."""

    def __init__(self, net):
        super().__init__()
        self.net, self.last = net, torch.nn.Conv2d(64, 4, 3)

    def forward(self, bank):
        maps = torch.relu(self.net.begin(bank.unsqueeze(1)))
        for block in self.net.maps:
            first, past = block.first(maps), block.past(maps)
            maps = torch.relu(block.second(torch.relu(first)) + past)
        return self.last(maps)


def test_the_file_is_read_in_its_order_and_another_is_refused(tmp_path):
    torch.manual_seed(1)
    whole, bank = ResNet((5,)).eval(), torch.randn(1, 80, 40)
    torch.onnx.export(Unpooled(whole), (bank,), str(tmp_path / "net.onnx"), opset_version=17, dynamo=False)
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path / "net.onnx", (5,))(bank), whole(bank), atol=1e-5, rtol=1e-5)
        lower, upper = load(tmp_path / "net.onnx", (2, 5))(bank)
        assert lower.shape == (1, 32, 80, 40) and torch.equal(upper, load(tmp_path / "net.onnx", (5,))(bank)[0])
    with pytest.raises(ValueError, match=r"not a ResNet34: \(4, 64, 3, 3\) stands where \(64, 64, 3, 3\) should"):
        load(tmp_path / "net.onnx", (6,))
    torch.onnx.export(torch.nn.Conv2d(1, 32, 3, padding=1), (bank[None],), str(tmp_path / "other.onnx"), opset_version=17, dynamo=False)
    with pytest.raises(ValueError, match="not a ResNet34: nothing stands"):
        load(tmp_path / "other.onnx", (1,))


def test_the_graphs_say_what_torch_says(three, tmp_path):
    """Frames, speech and llr, over several lengths and batches: both files have batch and time free."""
    write_graphs(three, Recipe(net=three.net), tmp_path)
    assert compare(three, Recipe(net=three.net), tmp_path) < PARITY
