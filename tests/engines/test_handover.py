"""A second manager is found, and nobody is where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from appliance.engines import audio
from appliance.engines.diarization import SpeakerTurn
from appliance.engines.diarization.attribution import SpeakerSegment
from appliance.engines.diarization.clustering import ClusteringDiarizer
from appliance.engines.diarization.embedding import VoiceEncoder
from appliance.engines.diarization.handover import HandoverFinder, by_sides, detail_of, side_of, taken_over
from appliance.engines.speech import Samples
from appliance.engines.voice_activity import speech_regions
from appliance.evaluation.demo_weights import in_telephone_band, with_noise
from appliance.pipeline.equipment import SPEAKER_WEIGHTS
from tests.conftest import SAMPLES
from tests.handed_over import ENGLISH, RUSSIAN, Voices, spoken

CALLS: list[tuple[str, Voices]] = [
    ("ru", RUSSIAN),
    ("ru", (("f4", 30), ("Denis", 30), ("Annie", 75))),
    ("en", ENGLISH),
    ("en", (("f2", 30), ("Annie", 75), ("Andy", 30))),
]


@pytest.fixture(scope="module")
def finder() -> HandoverFinder:
    return HandoverFinder(VoiceEncoder(SPEAKER_WEIGHTS))


@pytest.fixture(scope="module")
def diarizer() -> ClusteringDiarizer:
    return ClusteringDiarizer(VoiceEncoder(SPEAKER_WEIGHTS))


def channels_of(file: Path, scratch: Path) -> list[Samples]:
    decoded = scratch / "samples.s16"
    count = audio.decode(file, decoded)
    return [np.array(audio.samples_of(decoded, count, n)) for n in range(count)]


@pytest.mark.parametrize(("language", "voices"), CALLS)
def test_another_manager_in_a_channel_is_found(finder: HandoverFinder, language: str, voices: Voices) -> None:
    sound, turns, change_ms = spoken(language, voices)
    last = max(turn.end_ms for turn in turns if turn.speaker == "B" and turn.end_ms < change_ms)
    first = min(turn.start_ms for turn in turns if turn.speaker == "B" and turn.start_ms >= change_ms)
    found = finder.moment_ms(sound[1], speech_regions(sound[1]))
    assert found is not None
    assert last - 500 < found < first + 500
    assert finder.moment_ms(sound[0], speech_regions(sound[0])) is None


@pytest.mark.parametrize(("language", "voices"), CALLS)
def test_another_manager_is_found_in_mono(diarizer: ClusteringDiarizer, language: str, voices: Voices) -> None:
    sound, turns, change_ms = spoken(language, voices)
    found = diarizer.diarize(sound.sum(axis=0))
    numbers = {
        who: _most(found, [turn for turn in turns if turn.speaker == who[0] and (turn.start_ms >= change_ms) == late])
        for who, late in (("A", False), ("A later", True), ("B", False), ("B2", True))
    }
    assert numbers["A"] == numbers["A later"]
    assert numbers["B"] == 1 - numbers["A"]
    assert numbers["B2"] == numbers["B"] + 2


def _most(found: list[SpeakerTurn], turns: list) -> int:
    """The number that has most of the turns' time."""
    time = dict.fromkeys(range(4), 0)
    for turn in turns:
        for part in found:
            time[part.speaker] += max(0, min(turn.end_ms, part.end_ms) - max(turn.start_ms, part.start_ms))
    return max(time, key=lambda number: time[number])


REAL = {
    "client": ("calls_en/Auto_Repairs_40_UTC.wav", 0),
    "agent": ("calls_en/Auto_Repairs_40_UTC.wav", 1),
    "Katie": ("en/enrollment_audio_katie.wav", 0),
    "Steve": ("en/enrollment_audio_steve.wav", 0),
}


@pytest.mark.parametrize(
    "names", [("client", "agent", "Katie"), ("agent", "Steve", "Katie"), ("client", "Katie", "agent")]
)
def test_real_voices_that_follow_one_another(
    recordings: Path, finder: HandoverFinder, diarizer: ClusteringDiarizer, tmp_path: Path, names: tuple[str, str, str]
) -> None:
    caller, first, second = (sentences(recordings / REAL[n][0], REAL[n][1], tmp_path) for n in names)
    before, after = in_turns(caller[:8], first), in_turns(caller[8:16], second)
    change_ms = before.shape[1] // 16
    sound = np.concatenate([before, after], axis=1)
    sound += np.random.default_rng(0).normal(0, 0.0015, sound.shape).astype(np.float32)
    found = finder.moment_ms(sound[1], speech_regions(sound[1]))
    assert found is not None
    # Between the last words of the one and the first of the other, who comes after the caller has said something.
    assert change_ms - 1000 < found < change_ms + len(caller[8]) // 16 + 1000
    assert finder.moment_ms(sound[0], speech_regions(sound[0])) is None
    turns = diarizer.diarize(sound.sum(axis=0))
    assert {turn.speaker for turn in turns} == {0, 1, 3}
    third = [turn for turn in turns if turn.speaker == 3]
    late = sum(turn.end_ms - turn.start_ms for turn in third if turn.start_ms >= change_ms - 500)
    assert late > 0.95 * sum(turn.end_ms - turn.start_ms for turn in third)


