"""Counts over the calls that a viewer may see. Days, weeks and months are the site's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal

from sqlalchemy import ColumnElement, Date, Float, and_, case, cast, func, select
from sqlalchemy.orm import Session

from appliance.models import AiAnalysis, Call, Segment, User
from appliance.store.call_filters import CallFilter, conditions, start_of
from appliance.store.visibility import Viewer

Period = Literal["day", "week", "month"]
TOP_MANAGERS = 10
TOP_TOPICS = 5

ANALYSED = AiAnalysis.processing_status == "completed"
SCORE = case((ANALYSED, AiAnalysis.sentiment_score))
"""The score of an analysed call; NULL, which averages skip, of any other."""


def count_where(condition: ColumnElement[bool]) -> Any:
    """count(*) FILTER (WHERE condition)."""
    return func.count().filter(condition)


def local_period(period: Period, zone: str) -> Any:
    """The first day of the period that a call belongs to."""
    return cast(func.date_trunc(period, func.timezone(zone, Call.date)), Date)


def totals(session: Session, viewer: Viewer, wanted: CallFilter, zone: str, today: date) -> Any:
    """One row: total, today, completed, missed, avg_duration_s, avg_sentiment."""
    return session.execute(
        select(
            func.count().label("total"),
            count_where(Call.date >= start_of(today, zone)).label("today"),
            count_where(Call.status == "completed").label("completed"),
            count_where(Call.status == "missed").label("missed"),
            func.coalesce(func.avg(Call.duration_ms).filter(Call.status != "missed") / 1000, 0).label("avg_duration_s"),
            func.coalesce(func.avg(SCORE), 0).label("avg_sentiment"),
        )
        .select_from(Call)
        .join(AiAnalysis, AiAnalysis.call_id == Call.id, isouter=True)
        .where(*conditions(viewer, wanted, zone))
    ).one()


def by_period(session: Session, viewer: Viewer, wanted: CallFilter, zone: str, period: Period) -> Sequence[Any]:
    """Rows: start, calls, missed, avg_duration_s, avg_sentiment, positive, neutral, negative; oldest first."""
    start = local_period(period, zone).label("start")
    labels = [
        count_where(and_(ANALYSED, AiAnalysis.sentiment == label)).label(label)
        for label in ("positive", "neutral", "negative")
    ]
    return session.execute(
        select(
            start,
            func.count().label("calls"),
            count_where(Call.status == "missed").label("missed"),
            func.coalesce(func.avg(Call.duration_ms).filter(Call.status != "missed") / 1000, 0).label("avg_duration_s"),
            func.coalesce(func.avg(SCORE), 0).label("avg_sentiment"),
            *labels,
        )
        .select_from(Call)
        .join(AiAnalysis, AiAnalysis.call_id == Call.id, isouter=True)
        .where(*conditions(viewer, wanted, zone))
        .group_by(start)
        .order_by(start)
    ).all()


def topics(session: Session, viewer: Viewer, wanted: CallFilter, zone: str, limit: int) -> Sequence[Any]:
    """Rows: topic, calls; the most frequent first."""
    topic = func.unnest(AiAnalysis.topics).label("topic")
    found = (
        select(topic)
        .select_from(Call)
        .join(AiAnalysis, AiAnalysis.call_id == Call.id)
        .where(ANALYSED, *conditions(viewer, wanted, zone))
        .subquery()
    )
    counted = func.count().label("calls")
    query = select(found.c.topic, counted).group_by(found.c.topic).order_by(counted.desc(), found.c.topic)
    return session.execute(query.limit(limit)).all()


def by_manager(session: Session, viewer: Viewer, wanted: CallFilter, zone: str, limit: int | None) -> Sequence[Any]:
    """Rows: id, name, calls, missed, avg_duration_s, avg_sentiment; who has most calls first."""
    calls = func.count().label("calls")
    query = (
        select(
            User.id,
            User.name,
            calls,
            count_where(Call.status == "missed").label("missed"),
            func.coalesce(func.avg(Call.duration_ms).filter(Call.status != "missed") / 1000, 0).label("avg_duration_s"),
            func.coalesce(func.avg(SCORE), 0).label("avg_sentiment"),
        )
        .select_from(Call)
        .join(User, User.id == Call.manager_id)
        .join(AiAnalysis, AiAnalysis.call_id == Call.id, isouter=True)
        .where(*conditions(viewer, wanted, zone))
        .group_by(User.id, User.name)
        .order_by(calls.desc(), User.name)
    )
    return session.execute(query.limit(limit)).all()


def manager_topics(session: Session, viewer: Viewer, wanted: CallFilter, zone: str) -> dict[Any, list[str]]:
    """The most frequent topics of each manager's calls, by the manager's id."""
    topic = func.unnest(AiAnalysis.topics).label("topic")
    found = (
        select(Call.manager_id, topic)
        .select_from(Call)
        .join(AiAnalysis, AiAnalysis.call_id == Call.id)
        .where(ANALYSED, *conditions(viewer, wanted, zone))
        .subquery()
    )
    counted = func.count()
    query = select(found.c.manager_id, found.c.topic).group_by(found.c.manager_id, found.c.topic)
    grouped: dict[Any, list[str]] = {}
    for manager_id, name in session.execute(query.order_by(counted.desc(), found.c.topic)):
        if len(grouped.setdefault(manager_id, [])) < TOP_TOPICS:
            grouped[manager_id].append(name)
    return grouped


def talk_shares(session: Session, viewer: Viewer, wanted: CallFilter, zone: str) -> dict[Any, float]:
    """The share of speech that is the manager's, over all of a manager's calls, by the manager's id."""
    length = cast(Segment.end_ms - Segment.start_ms, Float)
    spoken = func.sum(length)
    own = func.sum(length).filter(Segment.speaker == "B")
    query = (
        select(Call.manager_id, func.coalesce(own, 0) / func.nullif(spoken, 0))
        .select_from(Call)
        .join(Segment, Segment.call_id == Call.id)
        .where(*conditions(viewer, wanted, zone))
        .group_by(Call.manager_id)
    )
    return {manager_id: float(share or 0) for manager_id, share in session.execute(query)}
