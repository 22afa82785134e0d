"""Numbers of the dashboard, from the tallies. Days, weeks and months are the site's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal

from sqlalchemy import ColumnElement, Date, and_, cast, func, select
from sqlalchemy.orm import Session

from appliance.models import CallTally, TopicTally, User
from appliance.store import tallies
from appliance.store.call_filters import CallFilter
from appliance.store.visibility import Viewer

Period = Literal["day", "week", "month"]
TOP_MANAGERS = 10
TOP_TOPICS = 5

ANALYSED = CallTally.sentiment.is_not(None)
TOOK_PLACE = CallTally.status != "missed"


def calls_where(*condition: ColumnElement[bool]) -> Any:
    """How many calls fulfil a condition."""
    counted = func.sum(CallTally.calls)
    return func.coalesce(counted.filter(and_(*condition)) if condition else counted, 0)


AVG_DURATION_S = func.coalesce(
    func.sum(CallTally.duration_ms).filter(TOOK_PLACE) / func.nullif(calls_where(TOOK_PLACE), 0) / 1000, 0
).label("avg_duration_s")
AVG_SENTIMENT = func.coalesce(
    func.sum(CallTally.score).filter(ANALYSED) / func.nullif(calls_where(ANALYSED), 0), 0
).label("avg_sentiment")


def totals(session: Session, viewer: Viewer, wanted: CallFilter, today: date) -> Any:
    """One row: total, today, completed, missed, avg_duration_s, avg_sentiment."""
    of_today = select(calls_where()).where(*tallies.days(CallTally, viewer, wanted), CallTally.start >= today)
    return session.execute(
        select(
            calls_where().label("total"),
            of_today.scalar_subquery().label("today"),
            calls_where(CallTally.status == "completed").label("completed"),
            calls_where(CallTally.status == "missed").label("missed"),
            AVG_DURATION_S,
            AVG_SENTIMENT,
        ).where(*tallies.places(CallTally, viewer, wanted))
    ).one()


def by_period(
    session: Session, viewer: Viewer, wanted: CallFilter, period: Period, newest: int | None = None
) -> Sequence[Any]:
    """Rows: start, calls, missed, avg_duration_s, avg_sentiment, positive, neutral, negative; oldest first.

    newest: of so many periods only; None of all.
    """
    # A plain column is read in the order of its index, and no further than to the last of the newest.
    of_day = CallTally.start if period == "day" else cast(func.date_trunc(period, CallTally.start), Date)
    start = of_day.label("start")
    rows = tallies.places if period == "month" else tallies.days
    labels = [calls_where(CallTally.sentiment == label).label(label) for label in ("positive", "neutral", "negative")]
    missed = calls_where(CallTally.status == "missed").label("missed")
    found = session.execute(
        select(start, calls_where().label("calls"), missed, AVG_DURATION_S, AVG_SENTIMENT, *labels)
        .where(*rows(CallTally, viewer, wanted))
        .group_by(start)
        .having(calls_where() > 0)
        .order_by(start.desc())
        .limit(newest)
    ).all()
    return found[::-1]


def by_manager(session: Session, viewer: Viewer, wanted: CallFilter, limit: int | None) -> Sequence[Any]:
    """Rows: id, name, calls, missed, avg_duration_s, avg_sentiment, talk_share; who has most calls first.

    talk_share: the share of speech that is the manager's.
    """
    calls = calls_where().label("calls")
    own, all_speech = func.sum(CallTally.manager_ms), func.sum(CallTally.manager_ms + CallTally.client_ms)
    query = (
        select(
            User.id,
            User.name,
            calls,
            calls_where(CallTally.status == "missed").label("missed"),
            AVG_DURATION_S,
            AVG_SENTIMENT,
            func.coalesce(own / func.nullif(all_speech, 0), 0).label("talk_share"),
        )
        .select_from(CallTally)
        .join(User, User.id == CallTally.manager_id)
        .where(*tallies.by_manager(CallTally, viewer, wanted))
        .group_by(User.id, User.name)
        .having(calls_where() > 0)
        .order_by(calls.desc(), User.name)
    )
    return session.execute(query.limit(limit)).all()


def manager_topics(session: Session, viewer: Viewer, wanted: CallFilter) -> dict[Any, list[str]]:
    """The most frequent topics of each manager's calls, by the manager's id."""
    counted = func.sum(TopicTally.calls)
    query = (
        select(TopicTally.manager_id, TopicTally.topic)
        .where(*tallies.by_manager(TopicTally, viewer, wanted))
        .group_by(TopicTally.manager_id, TopicTally.topic)
        .having(counted > 0)
        .order_by(counted.desc(), TopicTally.topic)
    )
    grouped: dict[Any, list[str]] = {}
    for manager_id, name in session.execute(query):
        if len(grouped.setdefault(manager_id, [])) < TOP_TOPICS:
            grouped[manager_id].append(name)
    return grouped
