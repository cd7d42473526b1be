"""Windows -> `Scored`, with onnxruntime. Two adapters, one per kind of card; both are called by `batch`, on its worker threads.

A scorer may be called from several threads at once, but the windows of one channel always come in order and never twice at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from app.core.errors import CardMismatch
from app.core.pcm import Samples
from app.core.ring import FrameMemory, Overwritten
from app.core.windows import Scored, Window
from app.scoring.card import Card, Frames, WholeWindow

Floats = npt.NDArray[np.float32]

ENERGY_FLOOR_DB = 35.0  # the energy gate of whole-window classifiers: a frame counts as speech within this range under the window's peak
ENERGY_MIN_DBFS = -60.0  # and above this level
GATE_MS = 20


class Scorer(Protocol):
    """What the batcher needs: scores for windows, in their order. Raises whatever the runtime raises; the batcher hands it to every waiter."""

    def score(self, windows: Sequence[Window]) -> list[Scored]: ...


def open_graph(file: str, content: bytes) -> ort.InferenceSession:
    """One inference session, one thread: parallel work comes from batches and workers, not from inside a graph. CardMismatch if unreadable."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # shapes vary from batch to batch; patterns would be kept for each
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # onnxruntime raises a dozen private classes; at load time each means the same
        raise CardMismatch(f"{file} cannot be opened by onnxruntime: {str(exc).splitlines()[0]}.") from None


