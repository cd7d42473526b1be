"""A clip through a coder at a stated bit rate, and noise at a stated level: the conditions of the codec and SNR tables.

Float clips at 16 kHz in and out, the same length. PyAV codes what has a container that keeps its delay (Opus, MP3, AAC), libsndfile the
telephone coders. Used by `conditions`. Training has coders of its own (`codecs`), at random settings and without containers, so that what is
measured here is not to the bit what was trained on.
"""

import io
from collections.abc import Callable

import av
import numpy as np
import soundfile
from scipy.signal import resample_poly

from app.lab.config import FRAME_SAMPLES, RATE
from app.lab.speech import label_speech

CONTAINERS = {"libopus": "ogg", "libmp3lame": "mp3", "aac": "mp4"}
CODERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "opus 32": lambda audio: through_av(audio, "libopus", 32),
    "opus 16": lambda audio: through_av(audio, "libopus", 16),
    "opus 8": lambda audio: through_av(audio, "libopus", 8),
    "mp3 32": lambda audio: through_av(audio, "libmp3lame", 32),
    "aac 32": lambda audio: through_av(audio, "aac", 32),
    "gsm": lambda audio: through_telephone(audio, "GSM610"),
    "mu-law": lambda audio: through_telephone(audio, "ULAW"),
}
SNR_DB = (20, 10, 5, 0)


def available() -> list[str]:
    """The coders that this build of PyAV has."""
    have = {"opus": "libopus", "mp3": "libmp3lame", "aac": "aac"}
    return [name for name in CODERS if have.get(name.split()[0], "aac") in av.codecs_available]


def through_av(audio: np.ndarray, codec: str, kbit_s: int) -> np.ndarray:
    memory = io.BytesIO()
    with av.open(memory, "w", format=CONTAINERS[codec]) as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        stream.bit_rate = kbit_s * 1000
        frame = av.AudioFrame.from_ndarray(_pcm(audio)[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        # The encoder takes frames of its own size and sample format.
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=RATE)
        fifo = av.AudioFifo()
        for piece in resampler.resample(frame):
            fifo.write(piece)
        size = stream.codec_context.frame_size or FRAME_SAMPLES
        while piece := fifo.read(size, partial=fifo.samples < size):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        pieces = [piece.to_ndarray()[0] for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return _as_long(np.concatenate(pieces), len(audio))


def through_telephone(audio: np.ndarray, subtype: str) -> np.ndarray:
    """8 kHz and back, coded in between."""
    memory = io.BytesIO()
    soundfile.write(memory, resample_poly(audio, 1, 2).clip(-1, 1), RATE // 2, format="WAV", subtype=subtype)
    memory.seek(0)
    return _as_long(resample_poly(soundfile.read(memory, dtype="float32")[0], 2, 1), len(audio))


def with_noise(audio: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Noise at `snr_db` below the level of the speech frames; the sum is turned down where it would clip."""
    active = np.repeat(label_speech(audio), FRAME_SAMPLES)
    speech = audio[: len(active)][active] if active.any() else audio
    noise = np.resize(noise, len(audio))
    mixed = audio + noise * np.sqrt(np.mean(speech**2) / (np.mean(noise**2) + 1e-12)) * 10 ** (-snr_db / 20)
    return (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)


def _pcm(audio: np.ndarray) -> np.ndarray:
    return np.round(audio * 32768).clip(-32768, 32767).astype(np.int16)


def _as_long(audio: np.ndarray, length: int) -> np.ndarray:
    return np.pad(audio, (0, max(0, length - len(audio))))[:length].astype(np.float32)
