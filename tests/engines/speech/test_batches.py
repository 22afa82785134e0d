"""Several stretches of speech at once, as a card is used: the same words, times and limits as one by one."""

from __future__ import annotations

from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import jiwer
import pytest

from appliance.config import Settings
from appliance.engines import audio
from appliance.engines.speech import Samples, SpeechEngine, Transcription, faster_whisper
from appliance.engines.speech.chunks import Chunk, chunks_of
from appliance.engines.speech.guard import plain
from appliance.engines.speech.weights import open_engine
from appliance.engines.voice_activity import speech_regions
from appliance.errors import EngineError
from appliance.pipeline.equipment import Equipment
from tests.conftest import SAMPLES

NAMES = ("ru-trade-in.mp3", "ru-complaint.wav", "en-complaint.wav", "en-loan.m4a")


@pytest.fixture(scope="module")
def alone(demo_weights: Path) -> SpeechEngine:
    return open_engine(demo_weights / "ct2", threads=2)


@pytest.fixture
def together(demo_weights: Path) -> SpeechEngine:
    return open_engine(demo_weights / "ct2", threads=2, batch=4)


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> list[Samples]:
    decoded = tmp_path_factory.mktemp("batches") / "samples.s16"
    found = []
    for name in NAMES:
        count = audio.decode(SAMPLES / name, decoded)
        found += [audio.samples_of(decoded, count, number) for number in range(count)]
    return found


@pytest.fixture(scope="module")
def chunks(channels: list[Samples]) -> list[Chunk]:
    return chunks_of(channels[0], speech_regions(channels[0]), 12_000)[:3]


def words_of(found: Transcription) -> list[tuple[str, int]]:
    return [(plain(word.text), word.start_ms) for segment in found.segments for word in segment.words]


def test_a_batch_says_the_same_as_its_chunks_one_by_one(
    alone: SpeechEngine, together: SpeechEngine, channels: list[Samples]
) -> None:
    texts: dict[str, list[str]] = {"alone": [], "together": []}
    times: list[int] = []
    for samples in channels:
        single, batched = (engine.transcribe(samples, languages=("ru", "en")) for engine in (alone, together))
        assert (batched.language, len(batched.segments) > 3) == (single.language, True)
        texts["alone"].append(" ".join(word for word, _ in words_of(single)))
        texts["together"].append(" ".join(word for word, _ in words_of(batched)))
        starts = [segment.start_ms for segment in batched.segments]
        assert starts == sorted(starts)
        for segment in batched.segments:
            assert 0 <= segment.start_ms <= segment.end_ms <= len(samples) // 16 + 1
            assert all(segment.start_ms <= w.start_ms <= w.end_ms <= segment.end_ms for w in segment.words)
        before, after = words_of(single), words_of(batched)
        matcher = SequenceMatcher(None, [word for word, _ in before], [word for word, _ in after], autojunk=False)
        times += [
            abs(before[block.a + n][1] - after[block.b + n][1])
            for block in matcher.get_matching_blocks()
            for n in range(block.size)
        ]
    assert sum(time <= 300 for time in times) >= 0.9 * len(times)
    assert jiwer.wer(texts["alone"], texts["together"]) <= 0.01


def test_what_a_batch_is_unsure_of_is_heard_alone(
    alone: Any, together: Any, chunks: list[Chunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library tries other temperatures for a window alone only: with every text unsure, all come out as alone."""
    monkeypatch.setattr(faster_whisper, "LEAST_LOGPROB", 0.0)
    monkeypatch.setattr(faster_whisper, "TEMPERATURES", (0.0,))
    assert together.recognise(chunks, "ru") == alone.recognise(chunks, "ru")


def test_a_card_without_memory_takes_fewer_at_a_time(
    together: Any, chunks: list[Chunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(chunks) > 1
    whole = together.recognise(chunks, "ru")
    seen, most = [], 1
    model, real = together._model.model, together._model.model.generate

    class Card:
        def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> Any:
            seen.append(len(prompts))
            if len(prompts) > most:
                raise RuntimeError("CUDA failed with error out of memory")
            return real(features, prompts, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(model, name)

    monkeypatch.setattr(together._model, "model", Card())
    assert [[s.text for s in of_one] for of_one in together.recognise(chunks, "ru")] == [
        [s.text for s in of_one] for of_one in whole
    ]
    assert seen == [len(chunks), *[1 for _ in chunks]]
    most = 0
    with pytest.raises(EngineError, match="out of memory") as caught:
        together.recognise(chunks, "ru")
    assert caught.value.retryable


def test_the_setting_says_how_many(demo_weights: Path) -> None:
    settings = Settings.offline().model_copy(update={"speech_batch_size": 4})
    for weights, batch in (("ct2", 4), ("ggml-demo.bin", 1)):
        update = {"whisper_model_path": str(demo_weights / weights)}
        engine: Any = Equipment(settings.model_copy(update=update), stored=False).speech
        assert engine.batch == batch
    assert faster_whisper.FasterWhisper(demo_weights / "ct2", "demo", device="cpu").batch == 1
