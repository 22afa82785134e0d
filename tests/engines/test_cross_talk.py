"""The other side's echo in a channel is not taken for speech; what is really said, also at the same time, stays."""

from __future__ import annotations

import wave
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest

from appliance.config import Settings
from appliance.engines import audio, cross_talk
from appliance.engines.speech import SAMPLE_RATE, Samples
from appliance.engines.speech.demo_weights import FOLDER
from appliance.engines.voice_activity import Region, speech_regions
from appliance.evaluation.demo_weights import in_telephone_band
from appliance.pipeline.diarize import SPEAKER_SEGMENTS, Diarize
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.offline import processed
from appliance.pipeline.transcribe import Transcribe
from tests.conftest import SAMPLES

ECHOES = [(-12, 20), (-12, 120), (-19, 60), (-26, 20), (-26, 120)]
"""Level in dB and lag in ms."""

BORDER_MS = 100
"""A segment may begin or end so much elsewhere: the detector counts in steps of 32 ms."""


def sides_of(name: str, folder: Path) -> list[Samples]:
    decoded = folder / "sides.s16"
    assert audio.decode(SAMPLES / name, decoded) == 2
    return [audio.samples_of(decoded, 2, n) for n in range(2)]


def later(samples: Samples, lag_ms: int) -> Samples:
    lag = lag_ms * SAMPLE_RATE // 1000
    return np.concatenate([np.zeros(lag, np.float32), samples[: len(samples) - lag]])


def leaking(sides: list[Samples], level_db: float, lag_ms: int) -> list[Samples]:
    """Each side with the other one's echo, as a telephone returns it."""
    gain = np.float32(10 ** (level_db / 20))
    return [sides[n] + gain * later(in_telephone_band(sides[1 - n]), lag_ms) for n in range(2)]


def decoded(sides: list[Samples], folder: Path) -> Path:
    file = folder / "samples.s16"
    pairs = np.stack(sides, axis=1).clip(-1, 1)
    file.write_bytes((pairs * 32767).astype("<i2").tobytes())
    return file


def heard(sides: list[Samples], folder: Path) -> list[list[Region]]:
    """Speech in each channel once its echo is silenced."""
    echoes = cross_talk.echoes(decoded(sides, folder))
    return [speech_regions(cross_talk.silence(side, frames)) for side, frames in zip(sides, echoes, strict=True)]


def assert_same(found: list[Region], wanted: list[Region]) -> None:
    assert len(found) == len(wanted)
    borders = [(a.start_ms - b.start_ms, a.end_ms - b.end_ms) for a, b in zip(found, wanted, strict=True)]
    assert np.abs(borders).max() <= BORDER_MS


@pytest.mark.parametrize("name", ["ru-complaint.wav", "en-complaint.wav"])
@pytest.mark.parametrize(("level_db", "lag_ms"), ECHOES)
def test_an_echo_makes_no_segments(name: str, level_db: float, lag_ms: int, tmp_path: Path) -> None:
    sides = sides_of(name, tmp_path)
    wanted = [speech_regions(side) for side in sides]
    with_echo = leaking(sides, level_db, lag_ms)
    if level_db > -26:
        ghosts = [len(speech_regions(side)) - len(own) for side, own in zip(with_echo, wanted, strict=True)]
        assert min(ghosts) > 0  # there is something to take away
    for found, own in zip(heard(with_echo, tmp_path), wanted, strict=True):
        assert_same(found, own)


@pytest.mark.parametrize(("level_db", "lag_ms"), ECHOES)
def test_a_leak_in_one_direction_leaves_the_other_channel_alone(level_db: float, lag_ms: int, tmp_path: Path) -> None:
    sides = sides_of("ru-complaint.wav", tmp_path)
    leak = leaking(sides, level_db, lag_ms)
    left, right = cross_talk.echoes(decoded([sides[0], leak[1]], tmp_path))
    assert not left.any()
    assert right.any()


