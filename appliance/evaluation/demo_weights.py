"""The demo weights' own measure: calls mixed from sentences and voice settings that training never saw.

The test utterances are those of weights/demo/training/synthesise.py (split `test`): weights/demo/test.mp3 has them one
after the other, test.json their borders, languages and texts.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from appliance.engines import audio
from appliance.engines.speech import SAMPLE_RATE, Samples
from appliance.engines.telephone import in_band
from appliance.evaluation.speech import Item

UTTERANCES = (4, 8)
"""Fewest and most utterances of one mixed call."""

NOISE_DB = 10.0
"""Speech over noise in the telephone condition."""


def mixes(folder: Path) -> Iterator[Item]:
    """Calls in each language, clean and through a telephone band with noise; the same ones at every run."""
    listed = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        decoded = Path(scratch) / "samples.s16"
        sound = audio.samples_of(decoded, audio.decode(folder / "test.mp3", decoded), 0)
    rng, noise = random.Random(7), np.random.default_rng(7)  # noqa: S311 - repeatable, not secret
    for language in ("ru", "en"):
        left = [utterance for utterance in listed if utterance["language"] == language]
        while left:
            count = rng.randint(*UTTERANCES)
            chosen, left = left[:count], left[count:]
            samples, text = _call(sound, chosen, rng)
            yield Item(samples, text, language, f"{language}, clean")
            yield Item(telephone(samples, noise), text, language, f"{language}, telephone with noise")


def _call(sound: Samples, utterances: Sequence[dict[str, Any]], rng: random.Random) -> tuple[Samples, str]:
    per_ms = SAMPLE_RATE // 1000
    parts: list[Samples] = [np.zeros(SAMPLE_RATE // 2, np.float32)]
    for utterance in utterances:
        voice = sound[utterance["start_ms"] * per_ms : utterance["end_ms"] * per_ms]
        pause = np.zeros(int(rng.uniform(0.3, 0.9) * SAMPLE_RATE), np.float32)
        parts += [voice * np.float32(rng.uniform(0.4, 0.9)), pause]
    return np.concatenate(parts), " ".join(utterance["text"] for utterance in utterances)


def telephone(samples: Samples, noise: np.random.Generator) -> Samples:
    """White noise at NOISE_DB below speech, over a telephone line."""
    return in_telephone_band(with_noise(samples, noise))


def with_noise(samples: Samples, noise: np.random.Generator) -> Samples:
    """White noise at NOISE_DB below speech; pauses do not count as speech."""
    voiced = samples[np.abs(samples) > 1e-3]
    level = float(np.sqrt(np.mean(voiced**2))) * 10 ** (-NOISE_DB / 20)
    return samples + noise.normal(0, level, len(samples)).astype(np.float32)


def in_telephone_band(samples: Samples) -> Samples:
    """300-3400 Hz and 8-bit mu-law (ITU-T G.711)."""
    band = in_band(samples).clip(-1, 1)
    curved = np.round(np.sign(band) * np.log1p(255 * np.abs(band)) / np.log(256) * 127) / 127
    return np.asarray(np.sign(curved) * (np.power(256, np.abs(curved)) - 1) / 255, np.float32)
