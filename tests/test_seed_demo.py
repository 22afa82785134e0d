"""The demonstration's data, and the quick start that shows it: its blocks are run as a reader would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from appliance.config import settings
from appliance.models import Call, User
from appliance.services import demo_data
from appliance.store import calls, db
from tests.conftest import ROOT, Running

QUICKSTART = ROOT / "docs" / "quickstart.md"


@pytest.fixture
def demonstration(running: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The tests' installation taken for a demonstration; afterwards nothing is left of it."""
    with db.unit_of_work() as session:
        before = set(session.scalars(select(User.id)))
        there = set(session.scalars(select(Call.id)))
    monkeypatch.setenv("DEMO", "true")
    settings.cache_clear()
    yield running
    with db.unit_of_work() as session:
        calls.remove(session, [i for i in session.scalars(select(Call.id)) if i not in there])
        session.execute(delete(User).where(User.id.not_in(before)))
    monkeypatch.undo()
    settings.cache_clear()


def seeded() -> list[Call]:
    with db.unit_of_work() as session:
        return list(session.scalars(select(Call).where(Call.idempotency_key.startswith("seed-demo "))))


def test_twenty_calls_of_every_kind_and_none_twice(demonstration: Running) -> None:
    now = datetime.now(UTC)
    assert demo_data.seed(lambda _: None) == 20
    assert demo_data.seed(lambda _: None) == 0
    made = seeded()
    assert len(made) == 20
    assert sum(call.audio_key is not None for call in made) >= 10
    assert {call.status for call in made} == {"completed", "missed"}
    assert all(now - timedelta(days=31) < call.date < now for call in made)
    assert len({call.date.date() for call in made}) > 15
    http = demonstration.client(demo_data.ADMIN, demo_data.PASSWORD)
    shown = [http.get(f"/api/calls/{call.id}").raise_for_status().json() for call in made]
    analysed = [c for c in shown if c.get("aiAnalysis", {}).get("processing_status") == "completed"]
    assert {c["aiAnalysis"]["sentiment"] for c in analysed} == {"positive", "neutral", "negative"}
    assert {c["aiAnalysis"]["language"] for c in analysed} == {"ru", "en"}
    assert len({topic for c in analysed for topic in c["aiAnalysis"]["topics"]}) > 5
    assert all({s["speaker"] for s in c["transcript"]} == {"A", "B"} for c in analysed)
    assert len({c["managerName"] for c in shown}) > 5
    assert sum("processing_error" in c for c in shown) == 1
    heard = http.get(analysed[0]["recordingUrl"], headers={"Range": "bytes=0-9"})
    assert (heard.status_code, len(heard.content)) == (206, 10)
    manager = demonstration.client(demo_data.MANAGER, demo_data.PASSWORD)
    own = manager.get("/api/calls", params={"limit": 100}).json()["calls"]
    assert own
    assert {c["managerName"] for c in own} == {"Анна Смирнова"}


def test_what_was_deleted_comes_back_alone(demonstration: Running) -> None:
    demo_data.seed(lambda _: None)
    with db.unit_of_work() as session:
        calls.remove(session, [seeded()[0].id])
    names: list[str] = []
    assert demo_data.seed(names.append) == 1
    assert len(names) == 1
    assert len(seeded()) == 20


def test_a_working_installation_is_left_alone(running: Running) -> None:
    with pytest.raises(demo_data.NotADemonstration):
        demo_data.seed(lambda _: None)
    assert not seeded()


def test_the_command_refuses_a_working_installation(tmp_path: Path) -> None:
    (tmp_path / "appliance.env").write_text("DEMO=false\n", encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "APPLIANCE_ENV_FILE"} | {"LANG": "C"}
    command = [str(Path(sys.prefix) / "bin" / "appliance"), "seed-demo", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "not a demonstration" in done.stderr


def test_the_quick_start_works_as_it_stands(demonstration: Running, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("NO CURL: the quick start's requests were not sent")
    blocks = re.findall(r"^```sh\n(.*?)^```", QUICKSTART.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    script = "\n".join(["set -euo pipefail", *blocks])
    # The one installation of the tests stands for the demonstration on port 8000, and the command for its make target.
    script = script.replace("make seed-demo", f"{sys.prefix}/bin/appliance seed-demo")
    script = script.replace("http://localhost:8000", demonstration.url)
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Successfully logged out" in done.stdout
    assert "Анна Смирнова" in done.stdout
    assert list(tmp_path.iterdir()) == [tmp_path / "samples"]
