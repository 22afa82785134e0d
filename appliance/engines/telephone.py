"""What a telephone passes of a sound."""

from __future__ import annotations

import numpy as np

from appliance.engines.speech import SAMPLE_RATE, Samples

BAND_HZ = (300, 3400)
"""ITU-T G.711's band."""


def in_band(samples: Samples) -> Samples:
    """The samples without what lies below and above the band."""
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    spectrum[(frequency < BAND_HZ[0]) | (frequency > BAND_HZ[1])] = 0
    return np.asarray(np.fft.irfft(spectrum, len(samples)), np.float32)
