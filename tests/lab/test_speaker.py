"""The encoder on a speaker encoder's first stages: its filter bank against a plain Fourier transform, its folding of batch norms, its pieces."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from app.lab.config import Net  # noqa: E402
from app.lab.nets import Detector  # noqa: E402
from app.lab.speaker import GROWTH, INNER, LAYERS, WIDTH, FilterBank, Speaker, load, mel_bands  # noqa: E402

NET = Net(family="speaker", piece_tokens=30, left_samples=800, right_samples=1600, embedding_size=576, head="statistics", head_size=8)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(4)
    return Detector(NET).eval()


def sound(samples: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / 16000
    tones = sum(np.sin(2 * np.pi * 130 * n * time + rng.uniform(0, 6)) / n for n in range(1, 40))
    return torch.from_numpy((0.1 * tones + 0.003 * rng.standard_normal(samples)).astype(np.float32))[None]


def test_filter_bank_is_a_fourier_transform_in_mel_bands():
    audio = sound(320 * 30 + 240)
    windows = audio.double().unfold(1, 400, 160)
    windows = windows - windows.mean(-1, keepdim=True)
    windows = torch.cat([windows[..., :1] * 0.03, windows[..., 1:] - 0.97 * windows[..., :-1]], -1)
    power = torch.fft.rfft(windows * torch.hann_window(400, periodic=False, dtype=torch.float64) ** 0.85, 512).abs() ** 2
    bank = torch.log((power @ mel_bands()).clamp(min=1e-12))
    bank = (bank - bank.amax((1, 2), keepdim=True)).clamp(min=-18.4)
    bank = (bank - bank.mean(1, keepdim=True)).transpose(1, 2).float()
    got = FilterBank()(audio)
    assert got.shape == (1, 80, 60)
    torch.testing.assert_close(got, bank, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("change", [lambda x: x * 0.05, lambda x: x * 3, lambda x: -x, lambda x: x + 0.2], ids=["-26 dB", "+10 dB", "polarity", "DC"])
def test_level_polarity_and_a_constant_change_nothing(model, change):
    audio = sound(800 + 25 * 320 + 1600)
    with torch.no_grad():
        as_is, changed = model.encoder(audio)[0], model.encoder(change(audio))[0]
    assert as_is.shape == (1, 25, 576)
    assert float((as_is - changed).abs().max()) < 2e-2 * float(as_is.abs().max())


def test_silence_gives_finite_frames(model):
    with torch.no_grad():
        assert torch.isfinite(model.encoder(torch.zeros(1, 800 + 25 * 320 + 1600))[0]).all()


def test_pieces_of_a_clip_are_those_of_a_stream(model):
    """25 frames with their context are one piece of training, and give the same frames."""
    audio = sound(800 + 25 * 320 + 1600)
    with torch.no_grad():
        streamed = model.encoder(audio)[0]
        cut = model.encoder.embed(model.encoder.spectrum(model.encoder.cut(audio)), 1)[0]
    torch.testing.assert_close(streamed, cut, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("frame", [3, 12, 21])
def test_a_frame_is_of_the_sound_at_its_place(model, frame):
    """A click in the middle of a frame changes that frame's maps most (the last 320 numbers; the layers after them look about)."""
    audio = sound(800 + 25 * 320 + 1600)
    clicked = audio.clone()
    clicked[0, 800 + 320 * frame + 160] += 0.3
    with torch.no_grad():
        moved = (model.encoder(clicked)[0] - model.encoder(audio)[0])[0, :, 256:].abs().sum(-1)
    assert int(moved.argmax()) == frame


