"""More ways to say a clip again: LPC, inverted mel, damaged phase, smoothed WORLD, and the artefacts of learned upsampling.

As in `resynth.py`, from which `resynthesise` calls these: float32 mono at 16 kHz in and out, drawn from `rng`. They are fast (a tenth of
real time on one core), so that every bona fide clip of `train` can have a second copy.
"""

import numpy as np
import scipy.fft
from numpy.random import Generator
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.signal import lfilter

from app.lab.config import RATE
from app.lab.spectra import istft, mel_bank, stft, world_analysis


def lpc(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """The classical vocoder: all-pole filters driven by pulses where voiced, noise elsewhere, or a mix of the two."""
    import pyworld

    size, hop = int(rng.choice([320, 400, 512])), int(rng.choice([80, 100, 160]))
    inverse, gain = _prediction(audio, int(rng.integers(10, 25)), size, hop)
    pitch, times = pyworld.dio(audio.astype(np.float64), RATE, frame_period=5.0)
    track = np.interp(np.arange(len(audio)) / RATE, times, np.where(pitch > 0, pitch, 0))
    voiced = np.interp(np.arange(len(audio)) / RATE, times, (pitch > 0).astype(float))
    track = np.maximum(track, 60) * rng.choice([1.0, 1.0, rng.uniform(0.8, 1.25)])
    turn = np.cumsum(track / RATE)
    pulses = np.diff(np.floor(turn), prepend=0) * np.sqrt(RATE / track)
    if rng.random() < 0.4:  # a glottal shape instead of a spike
        pulses = lfilter([1.0], [1, -rng.uniform(0.3, 0.9)], pulses)
    mix = rng.uniform(0, 0.35)
    noise = rng.standard_normal(len(audio))
    drive = voiced * ((1 - mix) * pulses + mix * noise) + (1 - voiced) * noise
    return _filtered(drive.astype(np.float32), gain / inverse, size, hop)


def lpc_quantised(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """The prediction residual kept, but in 1 to 3 bits, thinned to every second to fourth sample, or cut off above 1 to 3 kHz."""
    size, hop = 400, 100
    inverse, gain = _prediction(audio, int(rng.integers(10, 21)), size, hop)
    residual = _filtered(audio, inverse / gain, size, hop)
    scale = np.sqrt(gaussian_filter1d(residual**2, 160) + 1e-9)
    kind = rng.integers(3)
    if kind == 0:
        step = scale * rng.choice([0.8, 1.5, 2.5])
        residual = np.round(residual / step) * step
    elif kind == 1:
        keep = int(rng.integers(2, 5))
        residual = residual * (np.arange(len(residual)) % keep == 0) * np.sqrt(keep)
    else:  # the top rebuilt from the base band, as in residual-excited coders
        base = lfilter([1 - (pole := rng.uniform(0.3, 0.7))], [1, -pole], residual)
        residual = base + rng.uniform(0.3, 1) * np.diff(np.abs(base), prepend=0) + 0.2 * scale * rng.standard_normal(len(base))
    return _filtered(residual.astype(np.float32), gain / inverse, size, hop)


def mel_inverted(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """80 mel bands back to a spectrum; the phase from few fast Griffin-Lim rounds, mixed with the true one or true below a corner."""
    size, hop = ((1024, 256), (1024, 200), (800, 200))[rng.integers(3)]
    spectrum = stft(audio, size, hop)
    bank = mel_bank(80, size)
    magnitude = np.maximum((np.abs(spectrum) @ bank.T) @ np.linalg.pinv(bank).T, 1e-7)
    true = spectrum / np.maximum(np.abs(spectrum), 1e-9)
    kind = rng.integers(3)
    angle = np.exp(2j * np.pi * rng.random(magnitude.shape)).astype(np.complex64)
    if kind == 0:
        return _fast_griffin_lim(magnitude, angle, size, hop, int(rng.integers(3, 13)))
    if kind == 1:  # an oracle's phase, with a share of chance
        blend = true * rng.uniform(0.3, 1.0) + angle * rng.uniform(0.2, 0.7)
    else:
        blend = np.where(np.arange(magnitude.shape[1]) < rng.uniform(500, 4000) / RATE * size, true, angle)
    blend = blend / np.maximum(np.abs(blend), 1e-9)
    rounds = int(rng.integers(0, 4))
    return _fast_griffin_lim(magnitude, blend, size, hop, rounds) if rounds else istft(magnitude * blend, size, hop)


def phase_bands(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """A weaker wrong phase: small errors, chance above a corner only, one phase for all frames, or each bin at its own steady rate."""
    size = int(rng.choice([256, 512, 1024]))
    hop = size // 4
    spectrum = stft(audio, size, hop)
    bins = np.arange(spectrum.shape[1])
    kind = rng.integers(4)
    if kind == 0:
        error = rng.standard_normal(spectrum.shape) * rng.uniform(0.25, 0.6)
    elif kind == 1:
        error = 2 * np.pi * rng.random(spectrum.shape) * (bins > rng.uniform(1000, 4000) / RATE * size)
    elif kind == 2:  # a steady dispersion, different on each side of every few frames
        error = np.repeat(gaussian_filter1d(rng.standard_normal((len(spectrum) // 8 + 1, len(bins))) * 20, 5, axis=1), 8, axis=0)[: len(spectrum)]
    else:  # a phase vocoder that has lost the partials: every bin turns at its centre frequency
        turn = 2 * np.pi * hop * bins / size * np.arange(len(spectrum))[:, None]
        return istft(np.abs(spectrum) * np.exp(1j * (turn + rng.uniform(0, 2 * np.pi, len(bins)) * rng.choice([0.1, 1]))), size, hop)
    return istft(spectrum * np.exp(1j * error), size, hop)


def world_smoothed(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """WORLD with trajectories as statistical TTS makes them: smoothed, vibrato-free, stepped or globally flattened; breath changed."""
    import pyworld

    pitch, envelope, aperiodicity = world_analysis(audio)
    voiced = pitch > 0
    if voiced.any():
        track = np.interp(np.arange(len(pitch)), np.flatnonzero(voiced), np.log(pitch[voiced]))
        track = gaussian_filter1d(track, rng.uniform(2, 14))
        track = track.mean() + (track - track.mean()) * rng.uniform(0.3, 1.2) + rng.normal(0, 0.05)
        if rng.random() < 0.25:  # notes
            track = np.round(track * 12 / np.log(2)) * np.log(2) / 12
        pitch = np.where(median_filter(voiced.astype(np.uint8), 5) > 0, np.exp(track), 0.0)
    log = np.log(envelope + 1e-12)
    log = gaussian_filter1d(log, rng.uniform(0.5, 4), axis=0)
    if rng.random() < 0.5:
        log = gaussian_filter1d(log, rng.uniform(2, 12), axis=1)
    if rng.random() < 0.5:  # global variance, which smoothing takes, partly given back
        log = log.mean(0) + (log - log.mean(0)) * rng.uniform(1.0, 1.4)
    if rng.random() < 0.3:  # held: one frame in two to four, as a model with a reduction factor says it
        hold = int(rng.integers(2, 5))
        log = np.repeat(log[::hold], hold, axis=0)[: len(log)]
    power = rng.choice([0.5, 1.0, 2.0, 4.0])
    return pyworld.synthesize(pitch, np.exp(log), np.clip(aperiodicity**power, 1e-4, 1 - 1e-4), RATE)


def upsampled(audio: np.ndarray, rng: Generator) -> np.ndarray:
    """Real speech with what transposed convolutions leave: images of the lower bands and a comb at the frame rate, 20 to 45 dB down."""
    level = np.sqrt(gaussian_filter1d(audio.astype(np.float32) ** 2, 160) + 1e-10)
    out = audio.copy() if rng.random() < 0.5 else phase_bands(audio, rng)[: len(audio)]
    out = np.pad(out, (0, len(audio) - len(out)))
    kinds = rng.random(3) < 0.6
    if not kinds.any():
        kinds[rng.integers(3)] = True
    if kinds[0]:  # zeros between samples, and a filter that does not quite remove the images
        factor = int(rng.choice([2, 2, 4, 8]))
        size = scipy.fft.next_fast_len(len(audio), real=True)
        spectrum = scipy.fft.rfft(audio, n=size)
        spectrum[len(spectrum) // factor :] = 0
        stuffed = scipy.fft.irfft(spectrum, n=size)[: len(audio)] * (np.arange(len(audio)) % factor == 0) * factor
        image = scipy.fft.rfft(stuffed, n=size)
        image[: len(image) // factor] = 0
        out += scipy.fft.irfft(image, n=size)[: len(audio)] * 10 ** (rng.uniform(-40, -14) / 20)
    period = int(rng.choice([64, 100, 128, 160, 200, 256, 300, 320]))
    pattern = np.tile(rng.standard_normal(period), len(audio) // period + 1)[: len(audio)]
    if kinds[1]:  # overlap of kernel and stride: the gain depends on the place within a frame
        out = out * (1 + pattern * 10 ** (rng.uniform(-40, -22) / 20))
    if kinds[2]:  # buzz at multiples of the frame rate, as loud as the speech lets it be
        out = out + level * pattern * 10 ** (rng.uniform(-45, -24) / 20)
    return out


def _prediction(audio: np.ndarray, order: int, size: int, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """(A(f) [frames, bins], the residual's rms [frames, 1]) by the autocorrelation method, on the frames of `stft`."""
    padded = np.pad(audio.astype(np.float32), size // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * np.hanning(size).astype(np.float32)
    correlation = scipy.fft.irfft(np.abs(scipy.fft.rfft(frames, n=2 * size)) ** 2)[:, : order + 1].astype(np.float64)
    correlation[:, 0] = correlation[:, 0] * 1.0001 + 1e-7
    lags = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    taps = np.linalg.solve(correlation[:, lags], correlation[:, 1:, None])[:, :, 0]
    power = np.maximum(correlation[:, 0] - (taps * correlation[:, 1:]).sum(1), 1e-9)
    polynomial = np.concatenate([np.ones((len(taps), 1)), -taps], axis=1)
    energy = np.sum(np.hanning(size) ** 2)
    return scipy.fft.rfft(polynomial, n=size).astype(np.complex64), np.sqrt(power / energy)[:, None].astype(np.float32)


def _filtered(audio: np.ndarray, response: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Each frame times its response, overlap-added; the wrap-round of a frame is small beside its window."""
    spectrum = stft(audio, size, hop)
    rows = min(len(spectrum), len(response))
    made = istft(spectrum[:rows] * response[:rows], size, hop)
    return np.pad(made, (0, max(0, len(audio) - len(made))))[: len(audio)]


def _fast_griffin_lim(magnitude: np.ndarray, angle: np.ndarray, size: int, hop: int, rounds: int) -> np.ndarray:
    """Griffin-Lim with momentum 0.99 (Perraudin, Balazs and Søndergaard 2013)."""
    last = 0
    for _ in range(rounds):
        rebuilt = stft(istft(magnitude * angle, size, hop), size, hop)[: len(magnitude)]
        step = rebuilt + 0.99 * (rebuilt - last)
        last = rebuilt
        angle = step / np.maximum(np.abs(step), 1e-9)
    return istft(magnitude * angle, size, hop)
