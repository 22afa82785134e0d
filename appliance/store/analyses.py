"""Queries on analyses: the current one of a call, and the versions before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from appliance.models import AiAnalysis, AnalysisVersion, Call, Segment
from appliance.models.analyses import VersionReason
from appliance.store.visibility import Viewer, visible_to


def current(session: Session, viewer: Viewer, call_id: UUID) -> AiAnalysis | None:
    """A call's analysis without its call; None where the viewer may not see it."""
    query = select(AiAnalysis).join(Call, Call.id == AiAnalysis.call_id)
    return session.scalar(query.where(Call.id == call_id, visible_to(viewer)))


def versions(session: Session, viewer: Viewer, call_id: UUID) -> Sequence[AnalysisVersion]:
    """Every analysis that was made of a call, the newest first."""
    query = select(AnalysisVersion).join(Call, Call.id == AnalysisVersion.call_id)
    return session.scalars(
        query.where(Call.id == call_id, visible_to(viewer)).order_by(AnalysisVersion.number.desc())
    ).all()


def numbered(session: Session, wanted: Mapping[UUID, int | None]) -> dict[UUID, AnalysisVersion]:
    """Of each call the version with this number, where there is one."""
    found = session.scalars(select(AnalysisVersion).where(AnalysisVersion.call_id.in_(wanted)))
    return {made.call_id: made for made in found if made.number == wanted[made.call_id]}


def places(session: Session, call_id: UUID) -> dict[str, dict[str, Any]]:
    """Where an analyst's segments are: the number that it knows a segment by, to `segment_id` and `start_ms`."""
    rows = session.execute(select(Segment.position, Segment.id, Segment.start_ms).where(Segment.call_id == call_id))
    return {str(row.position): {"segment_id": str(row.id), "start_ms": row.start_ms} for row in rows}


def keep(
    session: Session,
    call_id: UUID,
    judged: Mapping[str, Any],
    reason: VersionReason,
    stood_in_for: str | None = None,
    reanalysis_id: UUID | None = None,
) -> int | None:
    """Make an analysis (the columns of models.Judged) the call's current one and its newest version.

    stood_in_for: the provider that was down and is to analyse the call later.
    Returns the version's number; None where the call is gone.
    """
    number = session.scalar(
        update(AiAnalysis)
        .where(AiAnalysis.call_id == call_id)
        .values(processing_status="completed", version=AiAnalysis.version + 1, stood_in_for=stood_in_for, **judged)
        .returning(AiAnalysis.version)
    )
    if number is not None:
        session.add(
            AnalysisVersion(call_id=call_id, number=number, reason=reason, reanalysis_id=reanalysis_id, **judged)
        )
    return number
