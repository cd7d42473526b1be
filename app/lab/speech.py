"""What counts as speech, for teaching: labels of clean clips, one a frame, from their energy.

The labels are for clips known to be speech; the net learns from them together with sounds known not to be (`sounds.py`), so that
at run time it, and not an energy threshold, says where speech is.
"""

import numpy as np
from scipy.ndimage import binary_closing, binary_dilation, binary_opening

from app.lab.config import FRAME_SAMPLES

BELOW_TOP_DB = 32.0
"""Quieter than the clip's loud frames by more than this is pause."""
ABOVE_FLOOR_DB = 9.0
"""Closer to the clip's noise floor than this is pause, but never within `SURE_DB` of the loud frames."""
SURE_DB = 14.0
SILENT_DB = -75.0
"""Absolute floor, dB re full scale."""


def label_speech(audio: np.ndarray) -> np.ndarray:
    """float32 [samples] -> bool [samples // 320]: speech or not, pauses under 120 ms bridged, bursts under 60 ms dropped, 40 ms hangover."""
    count = len(audio) // FRAME_SAMPLES
    if count == 0:
        return np.zeros(0, bool)
    # The first difference takes DC and most of a hum away and lifts consonants.
    emphasised = np.diff(audio[: count * FRAME_SAMPLES], prepend=audio[:1]) + 0.1 * (audio[: count * FRAME_SAMPLES] - audio.mean())
    level = 10 * np.log10((emphasised.reshape(count, FRAME_SAMPLES) ** 2).mean(1) + 1e-12)
    top, floor = np.percentile(level, [95, 10])
    threshold = max(top - BELOW_TOP_DB, min(floor + ABOVE_FLOOR_DB, top - SURE_DB), SILENT_DB)
    active = np.pad(level > threshold, 8)
    active = binary_opening(binary_closing(active, np.ones(6)), np.ones(3))
    return binary_dilation(active, np.ones(5))[8:-8]
