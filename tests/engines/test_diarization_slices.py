"""Telling voices apart in many slices comes to the same as in one go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from appliance.config import Settings
from appliance.engines.speech import Samples, SpokenSegment, Transcription
from appliance.engines.voice_activity import Region
from appliance.evaluation.sets import Turn
from appliance.pipeline.decode import shape_of
from appliance.pipeline.diarize import Diarize
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.stage import StageContext
from appliance.pipeline.transcribe import TRANSCRIPTIONS
from tests.engines.speech.test_slices import Enough, Slices
from tests.engines.test_alike_voices import CLIENT, MANAGER
from tests.handed_over import RUSSIAN, spoken


def context_of(sound: Samples, heard: Sequence[Sequence[Turn]], folder: Path) -> StageContext:
    """A call as it is before the stage: its sound [samples, channels], and what was recognised in each channel."""
    equipment = Equipment(Settings.offline().model_copy(update={"data_dir": folder}), stored=False)
    context = StageContext(uuid4(), "incoming", "", "", {}, equipment, lambda _: None)
    target = equipment.scratch(context.call_id) / "samples.s16"
    (32767 * sound).clip(-32768, 32767).astype("<i2").tofile(target)
    channels = [
        Transcription("ru", 1.0, tuple(SpokenSegment(t.start_ms, t.end_ms, t.text, 0.9, "ru", ()) for t in turns))
        for turns in heard
    ]
    outputs = {
        "decode": shape_of(target, sound.shape[1]),
        "transcribe": {"channels": TRANSCRIPTIONS.dump_python(channels, mode="json")},
    }
    return replace(context, outputs=outputs)


def two_voices(folder: Path) -> StageContext:
    sound, turns, _ = spoken("ru", RUSSIAN, managers=1)
    return context_of(sound.sum(axis=0)[:, None], [turns], folder)


def alike_voices(folder: Path) -> StageContext:
    """One voice, of which the words say that it is two."""
    sound, turns, _ = spoken("ru", (RUSSIAN[0], RUSSIAN[0], RUSSIAN[0]), managers=1)
    said = [t.model_copy(update={"text": MANAGER if t.speaker == "B" else CLIENT}) for t in turns]
    return context_of(sound.sum(axis=0)[:, None], [said], folder)


def handed_over(folder: Path) -> StageContext:
    sound, turns, _ = spoken("ru", RUSSIAN)
    return context_of(sound.T, [[t for t in turns if t.speaker == side] for side in "AB"], folder)


def in_slices(context: StageContext, slices: Slices, before_each: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """What the stage comes to, run again and again until it reaches its end."""
    for _ in range(100):
        before_each()
        try:
            return Diarize().run(replace(context, recall=slices.of))
        except Enough:
            continue
    raise AssertionError("the stage does not come to its end")


@pytest.mark.parametrize(("call", "speakers"), [(two_voices, {0, 1}), (alike_voices, {0, 1}), (handed_over, {0, 1, 3})])
def test_slices_come_to_the_same_as_one_go(call: Any, speakers: set[int], tmp_path: Path) -> None:
    context = call(tmp_path)
    whole = Diarize().run(context)
    assert {segment["speaker"] for segment in whole["segments"]} == speakers
    slices = Slices(steps=1)
    assert in_slices(context, slices) == whole
    assert slices.runs > 2


def test_another_diarizer_begins_anew(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    def of(about: dict[str, Any]) -> Any:
        asked.append(about)
        return lambda _question, work: work()

    Diarize().run(replace(two_voices(tmp_path), recall=of))
    Diarize().run(replace(handed_over(tmp_path), recall=of))
    assert asked == [
        {"stage": "diarize", "diarizer": "d-vector clustering"},
        {"stage": "diarize", "diarizer": "channels"},
    ]


def remove(answer: Path) -> None:
    answer.unlink()


def cut_off(answer: Path) -> None:
    whole = answer.read_bytes()
    answer.write_bytes(whole[: len(whole) // 2])


def empty(answer: Path) -> None:
    answer.write_bytes(b"")


def test_what_is_remembered_of_voices_lies_beside_the_sound(tmp_path: Path) -> None:
    """And goes with it."""
    context = two_voices(tmp_path)
    folder = context.equipment.scratch(context.call_id)
    slices = Slices(steps=3)
    in_slices(context, slices)
    assert slices.runs > 1
    assert {answer for _question, answer in slices.kept} == {"null"}
    assert sum(answer.stat().st_size for answer in folder.glob("*.json")) > 100 * 256 * 4
    context.equipment.forget(context.call_id)
    assert not folder.exists()


@pytest.mark.parametrize("spoil", [remove, cut_off, empty])
def test_answers_that_are_not_there_are_worked_out_again(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    """The stage goes on on another machine, or the power failed: nothing is taken for an answer that is none."""
    context = two_voices(tmp_path)
    folder = context.equipment.scratch(context.call_id)
    whole = Diarize().run(context)

    def spoil_all() -> None:
        for answer in folder.glob("*.json"):
            spoil(answer)

    slices = Slices(steps=3)
    assert in_slices(context, slices, before_each=spoil_all) == whole
    assert slices.runs > 1


def test_the_stage_makes_way_also_where_it_works_out_again(tmp_path: Path) -> None:
    """Every answer was given on another machine: here each is a step all the same, and is kept."""
    context = two_voices(tmp_path)
    folder = context.equipment.scratch(context.call_id)
    slices = Slices(steps=100)
    whole = in_slices(context, slices)
    answers = list(folder.glob("*.json"))
    for answer in answers:
        answer.unlink()

    def make_way() -> None:
        raise Enough

    runs = 0

    def count() -> None:
        nonlocal runs
        assert len(list(folder.glob("*.json"))) == runs
        runs += 1

    assert in_slices(replace(context, between=make_way), slices, before_each=count) == whole
    assert runs == len(answers) + 1 > 3


def test_vectors_that_were_kept_are_the_same(tmp_path: Path) -> None:
    encoder = two_voices(tmp_path).equipment.voice_encoder
    sound = np.random.default_rng(0).normal(0, 0.1, 16_000 * 30).astype(np.float32)
    windows = [Region(start, start + 1200) for start in range(0, 28_000, 300)]
    answers: dict[str, Any] = {}

    def keep(question: Any, work: Any) -> Any:
        if str(question) not in answers:
            answers[str(question)] = work()
        return answers[str(question)]

    vectors = encoder.embed(sound, windows, recall=keep)
    assert len(answers) == -(-len(windows) // 64)
    assert vectors.shape == (len(windows), 256)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(encoder.embed(sound, windows, recall=keep), vectors)
    assert np.array_equal(encoder.embed(sound, windows), vectors)
