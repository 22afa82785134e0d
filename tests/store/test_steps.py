"""What a stage has worked out is kept for the next run, while its circumstances are the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, update

from appliance.models import Call, Pipeline, User
from appliance.pipeline.steps import LeaseLost, Steps
from appliance.store import db, steps
from installer.site import Site

ABOUT = {"weights": "some"}
ANSWER = {"text": "Хавал Джулион", "probability": 0.1 + 0.2, "tiny": 1.5e-07, "words": [["a", 1, None]]}


@pytest.fixture
def call_id(site: Site) -> Iterator[UUID]:
    """A call that `me` works on, whose worker has died twice."""
    made, manager = uuid4(), User(id=uuid4(), name="Ступенев", role="manager")
    facts: dict[str, Any] = {"type": "incoming", "status": "in-progress", "date": datetime.now(UTC), "duration_ms": 1}
    lease = {"state": "running", "lease_owner": "me", "lease_until": datetime.max.replace(tzinfo=UTC), "deaths": 2}
    with db.unit_of_work() as session:
        session.add(manager)
        session.flush()
        session.add(Call(id=made, manager_id=manager.id, **facts))
        session.flush()
        session.add(Pipeline(call_id=made, stage="a stage of this test", **lease))
    yield made
    with db.unit_of_work() as session:
        session.execute(delete(Call).where(Call.id == made))
        session.execute(delete(User).where(User.id == manager.id))


def run(call_id: UUID, *questions: Any, about: dict[str, Any] = ABOUT, owner: str = "me") -> list[Any]:
    """Ask in a run of its own, and keep what was answered; returns the questions that were not recalled."""
    asked: list[Any] = []
    ours = Steps(call_id, owner, 0, lambda: None)
    recall = ours.of(about)
    for question in questions:

        def work(question: Any = question) -> Any:
            asked.append(question)
            return ANSWER

        assert recall(question, work) == ANSWER
    with db.unit_of_work() as session:
        ours.save(session)
    return asked


def test_the_next_run_recalls_what_was_answered(call_id: UUID) -> None:
    assert run(call_id, ["a", 1], ["b", 2]) == [["a", 1], ["b", 2]]
    assert run(call_id, ["a", 1], ["b", 2], ["c", 3]) == [["c", 3]]
    with db.unit_of_work() as session:
        row = session.get_one(Pipeline, call_id)
        assert (row.deaths, row.attempts) == (0, 0)
        assert len(steps.kept(session, call_id)) == 4


def test_other_circumstances_or_another_question_begin_anew(call_id: UUID) -> None:
    run(call_id, ["a", 1], ["b", 2], ["c", 3])
    assert run(call_id, ["a", 1], ["x", 2], ["c", 3]) == [["x", 2], ["c", 3]]
    assert run(call_id, ["a", 1], ["x", 2], ["c", 3]) == []
    assert run(call_id, ["a", 1], about={"weights": "others"}) == [["a", 1]]


def test_nothing_is_written_without_the_lease(call_id: UUID) -> None:
    run(call_id, ["a", 1])
    with db.unit_of_work() as session:
        session.execute(update(Pipeline).where(Pipeline.call_id == call_id).values(lease_owner="another"))
    with pytest.raises(LeaseLost):
        run(call_id, ["a", 1], ["b", 2])
    assert run(call_id, ["a", 1], ["b", 2], owner="another") == [["b", 2]]
