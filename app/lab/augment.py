"""Training batches: clips drawn, cut, degraded and labelled. The same steps with the same odds for both classes.

`Batches` is a torch dataset whose item *i* is a whole batch, drawn from (seed, epoch, i) alone: a resumed run sees what an
uninterrupted one would have seen. Made in a worker process; numpy only, so that the worker costs little.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.random import Generator, default_rng
from scipy.signal import resample_poly

from app.lab.config import FRAME_SAMPLES, RATE, Augment, Recipe
from app.lab.data import Store, sampling_weights
from app.lab.sounds import KINDS, sound
from app.lab.speech import label_speech

TAIL_SAMPLES = RATE // 2
"""Longest room response used; also the zeros behind a signal that keep its filtering from wrapping round."""


@dataclass(frozen=True)
class Batch:
    """audio float32 [B, L + 320 n + R] · speech float32 [B, n], 1 = speech · spoof float32 [B] · judged float32 [B], 0 = no class
    (not speech) · bands float32 [B, bins], 0 = hidden."""

    audio: np.ndarray
    speech: np.ndarray
    spoof: np.ndarray
    judged: np.ndarray
    bands: np.ndarray


class Batches:
    """One epoch of batches."""

    def __init__(self, recipe: Recipe, epoch: int):
        self.recipe, self.epoch = recipe, epoch
        names = ["train", "copies", "noise", "rir", "music", *(["train-coded", "copies-coded"] if recipe.augment.coded else [])]
        self.stores = {name: Store(recipe.cache, name) for name in names}
        clips = self.stores["train"].clips
        self.real = np.array([i for i, clip in enumerate(clips) if not clip.spoof])
        self.fake = np.array([i for i, clip in enumerate(clips) if clip.spoof])
        self.real_weights = sampling_weights([clips[i] for i in self.real])
        self.fake_weights = sampling_weights([clips[i] for i in self.fake])
        self.copy_weights = sampling_weights(self.stores["copies"].clips)
        self.rooms = [_direct_first(self.stores["rir"][i]) for i in range(len(self.stores["rir"]))]

    def __len__(self) -> int:
        return self.recipe.train.epoch_clips // self.recipe.train.batch

    def __getitem__(self, index: int) -> Batch:
        if index >= len(self):
            raise IndexError(index)
        train = self.recipe.train
        rng = default_rng((train.seed, self.epoch, index))
        frames = round(rng.choice(train.crop_seconds) * RATE / FRAME_SAMPLES)
        rows = [self._row(frames, position < train.batch // 2, rng) for position in range(train.batch)]
        audio, speech, spoof, judged = (np.stack(column).astype(np.float32) for column in zip(*rows, strict=True))
        return Batch(audio, speech, spoof, judged, self._bands(train.batch, rng))

    def _row(self, frames: int, real: bool, rng: Generator):
        train, net, odds = self.recipe.train, self.recipe.net, self.recipe.augment
        length = net.left_samples + frames * FRAME_SAMPLES + net.right_samples
        if rng.random() < train.nonspeech:
            audio = degrade(self._nonspeech(length, rng), None, odds, self, rng)
            return audio, np.zeros(frames), 0.0, 0.0
        if real:
            name, index = "train", rng.choice(self.real, p=self.real_weights)
        elif rng.random() < train.copies:
            name, index = "copies", rng.choice(len(self.copy_weights), p=self.copy_weights)
        else:
            name, index = "train", rng.choice(self.fake, p=self.fake_weights)
        clean = self.stores[name][index]
        labels = label_speech(clean)
        clip = self.stores[f"{name}-coded"][index] if rng.random() < odds.coded else clean
        first = int(rng.integers(max(1, len(labels) - frames + 1)))
        start = first * FRAME_SAMPLES - net.left_samples
        audio = np.zeros(length, np.float32)
        piece = clip[max(0, start) : start + length]
        audio[max(0, -start) : max(0, -start) + len(piece)] = piece
        speech = np.zeros(frames, bool)
        speech[: len(labels[first : first + frames])] = labels[first : first + frames]
        active = np.repeat(speech, FRAME_SAMPLES)
        if rng.random() < odds.gap:  # a lost packet or a closed gate: nothing there is speech
            count = int(rng.integers(2, 16))
            at = int(rng.integers(max(1, frames - count)))
            audio[net.left_samples + at * FRAME_SAMPLES :][: count * FRAME_SAMPLES] *= rng.choice([0.0, 0.003])
            speech[at : at + count] = False
        audio = degrade(audio, active, odds, self, rng, net.left_samples)
        return audio, speech, float(not real), 1.0

    def background(self, samples: int, rng: Generator) -> np.ndarray:
        """Noise to lay under a clip: recorded, synthetic or music."""
        kind = rng.random()
        if kind < 0.55:
            return _stretch(self.stores["noise"][rng.integers(len(self.stores["noise"]))], samples, rng)
        if kind < 0.7:
            return _stretch(self.stores["music"][rng.integers(len(self.stores["music"]))], samples, rng)
        return sound(str(rng.choice(["white", "pink", "pink", "brown", "band", "hum"])), samples, rng)

    def _nonspeech(self, samples: int, rng: Generator) -> np.ndarray:
        kind = rng.random()
        if kind < 0.3:
            return _stretch(self.stores["noise"][rng.integers(len(self.stores["noise"]))], samples, rng)
        if kind < 0.65:
            return _stretch(self.stores["music"][rng.integers(len(self.stores["music"]))], samples, rng)
        if kind < 0.95:
            return sound(str(rng.choice(KINDS)), samples, rng)
        return np.zeros(samples, np.float32)

    def _bands(self, batch: int, rng: Generator) -> np.ndarray:
        """SpecAugment in frequency: up to two bands of up to a fifth of the spectrum."""
        bins = self.recipe.net.frequency_bins
        keep = np.ones((batch, bins), np.float32)
        for row in keep:
            if rng.random() < self.recipe.augment.frequency_masks:
                for _ in range(rng.integers(1, 3)):
                    width = int(rng.integers(4, bins // 5))
                    row[(at := int(rng.integers(bins - width))) : at + width] = 0
        return keep


def degrade(audio: np.ndarray, active: np.ndarray | None, odds: Augment, batches: Batches, rng: Generator, left: int = 0) -> np.ndarray:
    """Room, filter, band limit, telephone, clipping, noise, noise floor, gain, 16-bit rounding: in the order of a real chain.

    `active` [samples from `left` on] marks speech, which the noise level refers to; None = the whole signal.
    """
    samples = len(audio)
    audio = _filter(audio, odds, batches.rooms, rng)
    if rng.random() < odds.telephone:
        narrow = _mu_law(resample_poly(audio, 1, 2)) if rng.random() < 0.7 else audio[::2]
        if rng.random() < 0.7:
            audio = resample_poly(narrow, 2, 1)
        else:  # a poor resampler leaves images above 4 kHz
            audio = np.interp(np.arange(samples) / 2, np.arange(len(narrow)), narrow)
        audio = audio[:samples].astype(np.float32)
    if rng.random() < odds.clipped:
        top = np.abs(audio).max() * rng.uniform(0.3, 0.9)
        audio = np.clip(audio, -top, top)
    heard = audio[left : left + len(active)][active] if active is not None and active.any() else audio
    level = float(np.sqrt(np.mean(heard**2))) + 1e-5
    if rng.random() < odds.noise and active is not None:
        noise = batches.background(samples, rng)
        audio = audio + noise * (level / (np.sqrt(np.mean(noise**2)) + 1e-6) * 10 ** (-rng.uniform(*odds.snr_db) / 20))
    if rng.random() < odds.floor:
        floor = rng.standard_normal(samples, np.float32) if rng.random() < 0.6 else sound("pink", samples, rng) * 4
        audio = audio + floor * (level * 10 ** (rng.uniform(*odds.floor_db) / 20))
    peak = np.abs(audio).max() + 1e-9
    audio = audio * (10 ** (rng.uniform(*odds.gain_db) / 20) / peak) if peak > 1e-6 else audio
    return (np.round(audio * 32767) / 32768).astype(np.float32) if rng.random() < 0.7 else audio.astype(np.float32)


def _filter(audio: np.ndarray, odds: Augment, rooms: list[np.ndarray], rng: Generator) -> np.ndarray:
    """Room response, smooth random equaliser and low- or high-pass, all in one Fourier pair."""
    room, equaliser, limit = rng.random(3) < (odds.room, odds.filtered, odds.band_limited)
    if not (room or equaliser or limit):
        return audio
    size = scipy.fft.next_fast_len(len(audio) + TAIL_SAMPLES, real=True)
    spectrum = scipy.fft.rfft(audio, n=size)
    frequency = np.linspace(0, RATE / 2, len(spectrum), dtype=np.float32)
    if room:
        response = rooms[rng.integers(len(rooms))]
        wet = scipy.fft.rfft(response * np.exp(-np.arange(len(response)) / RATE / rng.uniform(0.03, 1.0)).astype(np.float32), n=size)
        spectrum = spectrum * wet
    if equaliser:
        knots = np.concatenate([[0], np.sort(rng.uniform(100, 7900, rng.integers(2, 9))), [RATE / 2]])
        gain = np.interp(frequency, knots, rng.uniform(-1, 1, len(knots)) * rng.uniform(2, 12))
        spectrum = spectrum * (10 ** (gain / 20)).astype(np.float32)
    if limit:
        order = rng.choice([4, 16, 64])
        cut = rng.choice([3400, 3700, 4000, 5500, 7000]) * rng.uniform(0.95, 1.05)
        if rng.random() < 0.8:
            spectrum = spectrum / (1 + (np.minimum(frequency / cut, 4)) ** order).astype(np.float32)
        if rng.random() < 0.4:
            spectrum = spectrum * (1 - 1 / (1 + (np.minimum(frequency / rng.uniform(60, 350), 8)) ** 6)).astype(np.float32)
    return scipy.fft.irfft(spectrum, n=size)[: len(audio)].astype(np.float32)


def _mu_law(audio: np.ndarray) -> np.ndarray:
    """G.711's curve with 8 bits, there and back, at full level."""
    scale = max(float(np.abs(audio).max()), 1e-6)
    coded = np.sign(audio) * np.log1p(255 * np.abs(audio) / scale) / np.log(256)
    coded = np.round(coded * 127) / 127
    return np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255 * scale


def _stretch(audio: np.ndarray, samples: int, rng: Generator) -> np.ndarray:
    """A random cut of `samples`, the sound repeated if it is too short."""
    audio = np.tile(audio, -(-samples // len(audio)))
    start = int(rng.integers(len(audio) - samples + 1))
    return audio[start : start + samples]


def _direct_first(response: np.ndarray) -> np.ndarray:
    """From the direct sound on (the delay is no part of the room), unit energy of the direct sound's neighbourhood."""
    start = int(np.abs(response).argmax())
    response = response[start : start + TAIL_SAMPLES]
    return (response / (np.sqrt((response**2).sum()) + 1e-9)).astype(np.float32)
