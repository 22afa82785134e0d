"""What is older than the site keeps it goes; what is held, younger, of another type or at work stays."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy import delete, select

from appliance.config import Settings, settings
from appliance.models import AuditEntry, Call, ObjectDeletion, Pipeline, User
from appliance.store import calls, db, objects
from appliance.tasks import housekeeping, retention
from installer.site import Site
from tests.conftest import wait_until

AGE = timedelta(days=20_000)
"""Older than any call of any other test, so that none of them expires here."""


@pytest.fixture
def owner(site: Site) -> Iterator[UUID]:
    """A manager of this test's own."""
    with db.unit_of_work() as session:
        user = User(name=f"Хранение {uuid4().hex[:8]}", role="manager")
        session.add(user)
    yield user.id
    with db.unit_of_work() as session:
        session.execute(delete(Call).where(Call.manager_id == user.id))
        session.execute(delete(User).where(User.id == user.id))


def add(owner: UUID, age: timedelta, state: str = "completed", **fields: Any) -> UUID:
    call_id = uuid4()
    with db.unit_of_work() as session:
        facts = {"type": "incoming", "status": "completed", "audio_key": f"recordings/{call_id}.wav", **fields}
        session.add(Call(id=call_id, manager_id=owner, date=datetime.now(UTC) - age, **facts))
        session.flush()
        far = datetime.now(UTC) + timedelta(days=1)  # no worker of another test shall take it
        session.add(Pipeline(call_id=call_id, stage="publish", state=state, not_before=far, rung_at=far))
    return call_id


def kept(owner: UUID) -> dict[UUID, str | None]:
    """The owner's calls, and the keys of their recordings."""
    with db.unit_of_work() as session:
        found = session.execute(select(Call.id, Call.audio_key).where(Call.manager_id == owner))
        return {row.id: row.audio_key for row in found}


def limits(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    made = settings().model_copy(update=values)
    monkeypatch.setattr(retention, "settings", lambda: made)


def test_calls_and_recordings_expire_by_age_and_type(owner: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    days = AGE.days - 1
    old, older = add(owner, AGE), add(owner, AGE + timedelta(days=500))
    young = add(owner, AGE - timedelta(days=2))
    outgoing = add(owner, AGE, type="outgoing")
    held = add(owner, AGE + timedelta(days=500), held_since=datetime.now(UTC))
    busy = add(owner, AGE + timedelta(days=500), state="waiting", status="in-progress")
    everything = {old, older, young, outgoing, held, busy}

    retention.expire()
    assert set(kept(owner)) == everything  # off until it is set

    limits(monkeypatch, retention_days={"incoming": days + 500}, retention_recording_days={"incoming": days})
    assert retention.expire() is False
    left = kept(owner)
    assert set(left) == everything - {older}
    assert {call_id for call_id, key in left.items() if key is None} == {old}
    with db.unit_of_work() as session:
        # Where housekeeping of the shared installation runs, it may have deleted the file and forgotten the mark.
        marked = select(ObjectDeletion.key).where(ObjectDeletion.key.contains(str(young)))
        assert session.scalar(marked) is None
        told = select(AuditEntry.action).where(AuditEntry.call_id.in_([old, older]))
        assert sorted(session.scalars(told)) == ["call_expired", "recording_expired"]
    assert retention.expire() is False
    assert kept(owner) == left


def test_more_than_a_portion_is_told(owner: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PORTION", 2)
    made = [add(owner, AGE + timedelta(days=number)) for number in range(3)]
    limits(monkeypatch, retention_days={"incoming": AGE.days - 1})
    assert retention.expire() is True
    assert set(kept(owner)) == {made[0]}  # the oldest go first
    assert retention.expire() is False
    assert kept(owner) == {}


def test_a_call_held_between_the_look_and_the_removal_stays(owner: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id = add(owner, AGE)
    lock = calls.lock

    def hold_first(session: Any, ids: Any) -> None:
        with db.unit_of_work() as other:
            call = other.get_one(Call, call_id)
            call.held_since = datetime.now(UTC)
        lock(session, ids)

    monkeypatch.setattr(calls, "lock", hold_first)
    limits(monkeypatch, retention_days={"incoming": AGE.days - 1})
    assert retention.expire_calls() == 0
    assert kept(owner)[call_id] is not None


def test_an_expired_recording_is_gone_from_the_store(owner: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    old, young = add(owner, AGE), add(owner, AGE - timedelta(days=2))
    keys = {call_id: f"recordings/{call_id}.wav" for call_id in (old, young)}
    for key in keys.values():
        objects.put(key, io.BytesIO(b"sound"), 5, "audio/wav")
    limits(monkeypatch, retention_recording_days={"incoming": AGE.days - 1})
    retention.expire()

    def gone() -> bool:
        housekeeping.delete_objects()  # that of the shared installation may be quicker
        try:
            b"".join(objects.stream(keys[old], 0, 5))
        except objects.ObjectMissing:
            return True
        return False

    wait_until(gone, 30, "the recording to go")
    assert b"".join(objects.stream(keys[young], 0, 5)) == b"sound"
    objects.delete(keys[young])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", {}),
        ("365", {"incoming": 365, "outgoing": 365}),
        ("outgoing=90", {"outgoing": 90}),
        ("365, outgoing = 90", {"incoming": 365, "outgoing": 90}),
        ("0", None),
        ("30,60", None),
        ("missed=3", None),
        ("a year", None),
    ],
)
def test_days_are_written_so(site: Site, written: str, meant: dict[str, int] | None) -> None:
    file = os.environ["APPLIANCE_ENV_FILE"]
    if meant is None:
        with pytest.raises(ValidationError):
            Settings(_env_file=file, retention_days=written)
    else:
        assert Settings(_env_file=file, retention_days=written).retention_days == meant
