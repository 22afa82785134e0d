"""People change the language within a call: each segment says which it is in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from appliance.engines import audio
from appliance.engines.speech import SAMPLE_RATE, Samples, SpeechEngine, SpokenSegment, Transcription
from appliance.engines.speech.chunks import Chunk, Piece
from appliance.engines.speech.recognition import SpokenLanguages
from appliance.engines.speech.weights import open_engine
from tests.conftest import SAMPLES

WEIGHTS = ("ct2", "ggml-demo.bin")


@pytest.fixture(scope="module", params=WEIGHTS)
def engine(request: pytest.FixtureRequest, demo_weights: Path) -> SpeechEngine:
    return open_engine(demo_weights / request.param, threads=2)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Samples]:
    decoded = tmp_path_factory.mktemp("languages") / "samples.s16"
    names = {"ru": "ru-test-drive.mp3", "en": "en-loan.m4a"}
    return {
        language: audio.samples_of(decoded, audio.decode(SAMPLES / name, decoded), 0)
        for language, name in names.items()
    }


def languages_of(found: Transcription, start_ms: float, end_ms: float) -> set[str]:
    return {part.language for part in found.segments if start_ms <= part.start_ms and part.end_ms <= end_ms}


@pytest.mark.parametrize(("first", "second"), [("ru", "en"), ("en", "ru")])
def test_each_segment_is_in_the_language_that_is_spoken_in_it(
    engine: SpeechEngine, sounds: dict[str, Samples], first: str, second: str
) -> None:
    """The call's language is that of most speech, whichever came first."""
    short = sounds[first][: 20 * SAMPLE_RATE]
    pause = np.zeros(2 * SAMPLE_RATE, np.float32)
    found = engine.transcribe(np.concatenate([short, pause, sounds[second]]), languages=("ru", "en", "kk"))
    border_ms, window_ms = 21_000, 12_000
    assert languages_of(found, 0, border_ms - window_ms) == {first}
    assert languages_of(found, border_ms + window_ms, 600_000) == {second}
    assert found.language == second
    text = " ".join(segment.text for segment in found.segments if segment.start_ms > border_ms + window_ms)
    alone = engine.transcribe(sounds[second], languages=(second,))
    said = " ".join(segment.text for segment in alone.segments)
    # The chunks are others, as they begin elsewhere.
    assert sum(word in said for word in text.split()) > 0.95 * len(text.split()) > 20


def test_no_language_is_guessed_beyond_the_allowed_ones(engine: SpeechEngine, sounds: dict[str, Samples]) -> None:
    found = engine.transcribe(np.concatenate([sounds["en"][: 12 * SAMPLE_RATE], sounds["ru"]]), languages=("ru", "kk"))
    assert {segment.language for segment in found.segments} <= {"ru", "kk"}
    assert found.language == "ru"


class Ears:
    """Hears each chunk in the language that it is told to, so surely."""

    longest_ms = 28_000
    takes_hot_words = False
    batch = 1

    def __init__(self, *heard: Mapping[str, float]) -> None:
        self.heard, self.asked = list(heard), 0

    def language_probabilities(self, chunks: Sequence[Chunk]) -> list[dict[str, float]]:
        self.asked += len(chunks)
        return [dict(self.heard[int(chunk.samples[0])]) for chunk in chunks]

    def recognise(
        self, chunks: Sequence[Chunk], language: str, hot_words: Sequence[str] = ()
    ) -> list[list[SpokenSegment]]:
        raise NotImplementedError


def chunks_of(*lengths_ms: int) -> list[Chunk]:
    """Chunks one after the other; the samples of each are its number."""
    sound = np.repeat(np.arange(len(lengths_ms), dtype=np.float32), [16 * length_ms for length_ms in lengths_ms])
    starts = [sum(lengths_ms[:n]) for n in range(len(lengths_ms))]
    return [Chunk(sound, (Piece(0, start, start + length),)) for start, length in zip(starts, lengths_ms, strict=True)]


def told(ears: Ears, chunks: Sequence[Chunk], *languages: str) -> list[str]:
    spoken = SpokenLanguages(ears, chunks, languages)
    return [language for chunk in chunks for language in spoken.by_language([chunk])]


RUSSIAN, ENGLISH, UNSURE = {"ru": 0.97, "en": 0.02, "fr": 0.01}, {"en": 0.9, "ru": 0.05}, {"en": 0.5, "ru": 0.45}


def test_a_chunk_that_is_unsure_or_short_is_in_the_language_of_the_one_before() -> None:
    chunks = chunks_of(20_000, 20_000, 20_000, 20_000, 2000, 25_000)
    ears = Ears(RUSSIAN, UNSURE, ENGLISH, UNSURE, RUSSIAN, RUSSIAN)
    assert told(ears, chunks, "ru", "en") == ["ru", "ru", "en", "en", "en", "ru"]
    assert ears.asked == len(chunks), "each chunk is listened to once"


def test_a_language_that_is_not_allowed_takes_nothing_from_the_others() -> None:
    strange = {"uk": 0.9, "ru": 0.09, "en": 0.01}
    assert told(Ears(RUSSIAN, strange), chunks_of(20_000, 20_000), "en", "ru") == ["ru", "ru"]
    assert told(Ears(ENGLISH, strange), chunks_of(20_000, 20_000), "en", "ru") == ["en", "ru"]
    assert told(Ears(ENGLISH, strange), chunks_of(20_000, 20_000)) == ["en", "uk"]


def test_one_allowed_language_needs_no_guess() -> None:
    ears = Ears(ENGLISH, ENGLISH)
    assert told(ears, chunks_of(20_000, 20_000), "kk") == ["kk", "kk"]
    assert ears.asked == 0


def test_weights_that_know_none_of_the_allowed_languages_do_not_fail() -> None:
    assert told(Ears({"en": 1.0}), chunks_of(20_000), "ru", "kk") == ["ru"]


def test_a_window_is_encoded_once_for_its_language_and_its_words(
    demo_weights: Path, sounds: dict[str, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(demo_weights / "ct2", threads=2)
    seen: list[int] = []
    encoder = engine._model.encode  # type: ignore[attr-defined]
    real = encoder._encode
    monkeypatch.setattr(encoder, "_encode", lambda features: (seen.append(1), real(features))[1])
    engine.transcribe(sounds["ru"], languages=("ru",))
    alone = len(seen)
    engine.transcribe(sounds["ru"], languages=("ru", "en"))
    # The first chunks are looked at together, to know what is spoken at first.
    assert alone <= len(seen) - alone <= alone + 2
