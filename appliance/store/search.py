"""Calls whose transcript matches a query, with the segments that do, highlighted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import case, cast, func, literal, select
from sqlalchemy.dialects.postgresql import REGCONFIG
from sqlalchemy.orm import Session

from appliance.models import Call, Segment
from appliance.store.call_filters import CallFilter, conditions
from appliance.store.text_search import CONFIGURATIONS, matches, queries
from appliance.store.visibility import Viewer

SEGMENTS_PER_CALL = 5
MARKS = "StartSel=<mark>, StopSel=</mark>, HighlightAll=true"


def highlighted(query: str) -> Any:
    """A segment's text with the words that match marked; it is escaped first, so that the marks are the only tags."""
    escaped = func.replace(func.replace(func.replace(Segment.text, "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
    by_language = dict(zip(CONFIGURATIONS, queries(query), strict=True))

    def headline(configuration: str) -> Any:
        return func.ts_headline(cast(literal(configuration), REGCONFIG), escaped, by_language[configuration], MARKS)

    return case(
        (Segment.language == "ru", headline("russian")),
        (Segment.language == "en", headline("english")),
        else_=headline("simple"),
    )


def find(
    session: Session,
    viewer: Viewer,
    query: str,
    speaker: Literal["A", "B"] | None,
    wanted: CallFilter,
    zone: str,
    limit: int,
    offset: int,
) -> tuple[Sequence[Any], int]:
    """Ids of matching calls, newest first, and how many there are."""
    hit = select(Segment.call_id).where(matches(Segment.search, query))
    if speaker:
        hit = hit.where(Segment.speaker == speaker)
    where = [*conditions(viewer, wanted, zone), Call.id.in_(hit)]
    total = session.scalar(select(func.count()).select_from(Call).where(*where)) or 0
    page = select(Call.id).where(*where).order_by(Call.date.desc(), Call.id.desc()).limit(limit).offset(offset)
    return session.scalars(page).all(), total


def hits(
    session: Session, call_ids: Sequence[Any], query: str, speaker: Literal["A", "B"] | None
) -> dict[Any, list[Any]]:
    """The first matching segments of each call: call_id, id, speaker, start_ms, end_ms, snippet."""
    place = func.row_number().over(partition_by=Segment.call_id, order_by=Segment.position).label("place")
    found = select(Segment.id.label("segment_id"), place).where(
        Segment.call_id.in_(call_ids), matches(Segment.search, query)
    )
    if speaker:
        found = found.where(Segment.speaker == speaker)
    chosen = found.subquery()
    rows = session.execute(
        select(
            Segment.call_id,
            Segment.id,
            Segment.speaker,
            Segment.start_ms,
            Segment.end_ms,
            highlighted(query).label("snippet"),
        )
        .join(chosen, chosen.c.segment_id == Segment.id)
        .where(chosen.c.place <= SEGMENTS_PER_CALL)
        .order_by(Segment.call_id, Segment.position)
    )
    grouped: dict[Any, list[Any]] = {}
    for row in rows:
        grouped.setdefault(row.call_id, []).append(row)
    return grouped