def test_batch_norms_are_folded_into_their_neighbours(tmp_path):
    """Weights under the package's names, with norms that do something: the net must do what convolution and norm do one after the other."""
    torch.manual_seed(1)
    given: dict[str, torch.Tensor] = {}

    def norm(at: str, size: int) -> None:
        given[f"{at}.weight"], given[f"{at}.bias"] = torch.rand(size) + 0.5, torch.randn(size) * 0.1
        given[f"{at}.running_mean"], given[f"{at}.running_var"] = torch.randn(size) * 0.1, torch.rand(size) + 0.5

    def conv(at: str, *shape: int, bias: bool = False) -> None:
        given[f"{at}.weight"] = torch.randn(*shape) / np.sqrt(np.prod(shape[1:]))
        if bias:
            given[f"{at}.bias"] = torch.randn(shape[0]) * 0.1

    def normed(at: str, rows: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.batch_norm(rows, *(given[f"{at}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")))

    conv("head.conv1", 32, 1, 3, 3)
    norm("head.bn1", 32)
    for at in ("layer1.0", "layer1.1", "layer2.0", "layer2.1"):
        for k in (1, 2):
            conv(f"head.{at}.conv{k}", 32, 32, 3, 3)
            norm(f"head.{at}.bn{k}", 32)
        if at.endswith("0"):
            conv(f"head.{at}.shortcut.0", 32, 32, 1, 1)
            norm(f"head.{at}.shortcut.1", 32)
    conv("head.conv2", 32, 32, 3, 3)
    norm("head.bn2", 32)
    conv("xvector.tdnn.linear", WIDTH, 320, 5)
    norm("xvector.tdnn.nonlinear.batchnorm", WIDTH)
    for k in range(LAYERS):
        at = f"xvector.block1.tdnnd{k + 1}"
        norm(f"{at}.nonlinear1.batchnorm", WIDTH + k * GROWTH)
        conv(f"{at}.linear1", INNER, WIDTH + k * GROWTH, 1)
        norm(f"{at}.nonlinear2.batchnorm", INNER)
        conv(f"{at}.cam_layer.linear_local", GROWTH, INNER, 3)
        conv(f"{at}.cam_layer.linear1", INNER // 2, INNER, 1, bias=True)
        conv(f"{at}.cam_layer.linear2", GROWTH, INNER // 2, 1, bias=True)
    norm("xvector.transit1.nonlinear.batchnorm", WIDTH + LAYERS * GROWTH)
    conv("xvector.transit1.linear", 256, WIDTH + LAYERS * GROWTH, 1)
    torch.save(given, tmp_path / "campplus_cn_common.bin")
    made = load(tmp_path / "campplus_cn_common.bin").eval()
    bank = torch.randn(2, 80, 20)
    first = torch.relu(normed("head.bn1", torch.nn.functional.conv2d(bank[:, None], given["head.conv1.weight"], padding=1)))
    torch.testing.assert_close(torch.relu(made.begin(bank[:, None])), first, atol=1e-4, rtol=1e-4)
    inner = torch.relu(normed("head.layer1.0.bn1", torch.nn.functional.conv2d(first, given["head.layer1.0.conv1.weight"], stride=(2, 1), padding=1)))
    inner = normed("head.layer1.0.bn2", torch.nn.functional.conv2d(inner, given["head.layer1.0.conv2.weight"], padding=1))
    past = normed("head.layer1.0.shortcut.1", torch.nn.functional.conv2d(first, given["head.layer1.0.shortcut.0.weight"], stride=(2, 1)))
    torch.testing.assert_close(made.maps[0](first), torch.relu(inner + past), atol=1e-4, rtol=1e-4)
    columns, at = torch.randn(2, WIDTH, 10), "xvector.block1.tdnnd1"
    narrow = torch.nn.functional.conv1d(torch.relu(normed(f"{at}.nonlinear1.batchnorm", columns)), given[f"{at}.linear1.weight"])
    narrow = torch.relu(normed(f"{at}.nonlinear2.batchnorm", narrow))
    about = narrow.mean(-1, keepdim=True) + torch.nn.functional.avg_pool1d(narrow, 100, 100, ceil_mode=True)
    about = torch.relu(torch.nn.functional.conv1d(about, given[f"{at}.cam_layer.linear1.weight"], given[f"{at}.cam_layer.linear1.bias"]))
    gate = torch.sigmoid(torch.nn.functional.conv1d(about, given[f"{at}.cam_layer.linear2.weight"], given[f"{at}.cam_layer.linear2.bias"]))
    local = torch.nn.functional.conv1d(narrow, given[f"{at}.cam_layer.linear_local.weight"], padding=1)
    torch.testing.assert_close(made.layers[0](columns), local * gate, atol=1e-4, rtol=1e-4)
    assert made(bank).shape == (2, 10, 576)


def test_another_nets_weights_are_an_error(tmp_path):
    torch.save(Speaker().state_dict(), tmp_path / "other.bin")
    with pytest.raises(KeyError):
        load(tmp_path / "other.bin")


def test_sizes_must_add_up():
    with pytest.raises(ValueError, match="embedding_size 576"):
        Detector(replace(NET, embedding_size=256))
    with pytest.raises(ValueError, match="800 more than whole frames"):
        Detector(replace(NET, left_samples=700))
