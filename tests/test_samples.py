"""The sample calls: what dialogues.yaml and timings.yaml say of them is what is heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from appliance.engines import audio
from appliance.engines.speech import SAMPLE_RATE
from tests.conftest import SAMPLES

DIALOGUES = yaml.safe_load((SAMPLES / "dialogues.yaml").read_text(encoding="utf-8"))
TIMINGS = yaml.safe_load((SAMPLES / "timings.yaml").read_text(encoding="utf-8"))

CODEC_DELAY_MS = 100
"""What mp3 and aac may shift or smear."""


def loudness(samples: np.ndarray, start_ms: int, end_ms: int) -> float:
    part = samples[start_ms * SAMPLE_RATE // 1000 : end_ms * SAMPLE_RATE // 1000]
    return float(np.sqrt(np.mean(part.astype(np.float64) ** 2)))


@pytest.mark.parametrize("name", DIALOGUES)
def test_each_line_is_said_when_the_timings_say(name: str, tmp_path: Path) -> None:
    told, times = DIALOGUES[name], TIMINGS[name]
    assert len(times) == len(told["lines"])
    decoded = tmp_path / "samples.s16"
    count = audio.decode(SAMPLES / f"{name}.{told['sound']['file']}", decoded)
    assert count == told["sound"]["channels"]
    channels = [audio.samples_of(decoded, count, n) for n in range(count)]
    ends = [0, *(end for _, end in times)]
    for (speaker, _), (start, end), before in zip(told["lines"], times, ends, strict=False):
        own = channels["AB".index(speaker)] if count == 2 else channels[0]
        assert loudness(own, start, end) > 10 * loudness(own, before + CODEC_DELAY_MS, start - CODEC_DELAY_MS)
        if count == 2:
            assert loudness(own, start, end) > 10 * loudness(channels["BA".index(speaker)], start, end)
