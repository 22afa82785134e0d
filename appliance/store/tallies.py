"""Sums over tallies: what a filter lets through, without looking at the calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, text
from sqlalchemy.orm import Session

from appliance.models import CallTally, TallyZone, TopicTally, User
from appliance.store.call_filters import CallFilter
from appliance.store.visibility import Viewer

Tally = type[CallTally] | type[TopicTally]

MERGED_AT_ONCE = 20_000

KEYS = {"call_tallies": "type, status, sentiment", "topic_tallies": "topic"}
SUMS = {
    "call_tallies": ("calls", "duration_ms", "score", "client_ms", "manager_ms"),
    "topic_tallies": ("calls",),
}


def can_count(wanted: CallFilter) -> bool:
    """Whether the tallies know how many calls a filter lets through."""
    return not wanted.search.strip() and not wanted.transcript and not wanted.outcome and wanted.ids is None


def count(session: Session, viewer: Viewer, wanted: CallFilter) -> int:
    """How many calls a filter that `can_count` lets through."""
    found: list[ColumnElement[bool]] = []
    for column, value in (
        (CallTally.type, wanted.type),
        (CallTally.status, wanted.status),
        (CallTally.sentiment, wanted.sentiment),
    ):
        if value:
            found.append(column == value)
    return int(session.scalar(select(func.sum(CallTally.calls)).where(*found, *places(CallTally, viewer, wanted))) or 0)


def places(tally: Tally, viewer: Viewer, wanted: CallFilter) -> list[ColumnElement[bool]]:
    """Rows that cover a filter's days and managers once; what the viewer may not see is not among them."""
    return [*_whose(tally, viewer, wanted), _covering(tally, wanted)]


def days(tally: Tally, viewer: Viewer, wanted: CallFilter) -> list[ColumnElement[bool]]:
    """The same, in rows of single days."""
    return [tally.level == "day", *_whose(tally, viewer, wanted), *_days(tally, wanted)]


def by_manager(tally: Tally, viewer: Viewer, wanted: CallFilter) -> list[ColumnElement[bool]]:
    """The same, in rows of single managers."""
    return [*(_named(tally, viewer, wanted) or [tally.manager_id.is_not(None)]), _covering(tally, wanted)]


def _whose(tally: Tally, viewer: Viewer, wanted: CallFilter) -> list[ColumnElement[bool]]:
    return _named(tally, viewer, wanted) or [tally.manager_id.is_(None)]


def _named(tally: Tally, viewer: Viewer, wanted: CallFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if viewer.role == "manager":
        found.append(tally.manager_id == viewer.id)
    if wanted.manager:
        found.append(tally.manager_id.in_(select(User.id).where(func.lower(User.name) == wanted.manager.lower())))
    return found


def _days(tally: Tally, wanted: CallFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.date_from:
        found.append(tally.start >= wanted.date_from)
    if wanted.date_to:
        found.append(tally.start <= wanted.date_to)
    return found


def _covering(tally: Tally, wanted: CallFilter) -> ColumnElement[bool]:
    """Whole months where the filter has them, days at its ends."""
    first, last = wanted.date_from, wanted.date_to
    months_from = _next_month(first - timedelta(days=1)) if first else None
    months_to = (last + timedelta(days=1)).replace(day=1) if last else None
    if months_from and months_to and months_from >= months_to:
        return and_(tally.level == "day", *_days(tally, wanted))
    month = [tally.level == "month"]
    parts: list[ColumnElement[bool]] = []
    if first and months_from:
        month.append(tally.start >= months_from)
        parts.append(and_(tally.level == "day", tally.start >= first, tally.start < months_from))
    if last and months_to:
        month.append(tally.start < months_to)
        parts.append(and_(tally.level == "day", tally.start >= months_to, tally.start <= last))
    return or_(and_(*month), *parts)


def _next_month(day: date) -> date:
    """The first day of the month after a day's."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def topics(session: Session, viewer: Viewer, wanted: CallFilter, limit: int) -> Sequence[Any]:
    """Rows: topic, calls; the most frequent first."""
    counted = func.sum(TopicTally.calls)
    return session.execute(
        select(TopicTally.topic, counted.label("calls"))
        .where(*places(TopicTally, viewer, wanted))
        .group_by(TopicTally.topic)
        .having(counted > 0)
        .order_by(counted.desc(), TopicTally.topic)
        .limit(limit)
    ).all()


def merge(session: Session) -> None:
    """Add the differences to the rows of their places. One process at a time does this."""
    for table, key in KEYS.items():
        place = f"level, manager_id, start, {key}"
        sums = ", ".join(f"sum({name})" for name in SUMS[table])
        added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS[table])
        session.execute(
            text(
                f"WITH loose AS (DELETE FROM {table} WHERE id IN "  # noqa: S608 - names of our own
                f"(SELECT id FROM {table} WHERE NOT merged ORDER BY id LIMIT :most) RETURNING *) "
                f"INSERT INTO {table} ({place}, merged, {', '.join(SUMS[table])}) "
                f"SELECT {place}, true, {sums} FROM loose GROUP BY {place} "
                f"ON CONFLICT ({place}) WHERE merged DO UPDATE SET {added}"
            ),
            {"most": MERGED_AT_ONCE},
        )


def keep_zone(session: Session, zone: str) -> bool:
    """Count by the days of this time zone; whether everything had to be counted anew, because it was another."""
    if session.scalar(select(TallyZone.name)) == zone:
        return False
    session.execute(text("SELECT recount_calls(:zone)"), {"zone": zone})
    return True
