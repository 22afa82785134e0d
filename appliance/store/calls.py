"""Queries on calls."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from appliance.models import Call
from appliance.store.visibility import Viewer, visible_to


def detail(session: Session, viewer: Viewer, call_id: UUID) -> Call | None:
    """A call with manager, transcript, analysis and pipeline; None where the viewer may not see it."""
    return session.scalar(
        select(Call)
        .where(Call.id == call_id, visible_to(viewer))
        .options(
            joinedload(Call.manager), selectinload(Call.segments), joinedload(Call.analysis), joinedload(Call.pipeline)
        )
    )


def summary(session: Session, call_id: UUID) -> Call | None:
    """A call with manager and analysis, for events."""
    return session.scalar(
        select(Call).where(Call.id == call_id).options(joinedload(Call.manager), joinedload(Call.analysis))
    )


def manager_of(session: Session, call_id: UUID) -> UUID | None:
    """Whose call it is; None where it is deleted."""
    return session.scalar(select(Call.manager_id).where(Call.id == call_id))
