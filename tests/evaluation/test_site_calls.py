"""A set made of calls that people corrected is measured against what they said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from click.testing import Result
from sqlalchemy import select
from typer.testing import CliRunner

from appliance.cli import app
from appliance.config import Settings
from appliance.errors import EngineError
from appliance.evaluation import site_calls
from appliance.evaluation.sets import read_set
from appliance.evaluation.transcripts import measure
from appliance.models import AuditEntry, Call
from appliance.pipeline.equipment import Equipment
from appliance.store import db
from tests.conftest import SAMPLES, Running, processed, upload

SAMPLE = SAMPLES / "ru-complaint.wav"


@pytest.fixture(scope="module")
def call(running: Running, people: dict[str, str]) -> Iterator[tuple[httpx.Client, dict[str, Any]]]:
    """A call that nobody has corrected yet, and who may."""
    http = running.client(people["admin"])
    made = processed(http, upload(http, SAMPLE).json()["id"])
    yield http, made
    http.delete(f"/api/calls/{made['id']}").raise_for_status()


def make_set(folder: Path) -> Result:
    options = ["--from-calls", "1000", "--out", str(folder), "--data-dir", str(folder.parent)]
    return CliRunner().invoke(app, ["evaluate", "make-set", *options])


def key_of(call_id: str) -> str:
    with db.unit_of_work() as session:
        return str(session.scalar(select(Call.audio_key).where(Call.id == UUID(call_id))))


def test_corrected_calls_are_the_truth(call: tuple[httpx.Client, dict[str, Any]], tmp_path: Path) -> None:
    http, shown = call
    name = Path(key_of(shown["id"])).stem
    make_set(tmp_path / "before")
    assert not (tmp_path / "before" / f"{name}.json").exists()

    turned = http.post(f"/api/calls/{shown['id']}/swap-speakers").raise_for_status().json()
    made = make_set(tmp_path / "set")
    assert made.exit_code == 0, made.output
    assert (tmp_path / "set").stat().st_mode & 0o777 == 0o700
    recording = {found.name: found for found in read_set(tmp_path / "set")}[name]
    assert recording.audio.read_bytes() == SAMPLE.read_bytes()
    assert recording.turns == sorted((s["start_ms"], s["end_ms"], s["speaker"]) for s in turned["transcript"])
    assert recording.has_roles
    assert recording.text is None
    assert (recording.reference.language, recording.reference.manager) == ("ru", "Анна Смирнова")

    # The person said otherwise than the rules: on this call they are wrong by definition.
    (score,) = measure("demo", Equipment(Settings.offline(), stored=False), [recording], lambda _: None).files
    assert score.role_right is False

    with db.unit_of_work() as session:
        of_sets = AuditEntry.details["for"].astext == "evaluation"
        noted = {(row.action, row.call_id) for row in session.execute(select(AuditEntry).where(of_sets)).scalars()}
    assert {("export_made", None), ("recording_fetched", UUID(shown["id"]))} <= noted

    # Whoever has put the words right does not lose that to a second run.
    reference = recording.audio.with_suffix(".json")
    reference.write_text('{"text": "as it was said"}', encoding="utf-8")
    assert make_set(tmp_path / "set").output.endswith(": 0 recordings\n")
    assert reference.read_text(encoding="utf-8") == '{"text": "as it was said"}'


def test_a_call_that_is_gone_meanwhile_leaves_nothing(
    call: tuple[httpx.Client, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Erased after it was looked up: its recording, or the call while its recording was copied."""
    _, shown = call
    gone = [(UUID(shown["id"]), "recordings/nothing.wav"), (uuid4(), key_of(shown["id"]))]
    monkeypatch.setattr(site_calls, "_corrected", lambda _: gone)
    assert list(site_calls.make(2, tmp_path / "set")) == []
    assert list((tmp_path / "set").iterdir()) == []


def test_no_corrected_call_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(site_calls, "_corrected", lambda _: [])
    with pytest.raises(EngineError, match="nobody has exchanged"):
        list(site_calls.make(3, tmp_path / "set"))
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("options", [[], ["--synthetic", "1", "--from-calls", "1"]])
def test_one_source_is_chosen(options: list[str], tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["evaluate", "make-set", "--out", str(tmp_path), *options]).exit_code == 2