def sentences(file: Path, channel: int, scratch: Path) -> list[Samples]:
    """The stretches of speech in a recording of one voice."""
    samples = channels_of(file, scratch)[channel]
    return [samples[region.start_ms * 16 : region.end_ms * 16] for region in speech_regions(samples)]


def in_turns(caller: Sequence[Samples], manager: Sequence[Samples]) -> Samples:
    """Two channels in which the two speak by turns, with pauses of half a second."""
    pause = np.zeros(8000, np.float32)
    told = [part for pair in zip(caller, cycle(manager), strict=False) for part in pair]
    lines = [np.concatenate([part, pause]) for part in told]
    mute = [np.zeros_like(line) for line in lines]
    pairs = (
        (said, silent) if n % 2 == 0 else (silent, said)
        for n, (said, silent) in enumerate(zip(lines, mute, strict=True))
    )
    return np.concatenate([np.stack(pair) for pair in pairs], axis=1)


@pytest.mark.parametrize(("language", "voices"), CALLS)
def test_one_manager_stays_one(
    finder: HandoverFinder, diarizer: ClusteringDiarizer, language: str, voices: Voices
) -> None:
    sound, _, again_ms = spoken(language, voices, managers=1)
    assert finder.moment_ms(sound[1], speech_regions(sound[1])) is None
    assert {turn.speaker for turn in diarizer.diarize(sound.sum(axis=0))} == {0, 1}
    # Put on the loudspeaker, or in a car: still the same person.
    at = again_ms * 16
    for change in (in_telephone_band, lambda part: with_noise(part, np.random.default_rng(0)), lambda part: 0.2 * part):
        for parts in ((sound[1][:at], change(sound[1][at:])), (change(sound[1][:at]), sound[1][at:])):
            changed = np.concatenate(parts).astype(np.float32)
            assert finder.moment_ms(changed, speech_regions(changed)) is None


@pytest.mark.parametrize(
    "name",
    [
        *(f"pyannote/{name}.wav" for name in ("sample", "dev00", "dev01", "trn03", "trn05", "trn09")),
        "calls_en/Auto_Repairs_40_UTC.wav",
        "calls_en/Auto0_GUID_000_AGENT_ChrisL_Mono.wav",
        "en/katiesteve_mono.wav",
        "en/katiesteve_sampledata.wav",
        "en/silero_test.wav",
        "en/enrollment_audio_katie.wav",
        "en/enrollment_audio_steve.wav",
        "en/fw_multilingual.mp3",
        "ru/tinkoff_sample_3.wav",
    ],
)
def test_real_recordings_have_no_third(
    recordings: Path, finder: HandoverFinder, diarizer: ClusteringDiarizer, tmp_path: Path, name: str
) -> None:
    channels = channels_of(recordings / name, tmp_path)
    assert {turn.speaker for turn in diarizer.diarize(np.mean(channels, axis=0))} <= {0, 1}
    if len(channels) == 2:
        assert [finder.moment_ms(channel, speech_regions(channel)) for channel in channels] == [None, None]


@pytest.mark.parametrize("name", [file.name for file in sorted(SAMPLES.iterdir()) if file.suffix in {".wav", ".m4a"}])
def test_sample_calls_have_no_third(
    finder: HandoverFinder, diarizer: ClusteringDiarizer, tmp_path: Path, name: str
) -> None:
    channels = channels_of(SAMPLES / name, tmp_path)
    assert {turn.speaker for turn in diarizer.diarize(np.mean(channels, axis=0))} <= {0, 1}
    assert all(finder.moment_ms(channel, speech_regions(channel)) is None for channel in channels[1:])


def turns(*said: int) -> list[SpeakerTurn]:
    """Five seconds each."""
    return [SpeakerTurn(5000 * n, 5000 * n + 4900, voice) for n, voice in enumerate(said)]


def speakers(found: list[SpeakerTurn] | None) -> list[int] | None:
    return None if found is None else [turn.speaker for turn in found]


def test_three_voices_are_numbered_by_sides() -> None:
    assert speakers(by_sides(turns(0, 1, 0, 1, 2, 1, 2, 1))) == [0, 1, 0, 1, 2, 1, 2, 1]
    assert speakers(by_sides(turns(0, 1, 0, 1, 0, 2, 0, 2))) == [0, 1, 0, 1, 0, 3, 0, 3]


def test_three_voices_that_alternate_or_are_short_are_no_handover() -> None:
    assert by_sides(turns(0, 1, 2, 0, 1, 2, 0, 1, 2)) is None
    assert by_sides(turns(0, 1, 0, 1, 0, 2)) is None  # five seconds of the third
    assert by_sides(turns(0, 0, 1, 1, 2, 2)) is None  # nobody talks with both


def test_only_the_managers_side_is_told() -> None:
    assert [side_of(number) for number in range(4)] == [0, 1, 0, 1]
    assert [detail_of(number, manager=1) for number in range(4)] == [None, None, None, "B2"]
    assert [detail_of(number, manager=0) for number in range(4)] == [None, None, "B2", None]


def test_what_is_said_after_the_moment_is_the_seconds() -> None:
    said = [SpeakerSegment(n * 1000, n * 1000 + 900, n % 2, "", 1.0, "ru", ()) for n in range(6)]
    assert [segment.speaker for segment in taken_over(said, 1, 2500)] == [0, 1, 0, 3, 0, 3]
