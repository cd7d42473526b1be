"""Clip scores from frames, by the product's window rule: a window ends at 1 s + k * 0.5 s and is at most 4 s long.

A scorer is anything that gives frames and speech of audio, and llrs of frames under a mask: the torch net while training, the
exported ONNX files afterwards.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from app.lab.config import FRAME_SAMPLES, Net
from app.lab.nets import Detector

SECOND = 50
"""Frames."""
WINDOW, FIRST, HOP, MIN_SPEECH = 4 * SECOND, SECOND, SECOND // 2, SECOND // 2


class FrameScorer(Protocol):
    left_samples: int
    right_samples: int

    def encode(self, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[B, L + 320 n + R] -> frames [B, n, D], speech probability [B, n]."""

    def judge(self, frames: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """[B, T, D], [B, T] -> llr [B]."""


class TorchScorer:
    """A net being trained. A still encoder works in the pieces its head learns from (`in_pieces`), not in the server's: quicker, and close."""

    def __init__(self, model: Detector, net: Net, device: str = "cpu"):
        self.model, self.device = model.eval(), device
        self.left_samples, self.right_samples = net.left_samples, net.right_samples
        self.in_pieces = net.still

    @torch.no_grad()
    def encode(self, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        encoder, clips = self.model.encoder, torch.from_numpy(audio).to(self.device)
        if not self.in_pieces:
            frames, logit = encoder(clips)
            return frames.cpu().numpy(), torch.sigmoid(logit).cpu().numpy()
        count = (audio.shape[1] - self.left_samples - self.right_samples) // FRAME_SAMPLES
        spectrum = encoder.banks(clips)
        with torch.autocast(self.device, torch.bfloat16):
            frames, logit = encoder.embed(spectrum, len(clips))
        return frames[:, :count].float().cpu().numpy(), torch.sigmoid(logit[:, :count].float()).cpu().numpy()

    @torch.no_grad()
    def judge(self, frames: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return self.model.head(torch.from_numpy(frames).to(self.device), torch.from_numpy(mask).to(self.device)).cpu().numpy()


class OnnxScorer:
    """The exported pair of files, on one thread. `hopwise`: clips are encoded one by one, hop by hop, since how a stream is cut tells."""

    def __init__(self, folder: Path, left_samples: int, right_samples: int, hopwise: bool = False, threads: int = 1):
        import onnxruntime

        self.hopwise = hopwise
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.encoder = onnxruntime.InferenceSession(folder / "encoder.onnx", options, providers=["CPUExecutionProvider"])
        self.head = onnxruntime.InferenceSession(folder / "head.onnx", options, providers=["CPUExecutionProvider"])
        self.left_samples, self.right_samples = left_samples, right_samples

    def encode(self, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self.hopwise:
            return tuple(self.encoder.run(["frames", "speech"], {"audio": audio}))
        count = (audio.shape[1] - self.left_samples - self.right_samples) // FRAME_SAMPLES
        bounds = [0, *(end - self.right_samples // FRAME_SAMPLES for end in range(FIRST, count + 1, HOP)), count]
        around = self.left_samples + self.right_samples
        rows = []
        for row in audio:
            pieces = [row[None, a * FRAME_SAMPLES : b * FRAME_SAMPLES + around] for a, b in pairwise(bounds) if b > a]
            made = [self.encoder.run(["frames", "speech"], {"audio": piece}) for piece in pieces]
            rows.append([np.concatenate(parts, axis=1)[0] for parts in zip(*made, strict=True)])
        return np.stack([frames for frames, _ in rows]), np.stack([speech for _, speech in rows])

    def judge(self, frames: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return self.head.run(["llr"], {"frames": frames, "mask": mask})[0]


@dataclass(frozen=True)
class ClipScore:
    """`llr` is NaN without speech. `windows` holds, for each window with enough speech: the frame after
    its last, its llr, its speech frames, and those of them that no window had before."""

    llr: float
    speech_frames: int
    frames: int
    windows: tuple[tuple[int, float, int, int], ...]
    speech: np.ndarray


def window_spans(samples: int, right_samples: int) -> list[tuple[int, int, int]]:
    """(first frame pooled, frame after the last, that of the window before) of each window, as the server cuts them.

    A window that ends at sample e pools the frames whose right context has arrived by then; the last one, which is there only if
    samples are left behind the window before, pools all whole frames.
    """
    ends = list(range(FIRST, samples // FRAME_SAMPLES + 1, HOP))
    spans, before = [], 0
    for end in ends:
        spans.append((max(0, end - WINDOW), end - right_samples // FRAME_SAMPLES, before))
        before = spans[-1][1]
    if not ends or samples > ends[-1] * FRAME_SAMPLES:
        start = -(-max(0, samples - WINDOW * FRAME_SAMPLES) // FRAME_SAMPLES)
        spans.append((start, samples // FRAME_SAMPLES, before))
    return spans


def score_clips(scorer: FrameScorer, clips: Iterable[np.ndarray], threshold: float = 0.5, batch: int = 16) -> Iterator[ClipScore]:
    """One score a clip, in order: the mean of its windows' llrs, each weighted by the speech in the part it newly covers."""
    for group in _groups(clips, 1 if getattr(scorer, "hopwise", False) else batch):
        counts = [-(-len(clip) // FRAME_SAMPLES) for clip in group]
        audio = np.zeros((len(group), scorer.left_samples + max(counts) * FRAME_SAMPLES + scorer.right_samples), np.float32)
        for row, clip in zip(audio, group, strict=True):
            row[scorer.left_samples : scorer.left_samples + len(clip)] = clip
        frames, speech = scorer.encode(audio)
        for row, clip in enumerate(group):
            yield score_frames(scorer, frames[row], speech[row], len(clip), threshold)


def score_frames(scorer: FrameScorer, frames: np.ndarray, speech: np.ndarray, samples: int, threshold: float = 0.5) -> ClipScore:
    """The window rule over the frames of one clip of `samples` samples."""
    active = speech > threshold
    count = samples // FRAME_SAMPLES
    spans = []
    for first, stop, before in window_spans(samples, scorer.right_samples):
        if active[first:stop].sum() >= MIN_SPEECH:
            spans.append((first, stop, int(active[before:stop].sum())))
    if not spans:
        return ClipScore(float("nan"), int(active[:count].sum()), count, (), speech[:count])
    stacked = np.zeros((len(spans), WINDOW, frames.shape[1]), np.float32)
    mask = np.zeros((len(spans), WINDOW), np.float32)
    for row, (first, stop, _) in enumerate(spans):
        stacked[row, : stop - first] = frames[first:stop]
        mask[row, : stop - first] = active[first:stop]
    llrs = scorer.judge(stacked, mask)
    weights = np.array([new for *_, new in spans], float)
    weights = weights if weights.sum() > 0 else np.ones(len(spans))
    windows = tuple((stop, float(llr), int(active[first:stop].sum()), new) for (first, stop, new), llr in zip(spans, llrs, strict=True))
    return ClipScore(float((weights * llrs).sum() / weights.sum()), int(active[:count].sum()), count, windows, speech[:count])


def _groups(clips: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    group = []
    for clip in clips:
        group.append(clip)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
