"""The encoder on a residual speaker encoder: reading its file, its columns, its pieces."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from app.lab.config import Net  # noqa: E402
from app.lab.nets import Detector  # noqa: E402
from app.lab.resnet import SIZE, ResNet, load  # noqa: E402

NET = Net(
    family="resnet", blocks=8, piece_tokens=30, left_samples=800, right_samples=1600, embedding_size=SIZE, head="statistics", head_size=8
)  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    torch.manual_seed(4)
    return ResNet(blocks=8).eval()


def test_frames_are_20_ms_with_an_odd_number_too(whole):
    with torch.no_grad():
        for columns in (50, 60, 62):
            assert whole(torch.randn(2, 80, columns)).shape == (2, columns // 2, SIZE)


def test_half_of_the_speech_and_all_sizes_are_checked():
    with pytest.raises(ValueError, match="embedding_size"):
        Detector(replace(NET, embedding_size=100))
    with pytest.raises(ValueError, match="blocks"):
        Detector(replace(NET, blocks=7))


def test_a_stream_is_cut_as_training_cuts(tmp_path):
    """Two hops: what each gives alone is what training makes of the whole in pieces."""
    model, around = Detector(NET).eval(), NET.left_samples + NET.right_samples
    audio = torch.randn(1, around + 50 * 320) * 0.1
    with torch.no_grad():
        hops = [model.encoder(audio[:, begin : begin + around + 25 * 320]) for begin in (0, 25 * 320)]
        whole, speech = model.encoder.embed(model.encoder.spectrum(model.encoder.cut(audio)), 1)
    assert model.encoder.missing(50) == 0 and model.encoder.missing(51) == 24
    torch.testing.assert_close(torch.cat([frames for frames, _ in hops], 1), whole, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.cat([logit for _, logit in hops], 1), speech, atol=1e-4, rtol=1e-4)


def test_the_norm_before_the_speech_output_is_folded_in():
    encoder = Detector(NET).encoder.eval()
    norm = encoder.speech[0]
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    frames = torch.randn(2, 25, SIZE)
    with torch.no_grad():
        wanted = encoder.speech(frames.flatten(0, 1)).reshape(2, 25)
        torch.testing.assert_close(encoder.speech_logit(frames), wanted, atol=1e-4, rtol=1e-4)


def test_the_file_is_read_in_its_order_and_another_is_refused(tmp_path, whole):
    wrapped = torch.nn.Sequential(Unpooled(whole))
    torch.onnx.export(wrapped, (torch.randn(1, 80, 20),), str(tmp_path / "net.onnx"), opset_version=17, dynamo=False)
    read = load(tmp_path / "net.onnx", 8).eval()
    bank = torch.randn(1, 80, 40)
    with torch.no_grad():
        torch.testing.assert_close(read(bank), whole(bank), atol=1e-5, rtol=1e-5)
    torch.onnx.export(torch.nn.Conv2d(1, 8, 3), (torch.randn(1, 1, 80, 20),), str(tmp_path / "other.onnx"), opset_version=17, dynamo=False)
    with pytest.raises(ValueError, match="not a ResNet34"):
        load(tmp_path / "other.onnx", 8)


class Unpooled(torch.nn.Module):
    """The order of its convolutions in a graph: first, what goes past, second."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, bank):
        maps = torch.relu(self.net.begin(bank.unsqueeze(1)))
        for stage in self.net.maps:
            for block in stage:
                first, past = block.first(maps), block.past(maps)
                maps = torch.relu(block.second(torch.relu(first)) + past)
        return maps
