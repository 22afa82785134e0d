"""Silence is cut out of what the engines hear, and times come back as they were."""

from __future__ import annotations

import numpy as np

from appliance.engines.speech import SAMPLE_RATE
from appliance.engines.speech.chunks import KEPT_PAUSE_MS, chunks_of, skipped
from appliance.engines.voice_activity import Region

SAMPLES = np.arange(60 * SAMPLE_RATE, dtype=np.float32)
REGIONS = [Region(1000, 3000), Region(9000, 11_000)]


def test_a_long_silence_is_shortened_and_times_return() -> None:
    (chunk,) = chunks_of(SAMPLES, REGIONS)
    assert chunk.duration_ms == 4000 + KEPT_PAUSE_MS
    assert chunk.original_ms(0) == 1000
    assert chunk.original_ms(2000 + KEPT_PAUSE_MS + 500) == 9500
    assert chunk.samples[2000 * 16 + KEPT_PAUSE_MS * 16] == 9000 * 16


def test_an_end_in_the_pause_does_not_take_the_silence_along() -> None:
    (chunk,) = chunks_of(SAMPLES, REGIONS)
    assert chunk.original_span(1500, 2100) == (2500, 3000)
    assert chunk.original_span(1500, 2000 + KEPT_PAUSE_MS + 400) == (2500, 9400)


def test_chunks_are_no_longer_than_asked_and_lose_nothing() -> None:
    chunks = chunks_of(SAMPLES, [Region(0, 50_000)], 12_000)
    assert [chunk.duration_ms for chunk in chunks] == [12_000] * 4 + [2000]
    assert chunks_of(SAMPLES, []) == []


def test_speech_without_words_is_found() -> None:
    (chunk,) = chunks_of(SAMPLES, REGIONS)
    (rest,) = skipped(chunk, [(0, 2000)])
    assert (rest.original_ms(KEPT_PAUSE_MS), rest.original_ms(rest.duration_ms)) == (9000, 11_000)
    assert skipped(chunk, [(0, 2000), (2500, 4500)]) == []
