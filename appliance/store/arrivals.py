"""What arrived by itself, each once: see models.arrivals."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.models import Arrival


def call_of(session: Session, key: str) -> UUID | None:
    """The call that was created of it; None where it is new."""
    return session.scalar(select(Arrival.call_id).where(Arrival.key == key))


def note(session: Session, key: str, call_id: UUID) -> None:
    """A second one with this key fails the transaction at its flush: IntegrityError."""
    session.add(Arrival(key=key, call_id=call_id))
