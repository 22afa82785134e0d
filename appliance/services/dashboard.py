"""The dashboard: what the calls are like, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from appliance.config import settings
from appliance.store import db, statistics
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
    zone = settings().site_timezone
    today = datetime.now(ZoneInfo(zone)).date()
    with db.unit_of_work() as session:
        days = statistics.by_period(session, viewer, wanted, zone, "day")
        return Overview(
            totals=statistics.totals(session, viewer, wanted, zone, today),
            managers=statistics.by_manager(session, viewer, wanted, zone, statistics.TOP_MANAGERS),
            days=days if wanted.date_from else days[-TREND_DAYS:],
        )


def trends(viewer: Viewer, wanted: CallFilter, period: Period) -> tuple[Sequence[Any], Sequence[Any]]:
    """Calls, durations and sentiment by day, week or month, and the most frequent topics."""
    zone = settings().site_timezone
    with db.unit_of_work() as session:
        return (
            statistics.by_period(session, viewer, wanted, zone, period),
            statistics.topics(session, viewer, wanted, zone, TOPICS),
        )


def managers(viewer: Viewer, wanted: CallFilter) -> list[tuple[Any, float, list[str]]]:
    """Each manager's row, share of talk, and topics."""
    zone = settings().site_timezone
    with db.unit_of_work() as session:
        shares = statistics.talk_shares(session, viewer, wanted, zone)
        topics = statistics.manager_topics(session, viewer, wanted, zone)
        rows = statistics.by_manager(session, viewer, wanted, zone, None)
    return [(row, shares.get(row.id, 0.0), topics.get(row.id, [])) for row in rows]
