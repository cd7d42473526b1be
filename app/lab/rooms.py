"""Impulse responses of simulated rooms (image sources, `pyroomacoustics`): offices, halls, cars and cupboards, near and far microphones.

Out: float32 [samples] at 16 kHz, half a second at most. Called by `stores.py` for the store `rir-simulated`.
"""

import numpy as np
from numpy.random import Generator

from app.lab.config import RATE

LONGEST = RATE // 2


def simulated_room(rng: Generator) -> np.ndarray:
    """A shoe-box of a drawn size and wall material, a talker or loudspeaker in it, and a microphone 0.2 to 4 m away."""
    import pyroomacoustics

    size = np.array([rng.uniform(1.2, 9), rng.uniform(1.2, 7), rng.uniform(1.2, 3.6)])
    # The walls swallow more at the top of the band, as plaster, wood and cloth do.
    middle = np.clip(rng.beta(1.5, 3.0), 0.06, 0.9)
    bands = np.clip(middle * np.linspace(rng.uniform(0.5, 1.0), rng.uniform(1.0, 1.8), 7), 0.03, 0.95)
    walls = pyroomacoustics.Material({"coeffs": list(bands), "center_freqs": [125 * 2**octave for octave in range(7)]})
    order = int(np.clip(3 / middle, 4, 14))
    room = pyroomacoustics.ShoeBox(size, fs=RATE, materials=walls, max_order=order)
    talker = rng.uniform(0.3, size - 0.3)
    direction = rng.standard_normal(3)
    microphone = talker + direction / np.linalg.norm(direction) * np.exp(rng.uniform(np.log(0.2), np.log(4.0)))
    room.add_source(talker)
    room.add_microphone(np.clip(microphone, 0.1, size - 0.1))
    room.compute_rir()
    response = np.asarray(room.rir[0][0], np.float64)
    response = response[max(0, int(np.abs(response).argmax()) - 16) :][:LONGEST]
    # The images stop at an order; a tail of noise decays on from there, as diffuse sound does.
    response = np.pad(response, (0, LONGEST - len(response)))
    decay = _decay_seconds(size, float(bands.mean()))
    time = np.arange(LONGEST) / RATE
    tail = rng.standard_normal(LONGEST) * np.exp(-6.9 * time / decay) * np.clip(time / 0.05, 0, 1)
    early = np.sqrt(np.mean(response[320:1600] ** 2)) / np.sqrt(np.mean(np.exp(-13.8 * time[320:1600] / decay)))
    response = response + tail * early * 0.7
    return (response / np.abs(response).max()).astype(np.float32)


def _decay_seconds(size: np.ndarray, absorption: float) -> float:
    """Eyring's reverberation time."""
    surface = 2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    return float(np.clip(0.161 * size.prod() / (-surface * np.log(1 - absorption)), 0.05, 2.0))