@pytest.mark.parametrize("loudness", [1.0, 0.5])
@pytest.mark.parametrize(("level_db", "lag_ms"), [(-12, 40), (-20, 60), (-26, 90)])
def test_who_speaks_at_the_same_time_stays(loudness: float, level_db: float, lag_ms: int, tmp_path: Path) -> None:
    """The manager begins each answer 1.5 s too early: into the client's words."""
    client, manager = sides_of("en-complaint.wav", tmp_path)
    manager = np.float32(loudness) * np.roll(manager, -3 * SAMPLE_RATE // 2)
    sides = [client, manager]
    with_echo = leaking(sides, level_db, lag_ms)
    for side, frames in zip(sides, cross_talk.echoes(decoded(with_echo, tmp_path)), strict=True):
        power = (side[: len(frames) * cross_talk.FRAME].astype(float).reshape(-1, cross_talk.FRAME) ** 2).sum(axis=1)
        assert power[frames].sum() < 0.05 * power.sum()
    for found, side in zip(heard(with_echo, tmp_path), sides, strict=True):
        assert len(found) == len(speech_regions(side))


@pytest.mark.parametrize("name", ["ru-complaint.wav", "ru-credit.wav", "ru-trade-in.mp3", "en-service.m4a"])
def test_without_an_echo_nothing_changes(name: str, tmp_path: Path) -> None:
    sides = sides_of(name, tmp_path)
    for side, frames in zip(sides, cross_talk.echoes(tmp_path / "sides.s16"), strict=True):
        assert cross_talk.silence(side, frames) is side


def test_a_real_call_does_not_change(recordings: Path, tmp_path: Path) -> None:
    file = tmp_path / "samples.s16"
    assert audio.decode(recordings / "calls_en" / "Auto_Repairs_40_UTC.wav", file) == 2
    assert not any(frames.any() for frames in cross_talk.echoes(file))


def test_too_little_to_know_is_left_alone(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (SAMPLE_RATE, 2)).astype(np.float32)
    for count in (1, 100, cross_talk.FRAME, SAMPLE_RATE):
        sides = [noise[:count, 0], 0.1 * noise[:count, 0]]
        assert not any(frames.any() for frames in cross_talk.echoes(decoded(sides, tmp_path)))


def words_of(file: Path, settings: Settings) -> list[tuple[int, str]]:
    with processed(file, (Transcribe(), Diarize()), Equipment(settings, stored=False)) as context:
        segments = SPEAKER_SEGMENTS.validate_python(context.outputs["diarize"]["segments"])
    return [(segment.speaker, segment.text) for segment in segments]


def test_the_pipeline_hears_the_same_words_with_an_echo(demo_weights: Path, tmp_path: Path) -> None:
    chosen = {"whisper_model_path": str(demo_weights / FOLDER), "data_dir": tmp_path, "transcribe_languages": ["ru"]}
    settings = Settings.offline().model_copy(update=chosen)
    sides = sides_of("ru-complaint.wav", tmp_path)
    files = [tmp_path / "clean.wav", tmp_path / "echo.wav"]
    for file, sound in zip(files, (sides, leaking(sides, -18, 60)), strict=True):
        with wave.open(str(file), "wb") as target:
            target.setparams((2, 2, SAMPLE_RATE, 0, "NONE", ""))
            target.writeframes(decoded(sound, tmp_path).read_bytes())
    clean, echo = [words_of(file, settings) for file in files]
    assert [speaker for speaker, _ in echo] == [speaker for speaker, _ in clean]
    said, again = [" ".join(text for _, text in heard).split() for heard in (clean, echo)]
    assert SequenceMatcher(None, said, again).ratio() > 0.9


def test_only_marked_frames_are_silenced() -> None:
    sound = np.ones(4 * cross_talk.FRAME + 7, np.float32)
    quiet = cross_talk.silence(sound, np.array([False, True, True, False]))
    silent = list(range(cross_talk.FRAME, 3 * cross_talk.FRAME))
    assert np.flatnonzero(quiet[:] == 0).tolist() == silent
    assert len(quiet) == len(quiet[:]) == len(sound)
    for step in (7, cross_talk.FRAME, cross_talk.FRAME + 5):
        pieces = [quiet[start : start + step] for start in range(0, len(sound), step)]
        assert np.flatnonzero(np.concatenate(pieces) == 0).tolist() == silent
    assert sound.all()
