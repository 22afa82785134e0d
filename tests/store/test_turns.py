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


def test_a_running_call_makes_way_for_an_earlier_turn_only(session: Session) -> None:
    long = waits(session, 3600)
    assert claimed(session) == long
    assert pipelines.first_before(session, long, [STAGE]) is None
    waits(session, 7200)
    waits(session, 30, backlog=True)
    waits(session, 30, not_before=datetime.now(UTC) + timedelta(hours=1))
    assert pipelines.first_before(session, long, [STAGE]) is None
    short = waits(session, 60)
    assert pipelines.first_before(session, long, ["another stage"]) is None
    before = pipelines.first_before(session, long, [STAGE])
    assert before is not None
    pipelines.make_way(session, long, "a test", before)
    assert [claimed(session), claimed(session)] == [short, long]


def test_a_long_call_that_waited_out_its_turn_alternates_with_short_ones(session: Session) -> None:
    """Its turn is before theirs, yet it lets each of them pass after a slice; its own next slice comes right after."""
    long = waits(session, 3600, waited_s=5000)
    assert claimed(session) == long
    middling = waits(session, 1200)
    assert pipelines.first_before(session, long, [STAGE]) is None
    first, second = waits(session, 60), waits(session, 90)
    before = pipelines.first_before(session, long, [STAGE])
    assert before is not None
    pipelines.make_way(session, long, "a test", before)
    assert [claimed(session) for _ in range(4)] == [first, long, second, middling]


def test_making_way_counts_as_no_failure(session: Session) -> None:
    long = waits(session, 3600, attempts=1, deaths=1)
    assert claimed(session) == long
    pipelines.make_way(session, long, "somebody else", datetime.now(UTC))
    assert session.get_one(Pipeline, long, populate_existing=True).state == "running"
    pipelines.make_way(session, long, "a test", datetime.now(UTC))
    row = session.get_one(Pipeline, long, populate_existing=True)
    assert (row.state, row.attempts, row.deaths, row.lease_owner) == ("waiting", 1, 1, None)
