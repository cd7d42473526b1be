"""Lossy coders for training: a clip in, the same clip as it comes out of a call, a messenger or a video, aligned and of the same length.

Opus, MP3, MP2, AAC, SBC, AMR-NB, G.711, G.722, G.723.1 and Nellymoser through PyAV's codec contexts (no container), Vorbis, ADPCM and GSM
through libsndfile. A coder's delay is taken out by correlation, so that the labels of the clean clip hold. Called by `stores.py`.
"""

import io
from dataclasses import dataclass

import numpy as np
import scipy.fft
import soundfile
from numpy.random import Generator
from scipy.signal import resample_poly

from app.lab.config import RATE

MAX_DELAY = RATE // 4
"""The longest delay looked for, in samples."""


@dataclass(frozen=True)
class Coder:
    """PyAV's name of the encoder and of the decoder, how often it is drawn, the bit rates in kbit/s and the sample rates it takes."""

    encoder: str
    decoder: str
    share: float
    kbit_s: tuple[float, ...] = ()
    rates: tuple[int, ...] = (RATE,)
    options: tuple[dict[str, str], ...] = ({},)


VOICE = tuple(
    {"application": kind, "frame_duration": length, "compression_level": "4"} for kind in ("voip", "audio") for length in ("20", "20", "40", "60")
)
CODERS = {
    "opus": Coder("libopus", "libopus", 0.30, (6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64), (RATE, RATE, 8000), VOICE),
    "mp3": Coder("libmp3lame", "mp3", 0.22, (24, 32, 40, 48, 64, 96, 128), (RATE, RATE, RATE, 22050, 24000, 44100), ({"compression_level": "7"},)),
    "aac": Coder("aac", "aac", 0.14, (16, 24, 32, 48, 64, 96, 128), (RATE, RATE, RATE, 22050, 44100), ({"aac_coder": "fast"},)),
    "amr": Coder("libopencore_amrnb", "libopencore_amrnb", 0.06, (4.75, 5.9, 7.4, 7.95, 10.2, 12.2), (8000,)),
    "mulaw": Coder("pcm_mulaw", "pcm_mulaw", 0.04, (), (8000, 8000, RATE)),
    "alaw": Coder("pcm_alaw", "pcm_alaw", 0.03, (), (8000, 8000, RATE)),
    "g722": Coder("g722", "g722", 0.03, (64,)),
    "g723": Coder("g723_1", "g723_1", 0.02, (6.3,), (8000,)),
    "adpcm": Coder("", "", 0.03, (), (8000, RATE)),
    "sbc": Coder("sbc", "sbc", 0.02, (64, 128)),
    "mp2": Coder("mp2", "mp2", 0.01, (32, 64)),
    "nellymoser": Coder("nellymoser", "nellymoser", 0.01, (), (8000, RATE)),
    "vorbis": Coder("", "", 0.04),
    "gsm": Coder("", "", 0.03, (), (8000,)),
}
TANDEM = 0.15
"""How often the result goes through a second coder."""


def recoded(audio: np.ndarray, rng: Generator) -> tuple[np.ndarray, str]:
    """One coder of the lottery, at times two; and which."""
    if not np.any(audio):
        return audio, ""
    shares = np.array([coder.share for coder in CODERS.values()])
    names = rng.choice(list(CODERS), 2 if rng.random() < TANDEM else 1, p=shares / shares.sum())
    for name in names:
        audio = through(audio, str(name), rng)
    return audio, "+".join(names)


def through(audio: np.ndarray, name: str, rng: Generator) -> np.ndarray:
    """Encode and decode with settings drawn from the coder's own."""
    coder = CODERS[name]
    rate = int(rng.choice(coder.rates))
    narrow = audio if rate == RATE else _resampled(audio, RATE, rate)
    if coder.encoder:
        bits = float(rng.choice(coder.kbit_s)) if coder.kbit_s else 0.0
        back = _through_av(narrow, coder, rate, bits, coder.options[rng.integers(len(coder.options))])
    else:
        back = _through_libsndfile(narrow, name, rate, rng)
    return aligned(back if rate == RATE else _resampled(back, rate, RATE), audio)


