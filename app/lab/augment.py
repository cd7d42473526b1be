"""Training batches: clips drawn, cut, degraded and labelled. The same steps with the same odds for both classes.

`Batches` is a torch dataset whose item *i* is a whole batch, drawn from (seed, epoch, i) alone: a resumed run sees what an
uninterrupted one would have seen. Made in a worker process; numpy only, so that the worker costs little.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.random import Generator, default_rng
from scipy.signal import resample_poly

from app.lab import chains, codecs
from app.lab.config import FRAME_SAMPLES, RATE, Augment, Recipe
from app.lab.data import Store, sampling_weights
from app.lab.languages import held_back
from app.lab.sounds import KINDS, sound
from app.lab.speech import label_speech

TAIL_SAMPLES = RATE // 2
"""Longest room response used; also the zeros behind a signal that keep its filtering from wrapping round."""

COPY_SHARES = {"copies": 0.45, "copies-more": 0.35, "copies-neural": 0.2}
"""How the copies among the spoofed rows are spread over their stores; what is not there leaves its share to the others."""
FAKES = ("train", *COPY_SHARES, "synth")
FEW_CLIPS = 1500
"""A store of fewer gives up some of its share."""
OPTIONAL = ("rir-simulated", "music-midi")


@dataclass(frozen=True)
class Batch:
    """audio float32 [B, L + 320 n + R] · speech float32 [B, n], 1 = speech · spoof float32 [B] · judged float32 [B], 0 = no class
    (not speech) · bands float32 [B, bins], 0 = hidden."""

    audio: np.ndarray
    speech: np.ndarray
    spoof: np.ndarray
    judged: np.ndarray
    bands: np.ndarray


@dataclass(frozen=True)
class Draw:
    """What a row shows: a clip of a store (`twin`: not that copy, but what it was made from), or no speech (`store` empty)."""

    store: str = ""
    index: int = 0
    twin: bool = False


class Batches:
    """One epoch of batches, from the stores that the cache has."""

    def __init__(self, recipe: Recipe, epoch: int):
        self.recipe, self.epoch = recipe, epoch
        names = ["train", "noise", "rir", "music", *(name for name in (*FAKES, *OPTIONAL) if (recipe.cache / f"{name}.json").exists())]
        if recipe.augment.coded:
            names += [f"{name}-coded" for name in FAKES if (recipe.cache / f"{name}-coded.json").exists()]
        self.stores = {name: Store(recipe.cache, name) for name in dict.fromkeys(names)}
        for name in [name for name in self.stores if name.endswith("-coded")]:
            if self.stores[name].numbers != self.stores[name.removesuffix("-coded")].numbers:
                del self.stores[name]  # of an older make of its store
        clips, held = self.stores["train"].clips, held_back(recipe.data)
        self.real = np.array([i for i, clip in enumerate(clips) if not clip.spoof and clip.path not in held])
        self.real_set = frozenset(self.real.tolist())
        self.real_weights = sampling_weights([clips[i] for i in self.real])
        train = recipe.train
        wanted = {"train": 1 - train.copies - train.synth, "synth": train.synth} | {name: train.copies * share for name, share in COPY_SHARES.items()}
        # A store of few clips must not be drawn so often that they are learnt by heart.
        self.shares = {name: share * min(1, len(self.stores[name]) / FEW_CLIPS) for name, share in wanted.items() if name in self.stores}
        usable = {name: [clip.spoof and clip.path not in held for clip in self.stores[name].clips] for name in self.shares}
        self.fakes = {name: np.flatnonzero(chosen) for name, chosen in usable.items()}
        self.fake_weights = {name: sampling_weights([self.stores[name].clips[i] for i in chosen]) for name, chosen in self.fakes.items()}
        self.rooms = {name: [_direct_first(room) for room in self.stores[name]] for name in ("rir", "rir-simulated") if name in self.stores}
        self.musics = [name for name in ("music", "music-midi") if name in self.stores]

    def __len__(self) -> int:
        return self.recipe.train.epoch_clips // self.recipe.train.batch

    def __getitem__(self, index: int) -> Batch:
        """The first half of the rows is bona fide, the second spoof (less those that are no speech).

        Each row has a generator of its own. A copy and its original, where both are shown, have the same one: the same cut and the same chain.
        """
        if index >= len(self):
            raise IndexError(index)
        train = self.recipe.train
        rng = default_rng((train.seed, self.epoch, index))
        frames = round(rng.choice(train.crop_seconds) * RATE / FRAME_SAMPLES)
        half, places = train.batch // 2, list(range(train.batch))
        draws = [self._draw(place < half, rng) for place in places]
        for place in range(half, train.batch):
            draw, chosen = draws[place], rng.random() < self.recipe.augment.paired
            if draw.store.startswith("copies") and (chosen or self.stores[draw.store].clips[draw.index].length < frames * FRAME_SAMPLES):
                # A copy cut shorter than the window always has its twin, or its length would tell.
                draws[place - half], places[place - half] = replace(draw, twin=True), place
        rows = [self._row(frames, draw, default_rng((train.seed, self.epoch, index, place))) for draw, place in zip(draws, places, strict=True)]
        audio, speech = (np.stack(column).astype(np.float32) for column in zip(*rows, strict=True))
        judged = np.array([bool(draw.store) for draw in draws], np.float32)
        spoof = np.array([place >= half for place in range(train.batch)], np.float32) * judged
        return Batch(audio, speech, spoof, judged, self._bands(train.batch, rng))

    def _draw(self, real: bool, rng: Generator) -> Draw:
        if rng.random() < self.recipe.train.nonspeech:
            return Draw()
        if real:
            return Draw("train", int(rng.choice(self.real, p=self.real_weights)))
        names, shares = list(self.shares), np.array(list(self.shares.values()))
        name = str(rng.choice(names, p=shares / shares.sum()))
        return Draw(name, int(rng.choice(self.fakes[name], p=self.fake_weights[name])))

    def _clip(self, draw: Draw, coded: bool) -> tuple[np.ndarray, np.ndarray]:
        """(samples, labels). The labels of a copy are its original's wherever that is at hand, so that a pair has the same ones."""
        store, index, cut = self.stores[draw.store], draw.index, slice(None)
        copied = draw.store.startswith("copies") and store.clips[index].path in self.stores["train"].numbers
        if copied:
            clip, original = store.clips[index], self.stores["train"]
            cut = slice(clip.offset, clip.offset + clip.length)
            labels = label_speech(original[original.numbers[clip.path]][cut])
            if draw.twin:
                store, index = original, original.numbers[clip.path]
        # Coded both or neither: what counts is whether the copy is there in coded form.
        coded = coded and f"{draw.store}-coded" in self.stores and f"{store.name}-coded" in self.stores
        audio = (self.stores[f"{store.name}-coded"] if coded else store)[index]
        audio = audio[cut] if store.name == "train" else audio
        return audio, labels if copied else label_speech(store[index])

    def _row(self, frames: int, draw: Draw, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
        """The class is not known from here on: the draw is of one store or another, and its twin goes the same way."""
        net, odds = self.recipe.net, self.recipe.augment
        length = net.left_samples + frames * FRAME_SAMPLES + net.right_samples
        if not draw.store:
            return degrade(self._nonspeech(length, rng), None, odds, self, rng), np.zeros(frames, bool)
        coded = rng.random() < odds.coded
        clip, labels = self._clip(draw, coded)
        if rng.random() < odds.edited:
            # Another clip of the same store and class; for a twin, of what the copy's other clip was made from.
            same = self.real if draw.store == "train" and draw.index in self.real_set else self.fakes[draw.store]
            other = replace(draw, index=int(rng.choice(same)))
            change = chains.EDITS[str(rng.choice(list(chains.EDITS)))]
            clip, labels = change((clip, labels), lambda: self._clip(other, coded), rng)
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
        return degrade(audio, active, odds, self, rng, net.left_samples), speech

    def room(self, odds: Augment, rng: Generator) -> np.ndarray:
        simulated = rng.random() < odds.simulated_rooms and "rir-simulated" in self.rooms
        rooms = self.rooms["rir-simulated" if simulated else "rir"]
        return rooms[rng.integers(len(rooms))]

    def background(self, samples: int, rng: Generator) -> np.ndarray:
        """Noise to lay under a clip: recorded, synthetic, music, or several people at once."""
        if rng.random() < self.recipe.augment.babble:
            voices = rng.choice(self.real, int(rng.integers(4, 8)))
            return sum(_stretch(self.stores["train"][index], samples, rng) * rng.uniform(0.3, 1) for index in voices)
        kind = rng.random()
        if kind < 0.55:
            return self._recorded("noise", samples, rng)
        if kind < 0.75:
            return self._recorded(str(rng.choice(self.musics)), samples, rng)
        return sound(str(rng.choice(["white", "pink", "pink", "brown", "band", "hum"])), samples, rng)

    def _nonspeech(self, samples: int, rng: Generator) -> np.ndarray:
        kind = rng.random()
        if kind < 0.3:
            return self._recorded("noise", samples, rng)
        if kind < 0.65:
            return self._recorded(str(rng.choice(self.musics)), samples, rng)
        if kind < 0.95:
            return sound(str(rng.choice(KINDS)), samples, rng)
        return np.zeros(samples, np.float32)

    def _recorded(self, name: str, samples: int, rng: Generator) -> np.ndarray:
        return _stretch(self.stores[name][rng.integers(len(self.stores[name]))], samples, rng)

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
    """In the order of a real chain: replay, room, filters, clipping, noise, gain control and suppression, the line, its losses, floor, level.

    `active` [samples from `left` on] marks speech, which the noise level refers to; None = the whole signal.
    """
    samples = len(audio)
    if active is not None and rng.random() < odds.clean:
        return _at_level(audio, odds, rng)
    if rng.random() < odds.loudspeaker:
        audio = chains.loudspeaker(audio, rng)
    audio = _filter(audio, odds, batches, rng)
    if rng.random() < odds.clipped:
        top = np.abs(audio).max() * rng.uniform(0.3, 0.9)
        audio = np.clip(audio, -top, top)
    if rng.random() < odds.distorted:
        audio = chains.distorted(audio, rng)
    heard = audio[left : left + len(active)][active] if active is not None and active.any() else audio
    level = float(np.sqrt(np.mean(heard**2))) + 1e-5
    if rng.random() < odds.noise and active is not None:
        noise = batches.background(samples, rng)
        audio = audio + noise * (level / (np.sqrt(np.mean(noise**2)) + 1e-6) * 10 ** (-rng.uniform(*odds.snr_db) / 20))
    if rng.random() < odds.levelled:
        audio = chains.levelled(audio, rng)
    if rng.random() < odds.suppressed:
        audio = chains.suppressed(audio, rng)
    if rng.random() < odds.resampled:
        audio = chains.resampled(audio, rng)
    if rng.random() < odds.telephone:
        narrow = _mu_law(resample_poly(audio, 1, 2)) if rng.random() < 0.7 else audio[::2]
        if rng.random() < 0.7:
            audio = resample_poly(narrow, 2, 1)
        else:  # a poor resampler leaves images above 4 kHz
            audio = np.interp(np.arange(samples) / 2, np.arange(len(narrow)), narrow)
        audio = audio[:samples].astype(np.float32)
    if rng.random() < odds.recoded:
        audio = codecs.recoded(audio, rng)[0]
    if rng.random() < odds.lossy:
        audio = chains.lossy(audio, rng)
    if rng.random() < odds.floor:
        floor = rng.standard_normal(samples, np.float32) if rng.random() < 0.6 else sound("pink", samples, rng) * 4
        audio = audio + floor * (level * 10 ** (rng.uniform(*odds.floor_db) / 20))
    return _at_level(audio, odds, rng)


def _at_level(audio: np.ndarray, odds: Augment, rng: Generator) -> np.ndarray:
    peak = np.abs(audio).max() + 1e-9
    audio = audio * (10 ** (rng.uniform(*odds.gain_db) / 20) / peak) if peak > 1e-6 else audio
    return (np.round(audio * 32767) / 32768).astype(np.float32) if rng.random() < 0.7 else audio.astype(np.float32)


def _filter(audio: np.ndarray, odds: Augment, batches: Batches, rng: Generator) -> np.ndarray:
    """Room response, smooth random equaliser and low- or high-pass, all in one Fourier pair."""
    room, equaliser, limit = rng.random(3) < (odds.room, odds.filtered, odds.band_limited)
    if not (room or equaliser or limit):
        return audio
    size = scipy.fft.next_fast_len(len(audio) + TAIL_SAMPLES, real=True)
    spectrum = scipy.fft.rfft(audio, n=size)
    frequency = np.linspace(0, RATE / 2, len(spectrum), dtype=np.float32)
    if room:
        response = batches.room(odds, rng)
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
