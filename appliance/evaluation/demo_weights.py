"""The demo weights' own measure: calls mixed from sentences and voice settings that training never saw.

The test utterances are those of weights/demo/training/synthesise.py (split `test`), in weights/demo/test.npz: 16 kHz
int16 samples one after the other, their offsets, languages and texts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from appliance.engines.speech import SAMPLE_RATE, Samples
from appliance.evaluation.speech import Item

UTTERANCES = (4, 8)
"""Fewest and most utterances of one mixed call."""

NOISE_DB = 10.0
"""Speech over noise in the telephone condition."""

BAND_HZ = (300, 3400)


def mixes(test_set: Path) -> Iterator[Item]:
    """Calls in each language, clean and through a telephone band with noise; the same ones at every run."""
    stored = np.load(test_set)
    rng, noise = random.Random(7), np.random.default_rng(7)  # noqa: S311 - repeatable, not secret
    for language in ("ru", "en"):
        numbers = [n for n, code in enumerate(stored["language"]) if code == language]
        while numbers:
            count = rng.randint(*UTTERANCES)
            chosen, numbers = numbers[:count], numbers[count:]
            samples, text = _call(stored, chosen, rng)
            yield Item(samples, text, language, f"{language}, clean")
            yield Item(telephone(samples, noise), text, language, f"{language}, telephone with noise")


def _call(stored: Any, numbers: Sequence[int], rng: random.Random) -> tuple[Samples, str]:
    parts: list[Samples] = [np.zeros(SAMPLE_RATE // 2, np.float32)]
    for n in numbers:
        voice = stored["pcm"][stored["offsets"][n] : stored["offsets"][n + 1]].astype(np.float32) / 32768
        parts += [
            voice * np.float32(rng.uniform(0.4, 0.9)),
            np.zeros(int(rng.uniform(0.3, 0.9) * SAMPLE_RATE), np.float32),
        ]
    return np.concatenate(parts), " ".join(str(stored["text"][n]) for n in numbers)


def telephone(samples: Samples, noise: np.random.Generator) -> Samples:
    """White noise at NOISE_DB below speech, then 300-3400 Hz and 8-bit mu-law (ITU-T G.711)."""
    voiced = samples[np.abs(samples) > 1e-3]
    level = float(np.sqrt(np.mean(voiced**2))) * 10 ** (-NOISE_DB / 20)
    noisy = samples + noise.normal(0, level, len(samples)).astype(np.float32)
    spectrum = np.fft.rfft(noisy)
    frequency = np.fft.rfftfreq(len(noisy), 1 / SAMPLE_RATE)
    spectrum[(frequency < BAND_HZ[0]) | (frequency > BAND_HZ[1])] = 0
    band = np.fft.irfft(spectrum, len(noisy)).clip(-1, 1)
    curved = np.round(np.sign(band) * np.log1p(255 * np.abs(band)) / np.log(256) * 127) / 127
    return (np.sign(curved) * (np.power(256, np.abs(curved)) - 1) / 255).astype(np.float32)
