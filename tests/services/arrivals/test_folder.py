"""The watch folder: on a real database and object store, and once by the real process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import delete, select

from appliance.config import settings
from appliance.models import Arrival, Call, User
from appliance.services.arrivals.folder import Folder
from appliance.store import calls, db
from installer.site import Site
from tests.conftest import SAMPLES, Running, wait_until

SAMPLE = SAMPLES / "ru-test-drive.mp3"


@pytest.fixture
def home(site: Site, tmp_path: Path) -> Iterator[Path]:
    """A folder; what arrives from it is gone after the test."""
    with db.unit_of_work() as session:
        before = set(session.scalars(select(Arrival.key)))
    yield tmp_path
    with db.unit_of_work() as session:
        came = session.scalars(select(Arrival).where(Arrival.key.not_in(before))).all()
        managers = set(session.scalars(select(Call.manager_id).where(Call.id.in_([one.call_id for one in came]))))
        calls.remove(session, [one.call_id for one in came])
        session.execute(delete(User).where(User.id.in_(managers), User.email.is_(None)))
        session.execute(delete(Arrival).where(Arrival.key.not_in(before)))


def put(home: Path, name: str) -> Path:
    """A recording unlike any other: what follows the last frame of an mp3 is nobody's."""
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(SAMPLE.read_bytes() + b"\0" + uuid4().bytes)
    return path


def extension() -> str:
    return str(100000 + uuid4().int % 900000)


def name(kind: str, dialled: str, caller: str, uniqueid: str = "1704099600.1") -> str:
    return f"{kind}-{dialled}-{caller}-20240101-120000-{uniqueid}.mp3"


def look(home: Path) -> None:
    Folder(home, 0).look()


def came() -> list[Call]:
    with db.unit_of_work() as session:
        return list(session.scalars(select(Call).join(Arrival, Arrival.call_id == Call.id)))


def manager(call: Call) -> User:
    with db.unit_of_work() as session:
        return session.get_one(User, call.manager_id)


def test_a_recording_becomes_a_call_of_its_manager(home: Path) -> None:
    at = extension()
    put(home, "2024/01/01/" + name("out", "74951234567", at))
    look(home)
    [call] = came()
    assert (call.type, call.phone, call.date.isoformat()) == ("outgoing", "+74951234567", "2024-01-01T09:00:00+00:00")
    assert (manager(call).extension, manager(call).name, call.uploaded_by_id) == (at, f"Добавочный {at}", None)
    assert [p.relative_to(home).parts[:2] for p in home.rglob("*.mp3")] == [("done", "2024")]


def test_a_file_is_left_alone_until_it_rests(home: Path) -> None:
    path = put(home, name("external", extension(), "79161234567"))
    watched = Folder(home, 3600)
    watched.look()
    seen = watched._seen[path]
    watched._seen[path] = replace(seen, since=seen.since - 4000, size=1)
    watched.look()
    assert path.exists()
    watched._seen[path] = replace(seen, since=seen.since - 4000)
    watched.look()
    assert not path.exists()


def test_what_is_met_again_is_one_call(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(home, name("external", extension(), "79161234567"))
    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(PermissionError()))
        with pytest.raises(PermissionError):
            look(home)
    assert path.exists()
    shutil.copy(path, home / "again-101-79160000000-20240101-120000-2.mp3")
    look(home)
    assert len(came()) == 1
    assert len(list((home / "done").iterdir())) == 2
    with db.unit_of_work() as session:
        calls.remove(session, [came()[0].id])
    shutil.copy(next((home / "done").iterdir()), path)
    look(home)
    assert came() == []


@pytest.mark.parametrize(
    ("file", "code"),
    [("voice.mp3", "name_not_understood"), (name("internal", "101", "102"), "call_within_the_house")],
)
def test_what_cannot_be_taken_says_why(home: Path, file: str, code: str) -> None:
    put(home, file)
    look(home)
    assert came() == []
    assert (home / "failed" / f"{file}.txt").read_text(encoding="utf-8").splitlines()[0] == code
    assert (home / "failed" / file).exists()


def test_what_is_no_recording_says_why_and_keeps_back_no_other(home: Path) -> None:
    broken = home / name("external", "101", "79160000000")
    broken.write_bytes(b"no sound at all")
    put(home, name("external", extension(), "79161234567"))
    (home / "link.mp3").symlink_to(SAMPLE)
    look(home)
    assert len(came()) == 1
    assert (home / "failed" / f"{broken.name}.txt").read_text(encoding="utf-8").startswith("unsupported_audio")
    assert (home / "link.mp3").is_symlink()


def test_the_records_tell_who_answered_in_a_queue(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = extension()
    when = '"2024-01-01 12:00:00","2024-01-01 12:00:09","2024-01-01 12:01:09",69,60,"ANSWERED","DOCUMENTATION"'
    line = f'"","79161234567","600","ctx","","SIP/trunk-1","SIP/{at}-2","Queue","600",{when},"1704099600.7",""\n'
    (home / "Master.csv").write_text(line, encoding="utf-8")
    monkeypatch.setenv("WATCH_CDR_FILE", str(home / "Master.csv"))
    settings.cache_clear()
    try:
        put(home, name("q", "600", "79161234567", "1704099600.7"))
        look(home)
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert [manager(call).extension for call in came()] == [at]


@pytest.mark.parametrize(
    ("setting", "direction", "channel"),
    [
        ("left", "external", "right"),
        ("left", "out", "left"),
        ("right", "external", "left"),
        ("right", "out", "right"),
        ("unknown", "external", None),
    ],
)
def test_the_callers_channel_and_the_direction_tell_the_managers(
    home: Path, monkeypatch: pytest.MonkeyPatch, setting: str, direction: str, channel: str | None
) -> None:
    monkeypatch.setenv("WATCH_CALLER_CHANNEL", setting)
    settings.cache_clear()
    try:
        parties = ("79161234567", extension()) if direction == "out" else (extension(), "79161234567")
        put(home, name(direction, *parties))
        look(home)
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert [call.manager_channel for call in came()] == [channel]


def test_the_process_takes_it_and_the_call_is_analysed(running: Running, home: Path, people: dict[str, str]) -> None:
    apart = Running(running.site, running.port, environment={"WATCH_FOLDER": str(home), "WATCH_STABLE_S": "0.5"})
    apart.start("housekeeping")
    try:
        partial = put(home, ".copying.mp3")
        partial.rename(home / name("external", extension(), "79161234567"))
        wait_until(came, 120, "the call")
        wait_until(lambda: came()[0].status == "completed", 120, "its analysis")
        wait_until(lambda: list((home / "done").glob("*.mp3")), 60, "the file's move")
    finally:
        apart.stop()
