"""Queries on calls."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from appliance.models import Call
from appliance.store import deletions
from appliance.store.call_filters import CallFilter, Sort, conditions, ordered
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


def page(
    session: Session, viewer: Viewer, wanted: CallFilter, sort: Sort, limit: int, offset: int, zone: str
) -> tuple[Sequence[Call], int]:
    """One page of the calls that a viewer may see, and how many there are in all."""
    where = conditions(viewer, wanted, zone)
    total = session.scalar(select(func.count()).select_from(Call).where(*where)) or 0
    query = select(Call).where(*where).options(joinedload(Call.manager), joinedload(Call.analysis))
    return session.scalars(ordered(query, sort).limit(limit).offset(offset)).all(), total


def visible_ids(session: Session, viewer: Viewer, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Those of the ids that are calls the viewer may see."""
    return session.scalars(select(Call.id).where(Call.id.in_(ids), visible_to(viewer))).all()


def remove(session: Session, ids: Sequence[UUID]) -> int:
    """Delete calls with everything that belongs to them; their recordings are marked for deletion. Returns how many."""
    gone = session.execute(delete(Call).where(Call.id.in_(ids)).returning(Call.audio_key)).scalars().all()
    deletions.mark(session, gone)
    return len(gone)
