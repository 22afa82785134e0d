"""Two voices that the encoder takes for one are parted by words, pitch and what is left of their difference."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from appliance.config import Settings
from appliance.engines import audio
from appliance.engines.diarization.alike import Sentence, parted, probabilities, sentences_of
from appliance.engines.diarization.clustering import ClusteringDiarizer
from appliance.engines.diarization.embedding import VoiceEncoder
from appliance.engines.diarization.pitch import median_pitch
from appliance.engines.speech import SAMPLE_RATE, Samples, SpokenSegment, Word
from appliance.evaluation.sets import read_set
from appliance.evaluation.synthetic import make
from appliance.evaluation.transcripts import measure
from appliance.pipeline.equipment import SPEAKER_WEIGHTS, Equipment

MANAGER, CLIENT = "Чем могу помочь?", "Меня интересует Веста."
NEITHER = "Да, хорошо."


def segment(start_ms: int, end_ms: int, text: str) -> SpokenSegment:
    return SpokenSegment(start_ms, end_ms, text, 0.9, "ru", ())


def faster(samples: Samples, by: float) -> Samples:
    """The same in a higher voice."""
    at = np.arange(0, len(samples) - 1, by)
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


def test_pitch_is_found_and_silence_has_none() -> None:
    seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    for hertz in (85, 120, 210, 330):
        voice = sum(np.sin(2 * np.pi * hertz * n * seconds) / n for n in range(1, 6)).astype(np.float32)
        assert np.exp(median_pitch(0.1 * voice)) == pytest.approx(hertz, rel=0.02)
    assert np.isnan(median_pitch(np.zeros(SAMPLE_RATE, np.float32)))
    assert np.isnan(median_pitch(np.zeros(10, np.float32)))
    hiss = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    assert np.isnan(median_pitch(hiss))


@pytest.mark.parametrize(("name", "higher"), [("katie", 1.14), ("steve", 1.10)])
def test_one_person_in_two_voices(recordings: Path, tmp_path: Path, name: str, higher: float) -> None:
    """A real voice, every other stretch a little higher: one for the encoder, parted by three plain sentences."""
    file = recordings / f"en/enrollment_audio_{name}.wav"
    decoded = tmp_path / "samples.s16"
    whole = audio.samples_of(decoded, audio.decode(file, decoded), 0)
    parts, segments, truth, at = [], [], [], 0
    for number, start_s in enumerate(range(1, 17, 2)):
        said = whole[start_s * SAMPLE_RATE : (start_s + 2) * SAMPLE_RATE]
        if number % 2:
            said = faster(said, higher)
        text = {0: MANAGER, 1: CLIENT, 3: CLIENT}.get(number, NEITHER)
        segments.append(segment(at * 1000 // SAMPLE_RATE, (at + len(said)) * 1000 // SAMPLE_RATE, text))
        truth.append(number % 2)
        parts += [said, np.zeros(SAMPLE_RATE // 2, np.float32)]
        at += len(said) + SAMPLE_RATE // 2
    samples, encoder = np.concatenate(parts), VoiceEncoder(SPEAKER_WEIGHTS)
    assert {turn.speaker for turn in ClusteringDiarizer(encoder).diarize(samples)} == {0}
    turns = parted(samples, segments, encoder)
    found = [next(t.speaker for t in turns if t.start_ms <= s.start_ms < t.end_ms) for s in segments]
    assert found == truth


def test_words_beyond_doubt_teach_how_each_sounds() -> None:
    rng = np.random.default_rng(3)
    who = np.array([1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 0])
    sounds = np.column_stack([rng.normal(0, 0.1, (12, 3)), 4.7 + 0.15 * who + rng.normal(0, 0.02, 12)])
    leads = np.array([4.0, -4.0, *[0.0] * 10])
    for sign in (1, -1):
        sentences = [Sentence(n * 1000, n * 1000 + 900, sign * lead, asks=False) for n, lead in enumerate(leads)]
        expected = who if sign == 1 else 1 - who
        assert ((probabilities(sounds, sentences) > 0.5) == expected).all()


def test_segments_are_cut_into_sentences() -> None:
    words = [("Чем", 0), ("могу", 300), ("помочь?", 600), ("Меня", 1500), ("интересует", 1800), ("Веста", 2400)]
    heard = SpokenSegment(
        0, 3000, " ".join(text for text, _ in words), 0.9, "ru", tuple(Word(t, ms, ms + 250, 0.9) for t, ms in words)
    )
    first, second = sentences_of([heard])
    assert (first.start_ms, first.end_ms, first.asks) == (0, 850, True)
    assert (second.start_ms, second.end_ms, second.asks) == (850, 3000, False)
    assert first.lead > 0 > second.lead


def test_little_said_is_one_voice() -> None:
    encoder = VoiceEncoder(SPEAKER_WEIGHTS)
    silence = np.zeros(SAMPLE_RATE, np.float32)
    assert parted(silence, [], encoder) == []
    assert [t.speaker for t in parted(silence, [segment(0, 900, "Алло")], encoder)] == [0]
    assert len(parted(silence, [segment(0, 400, MANAGER), segment(400, 900, CLIENT)], encoder)) == 2


def test_an_invented_call_in_two_alike_voices_gets_its_roles(tmp_path: Path) -> None:
    if not shutil.which("espeak-ng"):
        pytest.skip("NO ESPEAK-NG: calls cannot be spoken here")
    list(make(4, tmp_path, ["mono-clean"]))
    alike = [recording for recording in read_set(tmp_path) if recording.name == "en-003-mono-clean"]
    (score,) = measure("demo", Equipment(Settings.offline(), stored=False), alike, lambda _: None).files
    assert score.role_right
    assert score.der_collar is not None
    assert score.der_collar.total < 0.15
