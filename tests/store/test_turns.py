"""Whose turn it is: short calls before long ones, fresh ones before backlog, and nobody waits for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session

from appliance.models import Call, Pipeline, User
from appliance.store import db, pipelines
from installer.site import Site

STAGE = "a stage of this test"
"""No worker runs it."""


class _Undo(Exception):
    """Nothing of a test is to stay."""


@pytest.fixture
def session(site: Site) -> Iterator[Session]:
    with suppress(_Undo), db.unit_of_work() as opened:
        yield opened
        raise _Undo


def waits(session: Session, duration_s: float, *, waited_s: float = 0, backlog: bool = False, **row: Any) -> UUID:
    """A call that came `waited_s` ago."""
    call_id = uuid4()
    manager = User(id=uuid4(), name=f"Очередной {call_id}", role="manager")
    session.add(manager)
    session.flush()
    facts: dict[str, Any] = {"type": "incoming", "status": "in-progress", "date": datetime.now(UTC)}
    session.add(Call(id=call_id, manager_id=manager.id, duration_ms=round(duration_s * 1000), **facts))
    session.flush()
    its_turn = pipelines.turn(duration_s, backlog=backlog) - timedelta(seconds=waited_s)
    session.add(Pipeline(**{"call_id": call_id, "stage": STAGE, "turn_at": its_turn, **row}))
    session.flush()
    return call_id


def claimed(session: Session) -> UUID | None:
    found = pipelines.claim(session, [STAGE], "a test", 60)
    return found[0] if found else None


def test_short_before_long_and_fresh_before_backlog(session: Session) -> None:
    backlog = waits(session, 5, backlog=True)
    long = waits(session, 3600)
    short = waits(session, 60)
    shorter = waits(session, 30)
    assert [claimed(session) for _ in range(5)] == [shorter, short, long, backlog, None]


def test_nobody_starves(session: Session) -> None:
    """A call that waited as long as it is long goes before every new one; backlog does so four hours later."""
    long = waits(session, 3600, waited_s=3590)
    older_backlog = waits(session, 60, waited_s=4 * 3600 + 10, backlog=True)
    fresh = waits(session, 60)
    young_backlog = waits(session, 60, waited_s=3600, backlog=True)
    assert [claimed(session) for _ in range(4)] == [long, older_backlog, fresh, young_backlog]


def test_only_what_is_due_is_claimed(session: Session) -> None:
    waits(session, 1, not_before=datetime.now(UTC) + timedelta(hours=1))
    waits(session, 1, stage="another stage of this test")
    waits(session, 1, state="completed")
    due = waits(session, 600)
    assert [claimed(session), claimed(session)] == [due, None]


def test_a_call_processed_anew_is_backlog(session: Session) -> None:
    again = waits(session, 60, state="completed")
    assert pipelines.restart(session, again, STAGE)
    fresh = waits(session, 3600)
    assert [claimed(session), claimed(session)] == [fresh, again]
