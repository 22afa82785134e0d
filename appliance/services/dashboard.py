"""The dashboard: what the calls are like, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from appliance.config import settings
from appliance.store import db, statistics, tallies
from appliance.store.call_filters import CallFilter
from appliance.store.statistics import Period
from appliance.store.visibility import Viewer

TREND_DAYS = 30
"""Days of the sentiment trend where no first day is asked for."""

TOPICS = 10


@dataclass(frozen=True, slots=True)
class Overview:
    """Rows of the store, see appliance.store.statistics."""

    totals: Any
    managers: Sequence[Any]
    days: Sequence[Any]


def overview(viewer: Viewer, wanted: CallFilter) -> Overview:
    """Totals, the busiest managers and the sentiment of each day (of the last 30, where no first day is given)."""
    today = datetime.now(ZoneInfo(settings().site_timezone)).date()
    with db.reading() as session:
        newest = None if wanted.date_from else TREND_DAYS
        return Overview(
            totals=statistics.totals(session, viewer, wanted, today),
            managers=statistics.by_manager(session, viewer, wanted, statistics.TOP_MANAGERS),
            days=statistics.by_period(session, viewer, wanted, "day", newest),
        )


def trends(viewer: Viewer, wanted: CallFilter, period: Period) -> tuple[Sequence[Any], Sequence[Any]]:
    """Calls, durations and sentiment by day, week or month, and the most frequent topics."""
    with db.reading() as session:
        return (
            statistics.by_period(session, viewer, wanted, period),
            tallies.topics(session, viewer, wanted, TOPICS),
        )


def managers(viewer: Viewer, wanted: CallFilter) -> list[tuple[Any, list[str]]]:
    """Each manager's row and topics."""
    with db.reading() as session:
        topics = statistics.manager_topics(session, viewer, wanted)
        rows = statistics.by_manager(session, viewer, wanted, None)
    return [(row, topics.get(row.id, [])) for row in rows]
