"""Queries on calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, any_, delete, func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from appliance.models import AiAnalysis, Call, Pipeline, Segment, User
from appliance.store import deletions, tallies
from appliance.store.call_filters import REVERSED, CallFilter, Sort, as_meant, ordered
from appliance.store.visibility import Viewer, visible_to

FOR_LISTS = (joinedload(Call.manager), joinedload(Call.analysis))

EXPORT_PORTION = 2000
"""Rows that an export holds in memory."""


def detail(session: Session, viewer: Viewer, call_id: UUID) -> Call | None:
    """A call with manager, transcript, analysis and pipeline; None where the viewer may not see it."""
    return session.scalar(
        select(Call)
        .where(Call.id == call_id, visible_to(viewer))
        .options(
            *(joinedload(Call.manager), joinedload(Call.analysis), joinedload(Call.pipeline)),
            selectinload(Call.segments).defer(Segment.words),  # larger than all the rest, and nobody's here
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


def people(session: Session, call_id: UUID) -> list[str]:
    """Names that a call may hold for reasons known beforehand: its client's, and those of the site's people, also of
    those who left.
    """
    client = session.scalar(select(Call.client_name).where(Call.id == call_id))
    return [*([client] if client else ()), *session.scalars(select(User.name).order_by(User.name))]


def page(
    session: Session, viewer: Viewer, wanted: CallFilter, sort: Sort, limit: int, offset: int, zone: str
) -> tuple[Sequence[Call], int]:
    """One page of the calls that a viewer may see, and how many there are in all."""
    where = as_meant(session, viewer, wanted, zone)
    if tallies.can_count(wanted):
        total = tallies.count(session, viewer, wanted)
        # Rows before a page are passed over in the index: of the second half, those behind it.
        after = total - offset - limit
        from_end = after < offset
        ids = (
            ordered(select(Call.id).where(*where), REVERSED[sort] if from_end else sort)
            .limit(max(min(limit, total - offset), 0) if from_end else limit)
            .offset(max(after, 0) if from_end else offset)
        )
    else:
        # Found once by the indexes, then counted and ordered; the planner would rather try every call in order.
        found = select(Call.id, Call.date, Call.duration_ms).where(*where).cte("found").prefix_with("MATERIALIZED")
        total = session.scalar(select(func.count()).select_from(found)) or 0
        ids = ordered(select(found.c.id), sort, found.c).limit(limit).offset(offset)
    query = select(Call).where(Call.id == any_(func.array(ids.scalar_subquery()))).options(*FOR_LISTS)
    return session.scalars(ordered(query, sort)).all(), total


def exported(session: Session, viewer: Viewer, wanted: CallFilter, zone: str) -> Iterator[Row[Any]]:
    """Every call that a filter lets through, newest first, as rows read in portions while they are asked for."""
    analysed = and_(AiAnalysis.call_id == Call.id, AiAnalysis.processing_status == "completed")
    query = (
        select(
            *(Call.id, Call.date, Call.type, Call.status, Call.client_name, Call.phone, Call.duration_ms),
            User.name.label("manager_name"),
            *(AiAnalysis.sentiment, AiAnalysis.sentiment_score, AiAnalysis.summary, AiAnalysis.language),
            # Joined by the server: lists of their own would take as long here as the rest of a row.
            *(
                func.array_to_string(several, "; ").label(several.key)
                for several in (AiAnalysis.topics, AiAnalysis.intents, AiAnalysis.action_items)
            ),
        )
        .join(User, Call.manager_id == User.id)
        .outerjoin(AiAnalysis, analysed)
        .where(*as_meant(session, viewer, wanted, zone))
    )
    return iter(session.execute(ordered(query, "date_desc"), execution_options={"yield_per": EXPORT_PORTION}))


def visible_ids(session: Session, viewer: Viewer, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Those of the ids that are calls the viewer may see."""
    return session.scalars(select(Call.id).where(Call.id.in_(ids), visible_to(viewer))).all()


def lock(session: Session, ids: Sequence[UUID]) -> None:
    """Let no stage be recorded for these calls until the transaction ends."""
    # A stage that is being recorded holds its pipeline row and then wants the call: take them in the same order.
    session.execute(
        select(Pipeline.call_id).where(Pipeline.call_id.in_(ids)).order_by(Pipeline.call_id).with_for_update()
    )


def held(session: Session, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Those of the calls that are under legal hold.

    Until the transaction ends nobody holds or releases one of the calls, and no stage is recorded for them.
    """
    lock(session, ids)
    query = select(Call.id, Call.held_since).where(Call.id.in_(ids)).order_by(Call.id).with_for_update()
    return [row.id for row in session.execute(query) if row.held_since is not None]


def remove(session: Session, ids: Sequence[UUID]) -> list[UUID]:
    """Delete calls with everything that belongs to them; their recordings are marked for deletion.

    Returns those that were there and not under legal hold.
    """
    lock(session, ids)
    gone = session.execute(
        delete(Call).where(Call.id.in_(ids), Call.held_since.is_(None)).returning(Call.id, Call.audio_key)
    ).all()
    deletions.mark(session, [row.audio_key for row in gone])
    return [row.id for row in gone]
