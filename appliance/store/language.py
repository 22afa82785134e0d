"""Queries on provider profiles, the chosen one, and requests to language models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from appliance.models import LlmChoice, LlmProfile, LlmRequest


def profiles(session: Session) -> Sequence[LlmProfile]:
    """The profiles that admins added."""
    return session.scalars(select(LlmProfile).order_by(LlmProfile.name)).all()


def choice(session: Session) -> LlmChoice | None:
    """Who was chosen; None while the environment decides."""
    return session.get(LlmChoice, 1)


def choose(session: Session, profile: str, by: UUID | None) -> None:
    """Let this profile analyse from the commit on."""
    values = {"profile": profile, "chosen_by_id": by, "chosen_at": func.now()}
    session.execute(
        insert(LlmChoice).values(id=1, **values).on_conflict_do_update(index_elements=[LlmChoice.id], set_=values)
    )


def save_profile(session: Session, name: str, definition: dict[str, Any], sealed_key: str | None) -> None:
    """Add a profile, or put it in the place of the one with its name."""
    values = {"definition": definition, "sealed_key": sealed_key, "updated_at": func.now()}
    session.execute(
        insert(LlmProfile)
        .values(name=name, **values)
        .on_conflict_do_update(index_elements=[LlmProfile.name], set_=values)
    )


def remove_profile(session: Session, name: str) -> None:
    session.execute(delete(LlmProfile).where(LlmProfile.name == name))


def one_change_at_a_time(session: Session) -> None:
    """Two admins at once must not undo each other's half."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('llm profiles'))"))


def one_payer_at_a_time(session: Session, profile: str) -> None:
    """Between looking at what is spent and reserving more, nobody else may reserve."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('llm spending'), hashtext(:p))"), {"p": profile})


COUNTED = func.coalesce(LlmRequest.cost, LlmRequest.reserved_cost)


def spent(session: Session, since: datetime) -> Mapping[str, float]:
    """US dollars by profile since a moment; a request counts with the most that it can cost until it is known what it
    did cost.
    """
    query = select(LlmRequest.profile, func.sum(COUNTED)).where(LlmRequest.sent_at >= since)
    rows = session.execute(query.group_by(LlmRequest.profile)).tuples()
    return {name: float(total) for name, total in rows}


def begin_request(session: Session, **facts: Any) -> int:
    """Write a request down before it is sent; returns its number."""
    request = LlmRequest(**facts)
    session.add(request)
    session.flush()
    return request.id


def end_request(session: Session, number: int, **facts: Any) -> None:
    """What became of a request."""
    session.execute(update(LlmRequest).where(LlmRequest.id == number).values(done_at=func.now(), **facts))


def left(session: Session, since: datetime) -> Sequence[LlmRequest]:
    """Requests that left the machine since a moment, oldest first."""
    query = select(LlmRequest).where(LlmRequest.leaves, LlmRequest.sent_at >= since)
    return session.scalars(query.order_by(LlmRequest.id)).all()