def _require(graph: ort.InferenceSession, file: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    for kind, wanted, have in (("input", inputs, graph.get_inputs()), ("output", outputs, graph.get_outputs())):
        names = [node.name for node in have]
        for name in wanted:
            if name not in names:
                raise CardMismatch(f"{file} has no {kind} {name!r}; it has {', '.join(names)}.")


def _shape(name: str, value: Any, wanted: tuple[int, ...]) -> Floats:
    if not isinstance(value, np.ndarray) or value.shape != wanted:
        raise CardMismatch(f"the model's {name} has shape {getattr(value, 'shape', None)}, the card says {wanted}.")
    return value.astype(np.float32, copy=False)


def _finite(values: Floats) -> Floats:
    if not np.isfinite(values).all():
        raise ValueError("the detector gave a value that is not finite")
    return values


@contextmanager
def _tried_out() -> Iterator[None]:
    """A first run, at load time: whatever goes wrong in it, the card and the graphs do not fit."""
    try:
        yield
    except CardMismatch:
        raise
    except Exception as exc:
        raise CardMismatch(f"the model does not run as its card says: {str(exc).splitlines()[0]}.") from None


class FrameScorer:
    """Encodes each second of audio once; windows pool the frames that hold speech, from the channel's `FrameMemory`."""

    def __init__(self, card: Card, part: Frames, files: Mapping[str, bytes]) -> None:
        self._part = part
        self._encoder, self._head = (open_graph(name, files[name]) for name in (part.encoder.file, part.head.file))
        _require(self._encoder, part.encoder.file, [part.encoder.audio], [part.encoder.frames, part.encoder.speech])
        _require(self._head, part.head.file, [part.head.frames, part.head.mask], [part.head.llr])
        self._rate = card.sample_rate
        self._window_frames = round(card.window_seconds * card.sample_rate) // part.frame_samples
        self._min_frames = max(1, round(card.min_speech_seconds * card.sample_rate / part.frame_samples))
        self._probe()

    def score(self, windows: Sequence[Window]) -> list[Scored]:
        """All or nothing: what was written to the memories is taken back when scoring fails, so that it can be tried again."""
        written: list[tuple[FrameMemory, Overwritten]] = []
        try:
            return self._score(windows, written)
        except BaseException:
            for memory, before in reversed(written):
                memory.take_back(before)
            raise

    def _score(self, windows: Sequence[Window], written: list[tuple[FrameMemory, Overwritten]]) -> list[Scored]:
        encoded = self._encode(windows)
        counts: list[tuple[int, int]] = []
        pooled, masks, asked = [], [], []
        for index, window in enumerate(windows):
            span, memory = window.span, window.memory
            assert memory is not None
            new_speech = 0
            if index in encoded:
                frames, speech = encoded[index]
                written.append((memory, memory.write(span.first_frame, frames, speech)))
                new_speech = int(np.count_nonzero(speech > self._part.speech_threshold))
            frames, speech = memory.read(span.pool_from, max(span.pool_from, span.stop_frame))
            mask = speech > self._part.speech_threshold
            counts.append((int(np.count_nonzero(mask)), new_speech))
            if counts[-1][0] >= self._min_frames:
                asked.append(index)
                pooled.append(self._padded(frames))
                masks.append(self._padded(mask.astype(np.float32)))
        llrs = dict(zip(asked, self._pool(_batch(pooled), _batch(masks)).tolist(), strict=True)) if asked else {}
        return [Scored(llrs.get(i), self._ms(speech), self._ms(new)) for i, (speech, new) in enumerate(counts)]

    def _ms(self, frames: int) -> int:
        return frames * self._part.frame_samples * 1000 // self._rate

    def _encode(self, windows: Sequence[Window]) -> dict[int, tuple[Floats, Floats]]:
        by_count: dict[int, list[int]] = defaultdict(list)
        for index, window in enumerate(windows):
            if (count := window.span.stop_frame - window.span.first_frame) > 0:
                by_count[count].append(index)
        encoded: dict[int, tuple[Floats, Floats]] = {}
        for count, indices in by_count.items():
            size = 1 if self._part.one_at_a_time else len(indices)
            for batch in (indices[start : start + size] for start in range(0, len(indices), size)):
                frames, speech = self._run_encoder(np.stack([windows[i].audio for i in batch]), count)
                encoded.update({i: (frames[row], speech[row]) for row, i in enumerate(batch)})
        return encoded

    def _run_encoder(self, audio: Floats, count: int) -> tuple[Floats, Floats]:
        names = self._part.encoder
        frames, speech = self._encoder.run([names.frames, names.speech], {names.audio: audio})
        frames = _shape("frames", frames, (len(audio), count, self._part.embedding_size))
        return _finite(frames), _finite(_shape("speech", speech, (len(audio), count)))

    def _pool(self, frames: Floats, mask: Floats) -> Floats:
        names = self._part.head
        return _finite(_shape("llr", self._head.run([names.llr], {names.frames: frames, names.mask: mask})[0], (len(frames),)))

    def _padded(self, rows: Floats) -> Floats:
        """Rows up to a full window, so that windows of any length share one batch; the mask keeps the padding out."""
        if len(rows) == self._window_frames:
            return rows
        out = np.zeros((self._window_frames, *rows.shape[1:]), np.float32)
        out[: len(rows)] = rows
        return out

    def _probe(self) -> None:
        part, count = self._part, min(25, self._window_frames)
        audio = np.zeros((2, part.left_samples + count * part.frame_samples + part.right_samples), np.float32)
        with _tried_out():
            frames, _ = self._run_encoder(audio, count)
            self._pool(np.stack([self._padded(rows) for rows in frames]), np.ones((len(frames), self._window_frames), np.float32))


def _batch(rows: list[Floats]) -> Floats:
    return rows[0][None] if len(rows) == 1 else np.stack(rows)  # a window of the larger models is a megabyte: not copied without need


class WindowScorer:
    """A whole-window classifier (somebody's own model). Speech activity is a plain energy gate: such a model brings none."""

    def __init__(self, card: Card, part: WholeWindow, files: Mapping[str, bytes]) -> None:
        self._card, self._part = card, part
        self._graph = open_graph(part.file, files[part.file])
        _require(self._graph, part.file, [part.audio], [part.score])
        self._sign = 1.0 if card.high_means == "spoof" else -1.0
        with _tried_out():
            # Noise, not silence: some classifiers divide by the level, and the energy gate keeps silence away from them.
            self._raw(np.random.default_rng(0).normal(0, 0.1, (2, part.samples)).astype(np.float32))

    def score(self, windows: Sequence[Window]) -> list[Scored]:
        gates = [self._speech(window) for window in windows]
        asked = [i for i, (speech_ms, _) in enumerate(gates) if speech_ms >= self._card.min_speech_seconds * 1000]
        llrs: dict[int, float] = {}
        if asked:
            raw = self._raw(np.stack([self._fitted(windows[i].audio) for i in asked]))
            llrs = dict(zip(asked, (self._card.calibration.scale * self._sign * raw + self._card.calibration.bias).tolist(), strict=True))
        return [Scored(llrs.get(i), speech_ms, new_ms) for i, (speech_ms, new_ms) in enumerate(gates)]

    def _raw(self, audio: Floats) -> Floats:
        out = np.asarray(self._graph.run([self._part.score], {self._part.audio: audio})[0], np.float32)
        if out.shape == (len(audio), 2):
            return _finite(np.asarray(out[:, self._part.spoof_column] - out[:, 1 - self._part.spoof_column]))
        out = _shape("score", out.reshape(len(audio)) if out.size == len(audio) else out, (len(audio),))
        return _finite(out)

    def _fitted(self, audio: Samples) -> Samples:
        wanted = self._part.samples
        if len(audio) >= wanted:
            return audio[-wanted:]
        if self._part.short == "zero":
            return np.pad(audio, (0, wanted - len(audio)))
        return np.tile(audio, -(-wanted // len(audio)))[:wanted]

    def _speech(self, window: Window) -> tuple[int, int]:
        size = self._card.sample_rate * GATE_MS // 1000
        whole = len(window.audio) // size * size
        if not whole:
            return 0, 0
        # From the end backwards, so that the newest hop is cut the same way in every window.
        power = np.square(window.audio[len(window.audio) - whole :].reshape(-1, size)).mean(axis=1)
        level = 10 * np.log10(power + 1e-12)
        speech = (level > ENERGY_MIN_DBFS) & (level > level.max() - ENERGY_FLOOR_DB)
        new = min(len(speech), (window.span.end - window.span.since) // size)
        return int(np.count_nonzero(speech)) * GATE_MS, int(np.count_nonzero(speech[len(speech) - new :])) * GATE_MS
