"""/api/dashboard: numbers over the calls that the viewer may see."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError

from appliance.api.deps import ViewerDep
from appliance.api.schemas import Days
from appliance.api.shapes import Shape
from appliance.services import dashboard
from appliance.store.call_filters import CallFilter
from appliance.store.statistics import Period

router = APIRouter(prefix="/api/dashboard", tags=["dashboard"])


class ManagerBrief(Shape):
    name: str
    calls_count: int
    avg_sentiment: float


class SentimentDay(Shape):
    date: date
    positive: int
    neutral: int
    negative: int


class Stats(Shape):
    total_calls: int
    today_calls: int = Field(description="Since midnight in the site's time zone")
    completed_calls: int
    missed_calls: int
    avg_duration: int = Field(description="Seconds, of calls that took place")
    avg_sentiment: float = Field(ge=-1, le=1)
    top_managers: list[ManagerBrief]
    sentiment_trend: list[SentimentDay]


class TrendPoint(Shape):
    date: date
    calls: int
    missed: int
    avg_duration: int
    avg_sentiment: float
    positive: int
    neutral: int
    negative: int


class TopicCount(Shape):
    topic: str
    calls: int


class Trends(Shape):
    period: Period
    points: list[TrendPoint]
    topics: list[TopicCount]


class ManagerStats(Shape):
    id: UUID
    name: str
    calls: int
    missed: int
    avg_duration: int
    avg_sentiment: float
    talk_share: float = Field(ge=0, le=1, description="Share of the speech that is the manager's")
    topics: list[str]


class Managers(Shape):
    managers: list[ManagerStats]


def period_filter(
    dateFrom: Annotated[date | None, Query(description="First day, in the site's time zone")] = None,  # noqa: N803
    dateTo: Annotated[date | None, Query(description="Last day, inclusive")] = None,  # noqa: N803
    manager: Annotated[str, Query(max_length=200, description="A manager's name, or all")] = "all",
) -> CallFilter:
    """The dashboard's filters."""
    try:
        days = Days(dateFrom=dateFrom, dateTo=dateTo)
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": ("query", *each["loc"])} for each in error.errors()]) from None
    return CallFilter(date_from=days.dateFrom, date_to=days.dateTo, manager="" if manager == "all" else manager)


Wanted = Annotated[CallFilter, Depends(period_filter)]


@router.get("/stats")
def stats(viewer: ViewerDep, wanted: Wanted) -> Stats:
    """Totals, the busiest managers, the sentiment of each day."""
    found = dashboard.overview(viewer, wanted)
    return Stats(
        total_calls=found.totals.total,
        today_calls=found.totals.today,
        completed_calls=found.totals.completed,
        missed_calls=found.totals.missed,
        avg_duration=round(found.totals.avg_duration_s),
        avg_sentiment=round(found.totals.avg_sentiment, 2),
        top_managers=[
            ManagerBrief(name=row.name, calls_count=row.calls, avg_sentiment=round(row.avg_sentiment, 2))
            for row in found.managers
        ],
        sentiment_trend=[
            SentimentDay(date=row.start, positive=row.positive, neutral=row.neutral, negative=row.negative)
            for row in found.days
        ],
    )


@router.get("/trends")
def trends(viewer: ViewerDep, wanted: Wanted, period: Period = "day") -> Trends:
    """Calls, durations and sentiment by day, week or month, and the most frequent topics."""
    points, topics = dashboard.trends(viewer, wanted, period)
    return Trends(
        period=period,
        points=[
            TrendPoint(
                date=row.start,
                calls=row.calls,
                missed=row.missed,
                avg_duration=round(row.avg_duration_s),
                avg_sentiment=round(row.avg_sentiment, 2),
                positive=row.positive,
                neutral=row.neutral,
                negative=row.negative,
            )
            for row in points
        ],
        topics=[TopicCount(topic=row.topic, calls=row.calls) for row in topics],
    )


@router.get("/managers")
def managers(viewer: ViewerDep, wanted: Wanted) -> Managers:
    """Each manager: calls, missed, averages, share of talk, topics."""
    return Managers(
        managers=[
            ManagerStats(
                id=row.id,
                name=row.name,
                calls=row.calls,
                missed=row.missed,
                avg_duration=round(row.avg_duration_s),
                avg_sentiment=round(row.avg_sentiment, 2),
                talk_share=round(row.talk_share, 3),
                topics=topics,
            )
            for row, topics in dashboard.managers(viewer, wanted)
        ]
    )
