"""Long calls on the real stack: they make way for short ones, and go on where they were interrupted."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.config import Settings
from appliance.engines import audio
from appliance.engines.speech import SAMPLE_RATE
from appliance.models import Pipeline, StageOutput, StageStep
from appliance.pipeline.assign_roles import AssignRoles
from appliance.pipeline.diarize import Diarize
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.stage import StageContext
from appliance.store import db, pipelines, steps
from tests.conftest import SAMPLES, Running, _free_port, processed, upload, wait_until
from tests.pipeline.test_crash import assert_done_once, count, state_of

pytestmark = pytest.mark.timeout(900)

LONG_S, SHORT = 6 * 60, "ru-test-drive.mp3"
"""Twelve minutes of sound, as there are two channels, against one."""


@pytest.fixture(scope="module")
def long_sound(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.int16]:
    """Samples [frames, 2]: the stereo samples one after the other, again and again."""
    folder = tmp_path_factory.mktemp("long")
    parts = []
    for name in ("ru-complaint.wav", "ru-credit.wav", "ru-trade-in.mp3", "en-complaint.wav", "en-service.m4a"):
        assert audio.decode(SAMPLES / name, folder / "samples.s16") == 2
        parts.append(np.fromfile(folder / "samples.s16", "<i2").reshape(-1, 2))
    sound = np.concatenate(parts)
    return np.tile(sound, (-(-LONG_S * SAMPLE_RATE // len(sound)), 1))[: LONG_S * SAMPLE_RATE]


@pytest.fixture(scope="module")
def long_call(long_sound: NDArray[np.int16]) -> tuple[str, bytes]:
    """One party in each channel."""
    return "long.wav", wav_of(long_sound, channels=2)


@pytest.fixture(scope="module")
def long_mono_call(long_sound: NDArray[np.int16]) -> tuple[str, bytes]:
    """The same through one microphone."""
    return "long-mono.wav", wav_of(long_sound.sum(axis=1).clip(-32768, 32767).astype("<i2"), channels=1)


def wav_of(sound: NDArray[np.int16], channels: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(sound.tobytes())
    return file.getvalue()


@contextmanager
def worker(apart: Running) -> Iterator[Running]:
    """The only speech worker, whose slices last a second; the rest of the appliance runs beside it."""
    apart.start("housekeeping", "analysis")
    made = Running(apart.site, _free_port(), environment={"SPEECH_SLICE_S": "1"})
    made.start("speech")
    try:
        yield made
    finally:
        made.kill("speech")


def steps_of(call_id: str) -> dict[int, str]:
    """The transaction that wrote each step kept for a call."""
    with db.connect() as connection:
        found = connection.execute("SELECT position, xmin::text FROM stage_steps WHERE call_id = %s", (call_id,))
        return dict(found.fetchall())


def steps_kept(call_id: str) -> list[steps.Step]:
    with db.unit_of_work() as session:
        return steps.kept(session, UUID(call_id))


def finished(call_id: str, stage: str) -> datetime:
    """When a stage was done."""
    with db.unit_of_work() as session:
        return session.get_one(StageOutput, (UUID(call_id), stage)).created_at


def told_apart_in_one_go(call_id: str, recording: bytes, folder: Path) -> dict[str, Any]:
    """What the stage comes to where nothing interrupts it, from what was recognised in the call."""
    equipment = Equipment(Settings.offline().model_copy(update={"data_dir": folder}), stored=False)
    (folder / "recording").write_bytes(recording)
    audio.decode(folder / "recording", equipment.scratch(call_id) / "samples.s16")
    with db.unit_of_work() as session:
        outputs = pipelines.outputs(session, UUID(call_id))
    return Diarize().run(StageContext(UUID(call_id), "incoming", "", "", outputs, equipment, lambda _: None))


def row_of(call_id: str) -> Pipeline:
    with db.unit_of_work() as session:
        row = session.get_one(Pipeline, call_id)
        session.expunge(row)
        return row


def test_a_short_call_overtakes_a_long_one(
    apart: Running, people: dict[str, str], long_call: tuple[str, bytes]
) -> None:
    """One worker; the long call is in the midst of its recognition when the short one comes."""
    http = apart.client(people["admin"])
    with worker(apart) as mine:
        long: str = upload(http, long_call).json()["id"]
        wait_until(lambda: len(steps_of(long)) > 3, 300, "the first steps of the long call")
        short: str = upload(http, SAMPLES / SHORT).json()["id"]
        assert processed(http, short, 300)["aiAnalysis"]["processing_status"] == "completed"
        row = row_of(long)
        assert row.stage == "transcribe"
        assert (row.attempts, row.deaths) == (0, 0)
        assert row.spent_ms > 0
        assert "stage_made_way" in mine.log("speech")
        assert processed(http, long, 600)["status"] == "completed"
    assert_done_once(long)
    assert_done_once(short)
    assert count(StageStep, long) == 0
    assert row_of(long).spent_ms == 0


def test_a_short_call_overtakes_a_long_one_whose_voices_are_told_apart(
    apart: Running, people: dict[str, str], long_mono_call: tuple[str, bytes], tmp_path: Path
) -> None:
    """One worker; nothing of the voices is in the database, and nothing is left of them at the end.

    Who said what is the same as in one go.
    """
    http = apart.client(people["admin"])
    with worker(apart) as mine:
        long: str = upload(http, long_mono_call).json()["id"]
        wait_until(lambda: row_of(long).stage == "diarize" and len(steps_of(long)) > 1, 600, "the first voices")
        assert {step.answer for step in steps_kept(long)} == {None}
        short: str = upload(http, SAMPLES / SHORT).json()["id"]
        assert processed(http, short, 300)["status"] == "completed"
        assert processed(http, long, 600)["status"] == "completed"
    assert finished(short, AssignRoles.name) < finished(long, Diarize.name)
    lines = [line for line in mine.log("speech").splitlines() if "stage_made_way" in line and long in line]
    assert any("diarize" in line for line in lines)
    assert_done_once(long)
    assert_done_once(short)
    assert count(StageStep, long) == 0
    assert not (apart.site.data_dir / "scratch" / long).exists()
    with db.unit_of_work() as session:
        in_slices = pipelines.outputs(session, UUID(long))[Diarize.name]
    assert in_slices["segments"]
    assert in_slices == told_apart_in_one_go(long, long_mono_call[1], tmp_path)


def test_a_killed_worker_costs_a_long_call_no_more_than_a_moment(
    apart: Running, people: dict[str, str], long_call: tuple[str, bytes]
) -> None:
    """kill -9 twice: what was kept is not worked out again, and there is one transcript in the end."""
    http = apart.client(people["admin"])
    apart.start("housekeeping", "analysis")
    call_id: str = upload(http, long_call).json()["id"]
    before: dict[int, str] = {}
    for _ in range(2):
        apart.start("speech")
        wanted = len(before) + 4
        wait_until(lambda wanted=wanted: len(steps_of(call_id)) >= wanted, 300, "more steps")
        apart.kill("speech")
        found = steps_of(call_id)
        assert found.items() >= before.items()
        assert state_of(call_id) == ("running", "transcribe")
        before = found
    apart.start("speech")
    call = processed(http, call_id, 600)
    assert call["status"] == "completed"
    assert len({segment["id"] for segment in call["transcript"]}) == len(call["transcript"]) > 50
    assert_done_once(call_id)
