"""Events: appended with the change they tell of, announced to every API process by NOTIFY."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from appliance.models import Event

CHANNEL = "appliance_events"
"""NOTIFY channel of stored events; the payload is the event's id."""

PROGRESS_CHANNEL = "appliance_progress"
"""NOTIFY channel of progress, which is not stored; the payload is JSON."""

SESSION_CHANNEL = "appliance_sessions"
"""NOTIFY channel of sessions that ended; the payload is the session's id."""


def append(session: Session, event_type: str, call_id: UUID, data: dict[str, Any] | None = None) -> Event:
    """Store an event in the caller's transaction; listeners hear of it when that commits."""
    # Ids must commit in order: a reader that has seen 6 would never come back for a 5 that commits later.
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('call-analytics events'))"))
    event = Event(type=event_type, call_id=call_id, data=data or {})
    session.add(event)
    session.flush()
    session.execute(select(func.pg_notify(CHANNEL, str(event.id))))
    return event


def since(session: Session, last_event_id: int, limit: int = 500) -> Sequence[Event]:
    """Stored events after an id, oldest first."""
    return session.scalars(select(Event).where(Event.id > last_event_id).order_by(Event.id).limit(limit)).all()


def newest(session: Session) -> int:
    """The newest stored event's id; 0 where there is none."""
    return session.scalar(select(func.max(Event.id))) or 0


def tell_progress(session: Session, call_id: UUID, stage: str, share: float) -> None:
    """Announce how far a stage is, 0-1. Nobody replays this."""
    payload = json.dumps({"call_id": str(call_id), "stage": stage, "progress": round(share, 3)})
    session.execute(select(func.pg_notify(PROGRESS_CHANNEL, payload)))


def tell_session_ended(session: Session, family: UUID) -> None:
    """Announce that a session's tokens are dead from this commit on."""
    session.execute(select(func.pg_notify(SESSION_CHANNEL, str(family))))
