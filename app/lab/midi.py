"""Music of our own on sampled instruments: random tunes as MIDI, played by Debian's `fluidsynth` with the font of `fluid-soundfont-gm`.

Out: float32 clips of five seconds at 16 kHz. Called by `stores.py` for the store `music-midi`. Nobody sings in it.
"""

import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator, default_rng

from app.lab.config import RATE

FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
SECONDS, GAP, TOGETHER = 5, 3, 20
"""A player's start costs more than its playing, so clips are played `TOGETHER`, with time between them to die away."""
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 1, 4, 5, 7, 8, 11), (0, 2, 4, 7, 9, 12, 14))
DRUMS = {"kick": 36, "snare": 38, "hat": 42, "open": 46, "clap": 39, "tom": 45, "ride": 51}


def midi_clip(seed: int, index: int) -> np.ndarray:
    """Clip `index`: five seconds from a random place of its tune's first half second on."""
    played = _play(seed, index // TOGETHER)
    start = int((index % TOGETHER * (SECONDS + GAP) + default_rng((seed, 22, index)).uniform(0, 0.5)) * RATE)
    clip = played[start : start + SECONDS * RATE]
    return (0.5 * clip / max(float(np.abs(clip).max()), 1e-6)).astype(np.float32)


@lru_cache(1)
def _play(seed: int, group: int) -> np.ndarray:
    import mido

    notes = []
    for place in range(TOGETHER):
        rng = default_rng((seed, 21, group * TOGETHER + place))
        notes += [(time + place * (SECONDS + GAP), message) for time, message in tune(rng)]
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500000)])  # 480 ticks = half a second
    last = 0
    for time, (kind, values) in sorted(notes, key=lambda note: note[0]):
        ticks = max(0, round(time * 960))
        track.append(mido.Message(kind, time=max(0, ticks - last), **values))
        last = max(last, ticks)
    with tempfile.TemporaryDirectory() as folder:
        score, wave = Path(folder) / "score.mid", Path(folder) / "wave.wav"
        mido.MidiFile(tracks=[track], ticks_per_beat=480).save(score)
        command = ["fluidsynth", "-ni", "-q", "-g", "0.6", "-r", str(RATE), "-F", str(wave), str(FONT), str(score)]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        audio = soundfile.read(wave, dtype="float32", always_2d=True)[0].mean(1)
    return np.pad(audio, (0, max(0, TOGETHER * (SECONDS + GAP) * RATE - len(audio))))


def tune(rng: Generator) -> list[tuple[float, tuple[str, dict]]]:
    """(seconds, MIDI message) of chords, arpeggio, melody, bass and drums, each there or not."""
    scale, root, beat = SCALES[rng.integers(len(SCALES))], int(rng.integers(40, 60)), 60 / rng.uniform(60, 170)
    parts = rng.random(5) < (0.7, 0.4, 0.6, 0.5, 0.45)
    if not parts.any():
        parts[rng.integers(4)] = True
    made = [(SECONDS + 2.0, ("control_change", {"channel": channel, "control": 120, "value": 0})) for channel in (0, 1, 2, 3, 9)]
    made += [(0.0, ("program_change", {"channel": part, "program": int(rng.integers(0, 120))})) for part in range(4)]

    def play(channel: int, pitch: float, start: float, seconds: float, force: float) -> None:
        if start < SECONDS + 0.6 and start + seconds > 0.05:  # a note let go before it is struck would never end
            pitch = int(np.clip(pitch, 20, 108))
            made.append((max(0.01, start), ("note_on", {"channel": channel, "note": pitch, "velocity": int(np.clip(force, 20, 127))})))
            made.append((min(start + seconds, SECONDS + 1.5), ("note_off", {"channel": channel, "note": pitch, "velocity": 0})))

    def step(degree: int) -> int:
        return root + scale[degree % 7] + 12 * (degree // 7)

    at = -rng.uniform(0, beat)
    while at < SECONDS + 0.6:
        degree, bar = int(rng.integers(7)), beat * int(rng.choice([2, 4]))
        chord = [step(degree + third) for third in (0, 2, 4, 6)[: rng.integers(3, 5)]]
        if parts[0]:
            for pitch in chord:
                play(0, pitch + 12, at, bar * 0.95, rng.uniform(45, 90))
        if parts[1]:
            pace = beat / int(rng.choice([1, 2, 3, 4]))
            for index in range(int(bar / pace)):
                play(1, chord[index % len(chord)] + 12 * int(rng.integers(1, 3)), at + index * pace, pace, rng.uniform(50, 100))
        if parts[2]:
            start = 0.0
            while start < bar:
                seconds = beat * float(rng.choice([0.25, 0.5, 0.5, 1, 2]))
                play(2, step(int(rng.integers(7))) + 12 * int(rng.integers(1, 3)), at + start, seconds * 0.95, rng.uniform(60, 115))
                start += seconds
        for index in range(int(bar / beat)):
            if parts[3]:
                play(3, chord[0] - 12, at + index * beat, beat * 0.9, rng.uniform(60, 100))
            if parts[4]:
                play(9, DRUMS["kick" if index % 2 == 0 else str(rng.choice(["snare", "clap", "tom"]))], at + index * beat, 0.1, rng.uniform(70, 120))
                for half in (0, 0.5):
                    play(9, DRUMS[str(rng.choice(["hat", "hat", "open", "ride"]))], at + (index + half) * beat, 0.1, rng.uniform(40, 90))
        at += bar
    return made