def aligned(back: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """`back` shifted to where it agrees best with `audio`, cut or padded to its length."""
    size = scipy.fft.next_fast_len(max(len(audio), len(back)) + MAX_DELAY, real=True)
    across = scipy.fft.irfft(scipy.fft.rfft(back, n=size) * np.conj(scipy.fft.rfft(audio, n=size)), n=size)
    lags = np.arange(-(MAX_DELAY // 10), MAX_DELAY)
    lag = int(lags[across[lags].argmax()])
    back = back[lag:] if lag >= 0 else np.pad(back, (-lag, 0))
    return np.pad(back, (0, max(0, len(audio) - len(back))))[: len(audio)].astype(np.float32)


def _through_av(audio: np.ndarray, coder: Coder, rate: int, kbit_s: float, options: dict[str, str]) -> np.ndarray:
    import av

    encoder = av.CodecContext.create(coder.encoder, "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", encoder.codec.audio_formats[0]
    encoder.options = dict(options)
    if kbit_s:
        encoder.bit_rate = round(kbit_s * 1000)
    encoder.thread_count = 1
    encoder.open()
    decoder = av.CodecContext.create(coder.decoder, "r")
    decoder.sample_rate, decoder.layout, decoder.extradata = rate, "mono", encoder.extradata
    decoder.thread_count = 1
    step = encoder.frame_size or 320
    pieces = []

    def decode(packets) -> None:
        for packet in packets:
            pieces.extend(_float(frame) for frame in decoder.decode(packet))

    # Zeros behind the clip push its end through the coder's delay.
    audio = np.pad(audio, (0, -len(audio) % step + max(step * 2, rate // 10) // step * step))
    for start in range(0, len(audio), step):
        frame = av.AudioFrame.from_ndarray(_as_format(audio[start : start + step], encoder.format.name), encoder.format.name, "mono")
        frame.sample_rate, frame.pts = rate, start
        decode(encoder.encode(frame))
    decode(encoder.encode(None))
    pieces.extend(_float(frame) for frame in decoder.decode(None))
    back = np.concatenate(pieces)
    return back if decoder.sample_rate == rate else _resampled(back, decoder.sample_rate, rate)


def _as_format(audio: np.ndarray, name: str) -> np.ndarray:
    scale, kind = {"s16": (32767, np.int16), "s32": (2**31 - 1, np.int32), "flt": (1, np.float32)}[name.removesuffix("p")]
    audio = audio.astype(np.float64).clip(-1, 1) * scale
    return (np.round(audio) if scale > 1 else audio).astype(kind)[None]


def _float(frame) -> np.ndarray:
    samples = frame.to_ndarray()[0]
    return samples.astype(np.float32) / (np.iinfo(samples.dtype).max + 1) if samples.dtype.kind == "i" else samples.astype(np.float32)


def _through_libsndfile(audio: np.ndarray, name: str, rate: int, rng: Generator) -> np.ndarray:
    memory = io.BytesIO()
    if name in ("gsm", "adpcm"):
        soundfile.write(memory, audio.clip(-1, 1), rate, format="WAV", subtype={"gsm": "GSM610", "adpcm": "IMA_ADPCM"}[name])
    else:
        soundfile.write(memory, audio.clip(-1, 1), rate, format="OGG", subtype="VORBIS", compression_level=rng.uniform(0.1, 1.0))
    memory.seek(0)
    return soundfile.read(memory, dtype="float32")[0]


def _resampled(audio: np.ndarray, given: int, wanted: int) -> np.ndarray:
    common = np.gcd(given, wanted)
    return resample_poly(audio, wanted // common, given // common).astype(np.float32)
