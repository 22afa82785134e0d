"""Retention: calls and recordings that are older than the site keeps them go, but for those under legal hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, update

from appliance import logs
from appliance.config import settings
from appliance.models import Call, Pipeline
from appliance.models.calls import CallType
from appliance.store import audit, calls, db, deletions

log = logs.get(__name__)

PORTION = 200
"""Calls in one transaction."""

PAUSE_S = 3600.0
"""Between two looks, where the last found less than a portion."""


def expire() -> bool:
    """Remove a portion of what has expired, oldest first; returns whether there may be more."""
    gone, silenced = expire_calls(), expire_recordings()
    if gone or silenced:
        log.info("calls_expired", calls=gone, recordings=silenced)
    return PORTION in (gone, silenced)


def expire_calls() -> int:
    """Whole calls, by RETENTION_DAYS; returns how many."""
    with db.unit_of_work() as session:
        due = session.scalars(_due(settings().retention_days, select(Call.id))).all()
        gone = calls.remove(session, due)
        for call_id in gone:
            audit.append(session, "call_expired", call_id=call_id)
    return len(gone)


def expire_recordings() -> int:
    """Recordings alone, by RETENTION_RECORDING_DAYS: transcript and analysis stay; returns how many."""
    with db.unit_of_work() as session:
        query = _due(settings().retention_recording_days, select(Call.id).where(Call.audio_key.is_not(None)))
        due = session.scalars(query).all()
        held = calls.held(session, due)
        expired = [call_id for call_id in due if call_id not in held]
        rows = session.execute(select(Call.id, Call.audio_key).where(Call.id.in_(expired))).all()
        nothing = {"audio_key": None, "audio_type": None, "audio_bytes": None}
        session.execute(update(Call).where(Call.id.in_(expired)).values(nothing))
        deletions.mark(session, [row.audio_key for row in rows])
        for row in rows:
            audit.append(session, "recording_expired", call_id=row.id)
    return len(rows)


def _due(days: Mapping[CallType, int], query: Select[Any]) -> Select[Any]:
    """Narrowed to calls past their days, which nobody holds and no worker has or waits for."""
    busy = select(Pipeline.call_id).where(Pipeline.call_id == Call.id, Pipeline.state.in_(("waiting", "running")))
    return (
        query.where(_older(days), Call.held_since.is_(None), ~busy.exists()).order_by(Call.date, Call.id).limit(PORTION)
    )


def _older(days: Mapping[CallType, int]) -> ColumnElement[bool]:
    now = datetime.now(UTC)
    kinds = [and_(Call.type == kind, Call.date < now - timedelta(days=kept)) for kind, kept in days.items()]
    return or_(false(), *kinds)
