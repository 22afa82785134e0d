"""Client and manager in a transcript that is kept."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import case, update
from sqlalchemy.orm import Session

from appliance.models import Call, Segment


def turn(session: Session, call_id: UUID) -> None:
    """Exchange client and manager in every segment; how long each of them speaks stands on the call."""
    other = case((Segment.speaker == "A", "B"), else_="A")
    detail = case((Segment.speaker_detail == "A2", "B2"), (Segment.speaker_detail == "B2", "A2"))
    session.execute(
        update(Segment).where(Segment.call_id == call_id).values(speaker=other, speaker_detail=detail),
        execution_options={"synchronize_session": False},
    )


def settle(session: Session, call_id: UUID, rule: str, confidence: float, *, turned: bool) -> None:
    """Note who decided about client and manager, and exchange them where they were taken for each other."""
    values = {"roles_rule": rule, "roles_confidence": confidence}
    if turned:
        turn(session, call_id)
        values |= {"client_ms": Call.manager_ms, "manager_ms": Call.client_ms}
    session.execute(
        update(Call).where(Call.id == call_id).values(**values), execution_options={"synchronize_session": False}
    )
