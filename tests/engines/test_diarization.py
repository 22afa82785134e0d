"""Voices told apart on real recordings and on the sample calls."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from appliance.engines import audio
from appliance.engines.diarization import SpeakerTurn
from appliance.engines.diarization.attribution import attribute, merge_channels
from appliance.engines.diarization.clustering import ClusteringDiarizer
from appliance.engines.diarization.embedding import VoiceEncoder
from appliance.engines.diarization.turns import bridged
from appliance.engines.speech import SAMPLE_RATE, Samples, SpokenSegment, Word
from appliance.engines.voice_activity import speech_regions
from appliance.errors import EngineError
from appliance.evaluation.diarization import error_rate
from appliance.evaluation.sets import read_rttm
from appliance.pipeline.equipment import SPEAKER_WEIGHTS
from tests.conftest import SAMPLES


@pytest.fixture(scope="module")
def diarizer() -> ClusteringDiarizer:
    return ClusteringDiarizer(VoiceEncoder(SPEAKER_WEIGHTS))


def samples_of(file: Path, scratch: Path) -> Samples:
    """A recording as one channel, stereo mixed."""
    decoded = scratch / "samples.s16"
    count = audio.decode(file, decoded)
    return np.mean([audio.samples_of(decoded, count, n) for n in range(count)], axis=0, dtype=np.float32)


def loud_stretches(samples: Samples, below_loudest_db: float = 25.0) -> list[SpeakerTurn]:
    """The plainest of baselines: whatever is loud is speech, all of it one person's. Frames of 20 ms."""
    frame_ms = 20
    length = frame_ms * SAMPLE_RATE // 1000
    frames = samples[: len(samples) // length * length].reshape(-1, length)
    level = 10 * np.log10((frames**2).mean(axis=1) + 1e-10)
    loud = np.flatnonzero(level > np.percentile(level, 95) - below_loudest_db)
    return [SpeakerTurn(int(n) * frame_ms, int(n + 1) * frame_ms, 0) for n in loud]


@pytest.mark.parametrize(
    ("name", "rttm", "uri", "limit"),
    [
        ("pyannote/sample.wav", "pyannote/sample.rttm", None, 0.25),
        ("calls_en/Auto_Repairs_40_UTC.wav", "calls_en/Auto_Repairs_40_UTC.vad.rttm", None, 0.15),
        ("pyannote/dev00.wav", "pyannote/debug.development.rttm", "dev00", 0.25),
        ("pyannote/dev01.wav", "pyannote/debug.development.rttm", "dev01", 0.25),
    ],
)
def test_error_rate_on_real_recordings(
    recordings: Path, diarizer: ClusteringDiarizer, tmp_path: Path, name: str, rttm: str, uri: str | None, limit: float
) -> None:
    samples = samples_of(recordings / name, tmp_path)
    reference = read_rttm(recordings / rttm, uri)
    found = diarizer.diarize(samples)
    one = [SpeakerTurn(region.start_ms, region.end_ms, 0) for region in speech_regions(samples)]
    strict, lenient = error_rate(reference, found), error_rate(reference, found, collar_ms=250)
    alternating = [SpeakerTurn(turn.start_ms, turn.end_ms, n % 2) for n, turn in enumerate(one)]
    baselines = {"one speaker": one, "loud is one speaker": loud_stretches(samples), "turns alternate": alternating}
    trivial = {baseline: error_rate(reference, turns).total for baseline, turns in baselines.items()}
    parts = f"missed {strict.missed:.1%}, invented {strict.false_alarm:.1%}, confused {strict.confusion:.1%}"
    print(f"{name}: DER {strict.total:.1%} ({parts}), with collar {lenient.total:.1%}")
    print("  " + ", ".join(f"{baseline} {rate:.1%}" for baseline, rate in trivial.items()))
    assert strict.total < limit
    assert strict.total < min(trivial.values())


def test_turns_are_in_order_and_do_not_overlap(diarizer: ClusteringDiarizer, tmp_path: Path) -> None:
    turns = diarizer.diarize(samples_of(SAMPLES / "ru-test-drive.mp3", tmp_path))
    assert {turn.speaker for turn in turns} == {0, 1}
    assert turns[0].speaker == 0
    for before, after in pairwise(turns):
        assert before.start_ms < before.end_ms <= after.start_ms


def test_a_breath_within_a_turn_is_no_end_of_it() -> None:
    told = [(0, 900, 0), (1800, 2400, 0), (3400, 4000, 0), (4000, 5000, 1), (5300, 6000, 0), (6200, 7000, 1)]
    assert bridged([SpeakerTurn(*turn) for turn in told]) == [
        SpeakerTurn(*turn) for turn in [(0, 2400, 0), (3400, 4000, 0), *told[3:]]
    ]


@pytest.mark.parametrize(
    "name", ["en/enrollment_audio_katie.wav", "en/enrollment_audio_steve.wav", "ru/tinkoff_sample_3.wav"]
)
def test_one_voice_stays_one(recordings: Path, diarizer: ClusteringDiarizer, tmp_path: Path, name: str) -> None:
    assert {turn.speaker for turn in diarizer.diarize(samples_of(recordings / name, tmp_path))} == {0}


def test_nobody_speaks(diarizer: ClusteringDiarizer) -> None:
    assert diarizer.diarize(np.zeros(5 * SAMPLE_RATE, np.float32)) == []
    assert diarizer.diarize(np.zeros(0, np.float32)) == []


def test_weights_that_cannot_be_loaded_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="cannot be loaded"):
        VoiceEncoder(tmp_path / "x.onnx")


