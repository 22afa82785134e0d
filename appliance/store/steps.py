"""Queries on the steps of a stage that may be interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.orm import Session

from appliance.models import Pipeline, StageStep


@dataclass(frozen=True, slots=True)
class Step:
    """A question and its answer, both JSON."""

    question: Any
    answer: Any


def kept(session: Session, call_id: UUID) -> list[Step]:
    """The steps of the call's current stage, in order."""
    query = (
        select(StageStep.question, StageStep.answer).where(StageStep.call_id == call_id).order_by(StageStep.position)
    )
    return [Step(question, answer) for question, answer in session.execute(query)]


def keep(session: Session, call_id: UUID, owner: str, first: int, steps: Sequence[Step], spent_ms: int) -> bool:
    """Add steps from position `first` on; False where the lease was lost, and nothing is written.

    Deaths and failed attempts count anew from here: a stage that comes on is no poison. One that does not come past a
    step is, after the usual number.
    """
    held = session.scalar(
        update(Pipeline)
        .where(Pipeline.held(call_id, owner))
        .values(spent_ms=spent_ms, deaths=0, attempts=0)
        .returning(Pipeline.call_id)
    )
    if held is None:
        return False
    rows = [
        {"call_id": call_id, "position": first + n, "question": step.question, "answer": step.answer}
        for n, step in enumerate(steps)
    ]
    session.execute(insert(StageStep), rows)
    return True


def forget(session: Session, call_id: UUID, owner: str, first: int = 0) -> None:
    """Delete the steps from position `first` on, where the worker still holds the lease."""
    held = exists().where(Pipeline.held(call_id, owner))
    session.execute(delete(StageStep).where(StageStep.call_id == call_id, StageStep.position >= first, held))


def clear(session: Session, call_id: UUID) -> None:
    """The stage has ended, or the call is processed anew."""
    session.execute(delete(StageStep).where(StageStep.call_id == call_id))
