"""What a second of audio costs when it streams: multiplications counted from the layers, and time measured in onnxruntime.

A stream asks every 0.5 s for 25 new frames, which needs L + 0.5 s + R of audio through the encoder, and 200 frames through the head.
"""

import platform
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from app.lab.config import FRAME_SAMPLES, RATE, Net
from app.lab.nets import COLUMN_SAMPLES, Detector
from app.lab.windows import HOP, WINDOW, OnnxScorer


def measure(scorer: OnnxScorer, size: int, rounds: int = 200) -> dict:
    """Milliseconds of one thread a second of audio (median and least of `rounds`), beside a matrix product timed on the same thread."""
    rng = np.random.default_rng(0)
    audio = rng.standard_normal((1, scorer.left_samples + HOP * FRAME_SAMPLES + scorer.right_samples), np.float32) * 0.1
    frames, mask = rng.standard_normal((1, WINDOW, size), np.float32), np.ones((1, WINDOW), np.float32)
    encoder, head = _times(lambda: scorer.encode(audio), rounds), _times(lambda: scorer.judge(frames, mask), rounds)
    product = _product_ms()
    a_second = 2 * (np.median(encoder) + np.median(head))
    return {
        "ms_per_audio_second": round(float(a_second), 3),
        "ms_per_audio_second_least": round(float(2 * (encoder.min() + head.min())), 3),
        "encoder_ms_per_hop": round(float(np.median(encoder)), 3),
        "head_ms_per_hop": round(float(np.median(head)), 3),
        "matmul_512_ms": round(product, 3),
        "audio_second_in_matmul_512": round(float(a_second / product), 2),
        "what": "onnxruntime, 1 thread, hop 0.5 s, context overlap included; matmul_512 = 512 x 512 x 512 float32, torch, 1 thread, same machine",
        "machine": f"{platform.processor() or platform.machine()}, shared with other work while measured",
    }


def multiplications(net: Net) -> float:
    """Millions of multiply-accumulates a second of streamed audio, overlap included."""
    model = Detector(net).eval()
    total = 0

    def count(module: nn.Module, _, out: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Linear):
            total += out.numel() * module.in_features
        else:
            total += out.numel() * module.weight[0].numel()

    for module in [*model.encoder.modules(), *model.head.modules()]:
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            module.register_forward_hook(count)
    samples = net.left_samples + HOP * FRAME_SAMPLES + net.right_samples
    with torch.no_grad():
        model.encoder(torch.zeros(1, samples))
        model.head(torch.zeros(1, WINDOW, net.embedding_size), torch.ones(1, WINDOW))
    columns = samples // COLUMN_SAMPLES - 2
    total += columns * net.frequency_bins * 3 * COLUMN_SAMPLES  # two products with the folded half of the window
    return round(total * RATE / (HOP * FRAME_SAMPLES) / 1e6, 1)


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of each graph."""
    return {name: (folder / name).stat().st_size for name in ("encoder.onnx", "head.onnx")}


def _times(act, rounds: int) -> np.ndarray:
    for _ in range(20):
        act()
    times = np.empty(rounds)
    for index in range(rounds):
        start = time.perf_counter()
        act()
        times[index] = (time.perf_counter() - start) * 1000
    return times


def _product_ms() -> float:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    a, b = torch.randn(512, 512), torch.randn(512, 512)
    try:
        return float(np.median(_times(lambda: a @ b, 100)))
    finally:
        torch.set_num_threads(threads)