def test_voice_activity_finds_speech_and_nothing_else(recordings: Path, tmp_path: Path) -> None:
    spoken = sum(end - start for start, end, _ in read_rttm(recordings / "pyannote/sample.rttm"))
    found = speech_regions(samples_of(recordings / "pyannote/sample.wav", tmp_path))
    assert abs(sum(region.end_ms - region.start_ms for region in found) - spoken) < 0.1 * spoken
    assert speech_regions(samples_of(recordings / "ru/pisets_test_silence.wav", tmp_path)) == []
    tone = 0.3 * np.sin(2 * np.pi * 425 * np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE)
    assert speech_regions(tone.astype(np.float32)) == []


def said(start_ms: int, end_ms: int, text: str) -> SpokenSegment:
    pieces = text.split()
    step = (end_ms - start_ms) // len(pieces)
    words = tuple(Word(t, start_ms + n * step, start_ms + (n + 1) * step, 0.9) for n, t in enumerate(pieces))
    return SpokenSegment(start_ms, end_ms, text, 0.9, "ru", words)


def test_words_go_to_whoever_speaks() -> None:
    turns = [SpeakerTurn(0, 2000, 0), SpeakerTurn(2200, 4000, 1)]
    found = attribute([said(0, 1900, "добрый день автосалон"), said(2200, 4000, "здравствуйте меня интересует")], turns)
    assert [(s.speaker, s.text) for s in found] == [(0, "добрый день автосалон"), (1, "здравствуйте меня интересует")]


def test_a_segment_over_two_voices_is_parted() -> None:
    turns = [SpeakerTurn(0, 2000, 0), SpeakerTurn(2000, 4000, 1)]
    found = attribute([said(0, 4000, "да слушаю вас меня интересует эта машина")], turns)
    assert [s.speaker for s in found] == [0, 1]
    assert " ".join(s.text for s in found) == "да слушаю вас меня интересует эта машина"


def test_nothing_is_lost_without_turns_or_words() -> None:
    bare = SpokenSegment(0, 1000, "алло", 0.5, "ru", ())
    assert [(s.speaker, s.text) for s in attribute([bare], [])] == [(0, "алло")]
    assert attribute([], [SpeakerTurn(0, 1000, 0)]) == []


def test_channels_are_merged_in_order_and_overlaps_kept() -> None:
    merged = merge_channels([said(0, 3000, "я хочу записаться")], [said(1000, 2000, "да конечно")])
    assert [(s.speaker, s.start_ms, s.end_ms) for s in merged] == [(0, 0, 3000), (1, 1000, 2000)]


def test_error_rate_of_known_cases() -> None:
    reference = [(0, 1000, "a"), (1000, 2000, "b")]
    same = [SpeakerTurn(0, 1000, 1), SpeakerTurn(1000, 2000, 0)]
    assert error_rate(reference, same).total == 0
    assert error_rate(reference, [SpeakerTurn(0, 2000, 0)]).confusion == 0.5
    late = [SpeakerTurn(0, 1200, 0), SpeakerTurn(1200, 2000, 1)]  # the border 0.2 s late
    assert error_rate(reference, late).confusion == pytest.approx(0.1)
    assert error_rate(reference, late, collar_ms=250).total == 0
    assert error_rate(reference, late, collar_ms=100).confusion == pytest.approx(100 / 1600)
    assert error_rate(reference, [SpeakerTurn(0, 1000, 0)]).missed == 0.5
    assert error_rate(reference, [*same, SpeakerTurn(2000, 3000, 0)]).false_alarm == 0.5
