"""Queries on calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, delete, func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from appliance.models import AiAnalysis, Call, User
from appliance.store import deletions
from appliance.store.call_filters import ORDERS, CallFilter, Sort, conditions, ordered
from appliance.store.visibility import Viewer, visible_to

EXPORT_PORTION = 2000
"""Rows that an export holds in memory."""


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


def exported(session: Session, viewer: Viewer, wanted: CallFilter, zone: str) -> Iterator[Row[Any]]:
    """Every call that a filter lets through, newest first, as rows read in portions while they are asked for."""
    analysed = and_(AiAnalysis.call_id == Call.id, AiAnalysis.processing_status == "completed")
    query = (
        select(
            *(Call.id, Call.date, Call.type, Call.status, Call.client_name, Call.phone, Call.duration_ms),
            User.name.label("manager_name"),
            *(AiAnalysis.sentiment, AiAnalysis.sentiment_score, AiAnalysis.topics, AiAnalysis.intents),
            *(AiAnalysis.summary, AiAnalysis.action_items, AiAnalysis.language),
        )
        .join(User, Call.manager_id == User.id)
        .outerjoin(AiAnalysis, analysed)
        .where(*conditions(viewer, wanted, zone))
        .order_by(*ORDERS["date_desc"])
    )
    return iter(session.execute(query, execution_options={"yield_per": EXPORT_PORTION}))


def visible_ids(session: Session, viewer: Viewer, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Those of the ids that are calls the viewer may see."""
    return session.scalars(select(Call.id).where(Call.id.in_(ids), visible_to(viewer))).all()


def remove(session: Session, ids: Sequence[UUID]) -> int:
    """Delete calls with everything that belongs to them; their recordings are marked for deletion. Returns how many."""
    gone = session.execute(delete(Call).where(Call.id.in_(ids)).returning(Call.audio_key)).scalars().all()
    deletions.mark(session, gone)
    return len(gone)
