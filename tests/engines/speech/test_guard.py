"""What Whisper invents is taken out and recorded; what people say stays."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest

from appliance.engines import audio
from appliance.engines.recall import Recall
from appliance.engines.speech import SAMPLE_RATE, Samples, SpeechEngine, SpokenSegment, Transcription, Word, guard
from appliance.engines.speech.guard import guarded
from appliance.engines.speech.weights import open_engine
from appliance.engines.voice_activity import speech_regions
from tests.conftest import SAMPLES
from tests.engines import music

MINUTES = 10


def said(text: str, length_ms: int = 4000, confidence: float = 0.9, no_speech: float = 0.0) -> SpokenSegment:
    pieces = text.split()
    step = length_ms // len(pieces)
    words = tuple(Word(t, n * step, (n + 1) * step, confidence) for n, t in enumerate(pieces))
    return SpokenSegment(0, length_ms, text, confidence, "ru", words, no_speech)


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        (said("Продолжение следует..."), "invention"),
        (said("Субтитры сделал DimaTorzok"), "invention"),
        (said("Субтитры создавал DimaTorzok."), "invention"),
        (said("Редактор субтитров А.Семкин Корректор А.Егорова"), "invention"),
        (said("Спасибо за просмотр!"), "invention"),
        (said("Thanks for watching!"), "invention"),
        (said("Subtitles by the Amara.org community"), "invention"),
        (said("[музыка]"), "invention"),
        (said("Спасибо.", confidence=0.3), "invention"),
        (said("мы вас слышим", confidence=0.3, no_speech=0.8), "no_speech"),
        (said("здравствуйте я хотел бы узнать цену на машину", length_ms=400), "word_rate"),
        (said("бабабабабабабабабабабабабабабабабабабабабабабабабабаба"), "repetition"),
    ],
)
def test_an_invention_goes_and_is_recorded(segment: SpokenSegment, reason: str) -> None:
    kept, removals = guarded([segment])
    assert kept == []
    assert {removal.reason for removal in removals} == {reason}
    assert " ".join(removal.text for removal in removals) == segment.text


@pytest.mark.parametrize(
    "text",
    [
        "Здравствуйте, автосалон, меня зовут Анна Смирнова, чем могу помочь?",
        "Да, да, да, да, слушаю вас.",
        "Спасибо.",
        "До свидания.",
        "Алло? Алло? Алло?",
        "Меня зовут Семкин, я звонил насчёт субтитров к фильму.",
        "Thank you very much.",
        "Ноль ноль ноль ноль пять.",
        "Продолжение следует обсудить с мастером.",
    ],
)
def test_what_people_say_stays(text: str) -> None:
    segment = said(text)
    assert guarded([segment]) == ([segment], [])


def test_an_invention_within_a_sentence_is_cut_out() -> None:
    kept, removals = guarded([said("Хорошо, до свидания. Субтитры сделал DimaTorzok", 6000)])
    assert [(segment.text, segment.start_ms, segment.end_ms) for segment in kept] == [("Хорошо, до свидания.", 0, 3000)]
    assert [(removal.text, removal.start_ms) for removal in removals] == [("Субтитры сделал DimaTorzok", 3000)]


def test_of_a_loop_its_first_turn_stays() -> None:
    kept, removals = guarded([said("я перезвоню вам " * 6, 9000)])
    assert [segment.text for segment in kept] == ["я перезвоню вам"]
    assert [removal.reason for removal in removals] == ["repetition"]
    assert removals[0].text == " ".join(["я перезвоню вам"] * 5)


HOT_WORDS = {"ru": ("АвтоГрад Плюс", "Анна Смирнова", "Хавал", "Джулион", "Дарго", "Чери", "Тигго")}


def test_the_names_that_the_weights_were_told_of_are_taken_out_where_they_recite_them() -> None:
    told = guarded(
        [said("Анна Смирнова, Хавал, Джулион, Дарго, Чери"), said("Хорошо. Хавал, Джулион, Дарго, Чери")], HOT_WORDS
    )
    assert [segment.text for segment in told[0]] == ["Хорошо."]
    assert [(removal.reason, removal.text) for removal in told[1]] == [
        ("hot_words", "Анна Смирнова, Хавал, Джулион, Дарго, Чери"),
        ("hot_words", "Хавал, Джулион, Дарго, Чери"),
    ]
    doubted = said("Хавал, Дарго.", no_speech=0.5)
    assert [removal.reason for removal in guarded([doubted], HOT_WORDS)[1]] == ["hot_words"]


@pytest.mark.parametrize(
    "segment",
    [
        said("Хавал Джулион."),
        said("Хавал, Джулион, Дарго."),
        said("Есть Чери, Дарго, Джулион, Хавал и Тигго", 6000),
        said("Анна Смирнова, АвтоГрад Плюс, слушаю вас", no_speech=0.5),
        said("Хавал, Джулион.", confidence=0.3),
    ],
)
def test_names_that_people_say_stay(segment: SpokenSegment) -> None:
    assert guarded([segment], HOT_WORDS) == ([segment], [])


def silence(_folder: Path, length_s: int) -> Samples:
    return np.zeros(length_s * SAMPLE_RATE, np.float32)


def noise(_folder: Path, length_s: int) -> Samples:
    return np.random.default_rng(0).normal(0, 0.05, length_s * SAMPLE_RATE).astype(np.float32)


@pytest.mark.parametrize("make", [silence, noise, *music.PLAYED])
def test_ten_minutes_without_speech_say_nothing(
    make: Callable[[Path, int], Samples], engines: Sequence[SpeechEngine], tmp_path: Path
) -> None:
    _needs_sox()
    samples = make(tmp_path, MINUTES * 60)
    assert len(samples) == MINUTES * 60 * SAMPLE_RATE
    loudness = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
    assert (loudness > 0.02) == (make is not silence)
    recall = once()
    for engine in engines:
        found = engine.transcribe(samples, languages=("ru", "en"), recall=recall)
        assert (found.segments, found.removals) == ((), ())


@pytest.mark.parametrize("play", [music.guitar, music.band])
def test_music_on_hold_is_skipped_within_a_call(
    play: Callable[[Path, int], Samples], engines: Sequence[SpeechEngine], tmp_path: Path
) -> None:
    """A caller hears it ring, is put on hold for a minute between two sentences, and both engines write his words."""
    _needs_sox()
    decoded = tmp_path / "samples.s16"
    said = audio.samples_of(decoded, audio.decode(SAMPLES / "ru-wrong-number.wav", decoded), 0)
    regions = speech_regions(said)
    pause = max(pairwise(regions), key=lambda pair: pair[1].start_ms - pair[0].end_ms)
    cut = (pause[0].end_ms + pause[1].start_ms) // 2 * SAMPLE_RATE // 1000
    rings, held = music.ringback(tmp_path, 15), play(tmp_path, 60)
    samples = np.concatenate([rings, said[:cut], held, said[cut:]])
    begins_ms, ends_ms = (len(part) * 1000 // SAMPLE_RATE for part in (rings, samples[: -len(said[cut:])]))
    hold_ms = ends_ms - len(held) * 1000 // SAMPLE_RATE
    for engine in engines:
        plain, found = (engine.transcribe(heard, languages=("ru",)) for heard in (said, samples))
        words = [word for segment in found.segments for word in segment.words]
        assert len(words) > 10
        assert jiwer.wer(*(plain_text(one) for one in (plain, found))) <= 0.1
        assert [word.text for word in words if word.end_ms <= begins_ms] == []
        assert [word.text for word in words if hold_ms + 500 < word.start_ms and word.end_ms < ends_ms - 500] == []


def plain_text(found: Transcription) -> str:
    return guard.plain(" ".join(segment.text for segment in found.segments))


def once() -> Recall:
    """Both engines look for voices alike: the second one is told what the first one found."""
    kept: dict[str, Any] = {}

    def recall(question: Any, work: Callable[[], Any]) -> Any:
        if question[0] != "speech":
            return work()
        if str(question) not in kept:
            kept[str(question)] = work()
        return kept[str(question)]

    return recall


def _needs_sox() -> None:
    if not shutil.which("sox"):
        pytest.skip("NO SOX: `make test` installs what makes the music")


@pytest.fixture(scope="module")
def engines(demo_weights: Path) -> list[SpeechEngine]:
    return [open_engine(demo_weights / name, threads=2) for name in ("ct2", "ggml-demo.bin")]
