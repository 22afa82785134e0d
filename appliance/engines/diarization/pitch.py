"""Pitch: how high somebody speaks, by the autocorrelation of short frames."""

from __future__ import annotations

import numpy as np

from appliance.engines.speech import SAMPLE_RATE, Samples

FRAME, STEP = SAMPLE_RATE // 25, SAMPLE_RATE // 100
"""40 ms hold two periods of the deepest voice."""

LOWEST_HZ, HIGHEST_HZ = 60, 400

VOICED = 0.6
"""Least autocorrelation at the period, of that at none: vowels reach it, hisses and noise do not."""

LOUD = 0.4
"""Share of a stretch's frames that are too quiet to count."""


def median_pitch(samples: Samples) -> float:
    """The natural logarithm of the median pitch in Hz; NaN where nothing is voiced."""
    if len(samples) < FRAME:
        return float("nan")
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::STEP].astype(np.float64)
    frames = frames - frames.mean(axis=1, keepdims=True)
    power = (frames**2).mean(axis=1)
    spectrum = np.fft.rfft(frames, 2 * FRAME)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    shortest, longest = SAMPLE_RATE // HIGHEST_HZ, SAMPLE_RATE // LOWEST_HZ
    periods = correlation[:, shortest:longest].argmax(axis=1) + shortest
    strength = correlation[np.arange(len(frames)), periods] / (correlation[:, 0] + 1e-9)
    voiced = periods[(strength > VOICED) & (power > np.quantile(power, LOUD))]
    return float(np.median(np.log(SAMPLE_RATE / voiced))) if len(voiced) else float("nan")
