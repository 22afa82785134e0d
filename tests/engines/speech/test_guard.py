"""What Whisper invents is taken out and recorded; what people say stays."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.engines.speech import SAMPLE_RATE, Samples, SpokenSegment, Word
from appliance.engines.speech.guard import guarded
from appliance.engines.speech.weights import open_engine

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


def silence() -> Samples:
    return np.zeros(MINUTES * 60 * SAMPLE_RATE, np.float32)


def noise() -> Samples:
    return np.random.default_rng(0).normal(0, 0.05, MINUTES * 60 * SAMPLE_RATE).astype(np.float32)


def ringback() -> Samples:
    """425 Hz, one second in five, as Russian exchanges ring."""
    at = np.arange(MINUTES * 60 * SAMPLE_RATE) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * 425 * at) * (at % 5 < 1)).astype(np.float32)


def hold_music() -> Samples:
    """A melody over chords, in decaying notes with overtones."""
    random = np.random.default_rng(1)
    scale = [261.6, 293.7, 329.6, 349.2, 392.0, 440.0, 493.9, 523.3]
    sound = np.zeros((MINUTES * 60 + 3) * SAMPLE_RATE, np.float32)
    at = 0
    while at < MINUTES * 60 * SAMPLE_RATE:
        length = int(SAMPLE_RATE * 0.55 * random.choice([0.5, 1, 2]))
        t = np.arange(length) / SAMPLE_RATE
        root = random.choice(scale)
        for pitch, strength in ((root, 1.0), (root * 1.25, 0.5), (root * 1.5, 0.5)):
            overtones = sum(np.sin(2 * np.pi * pitch * k * t) / k**1.2 for k in range(1, 6))
            sound[at : at + length] += strength * np.minimum(1, t / 0.01) * np.exp(-3 * t) * overtones
        at += length
    return 0.3 * sound / np.abs(sound).max()


@pytest.mark.parametrize("make", [silence, noise, ringback, hold_music])
def test_ten_minutes_without_speech_say_nothing(make: object, engines_of_the_demo: list[object]) -> None:
    samples = make()  # type: ignore[operator]
    for engine in engines_of_the_demo:
        assert engine.transcribe(samples, languages=("ru", "en")).segments == ()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def engines_of_the_demo(demo_weights: object) -> list[object]:
    return [open_engine(demo_weights / name, threads=2) for name in ("ct2", "ggml-demo.bin")]  # type: ignore[operator]
