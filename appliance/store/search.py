"""Calls whose transcript matches a query, with the segments that do, highlighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, cast, func, literal, select, text, true
from sqlalchemy.dialects.postgresql import REGCONFIG
from sqlalchemy.orm import Session, aliased

from appliance.models import Call, Segment
from appliance.store import tallies
from appliance.store.call_filters import CallFilter, conditions, ordered
from appliance.store.text_search import CONFIGURATIONS, matches, queries
from appliance.store.visibility import Viewer

Speaker = Literal["A", "B"]

SEGMENTS_PER_CALL = 5

COMMON_SHARE = 0.002
"""Words in more segments than this share are common: among the newest calls there are enough that say them."""

WALKED = 3000
"""Newest calls that are looked into for a common word; a page beyond them is found by the index, which takes longer."""

MARKS = "StartSel=<mark>, StopSel=</mark>, HighlightAll=true"


@dataclass(frozen=True, slots=True)
class Page:
    """Ids of calls, and how many there are in all: counted, or, for common words, estimated."""

    ids: Sequence[UUID]
    total: int
    is_estimate: bool


def highlighted(query: str, segment: Any) -> Any:
    """A segment's text with the words that match marked; it is escaped first, so that the marks are the only tags."""
    escaped = func.replace(func.replace(func.replace(segment.text, "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
    by_language = dict(zip(CONFIGURATIONS, queries(query), strict=True))

    def headline(configuration: str) -> Any:
        return func.ts_headline(cast(literal(configuration), REGCONFIG), escaped, by_language[configuration], MARKS)

    return case(
        (segment.language == "ru", headline("russian")),
        (segment.language == "en", headline("english")),
        else_=headline("simple"),
    )


def find(
    session: Session,
    viewer: Viewer,
    query: str,
    speaker: Speaker | None,
    wanted: CallFilter,
    zone: str,
    limit: int,
    offset: int,
) -> Page:
    """Ids of matching calls, newest first, and how many there are."""
    where, said = conditions(viewer, wanted, zone), _said(query, speaker)
    share = _expected_share(session, said)
    if share > COMMON_SHARE:
        page = _walk(session, where, said, limit, offset)
        if len(page) == limit:
            calls = _count(session, viewer, wanted, where)
            return Page(page, max(round(calls * _share_of_calls(session, share)), offset + limit + 1), is_estimate=True)
    found = select(Segment.call_id).where(said).distinct().cte("said").prefix_with("MATERIALIZED")
    matching = select(Call.id, Call.date).where(*where, Call.id.in_(select(found.c.call_id))).cte("matching")
    matching = matching.prefix_with("MATERIALIZED")
    total = session.scalar(select(func.count()).select_from(matching)) or 0
    ids = ordered(select(matching.c.id), "date_desc", matching.c).limit(limit).offset(offset)
    return Page(session.scalars(ids).all(), total, is_estimate=False)


def _said(query: str, speaker: Speaker | None) -> ColumnElement[bool]:
    return and_(matches(query), Segment.speaker == speaker) if speaker else matches(query)


def _expected_share(session: Session, said: ColumnElement[bool]) -> float:
    """The share of segments that the planner expects to match, from its statistics on words."""
    statement = select(Segment.id).where(said).compile(dialect=session.get_bind().dialect)
    connection = session.connection()
    plan = connection.exec_driver_sql("EXPLAIN (FORMAT JSON) " + str(statement), statement.params).scalar_one()
    return float(plan[0]["Plan"]["Plan Rows"]) / max(_rows(session, "segments"), 1)


def _rows(session: Session, table: str) -> float:
    """How many rows a table has, as of the planner's last look."""
    return session.scalar(text("SELECT reltuples FROM pg_class WHERE oid = CAST(:t AS regclass)"), {"t": table}) or 0.0


def _share_of_calls(session: Session, share: float) -> float:
    """The share of calls with at least one such segment, where words were strewn evenly."""
    per_call = _rows(session, "segments") / max(_rows(session, "calls"), 1)
    return float(1 - (1 - min(share, 1.0)) ** per_call)


def _count(session: Session, viewer: Viewer, wanted: CallFilter, where: Sequence[ColumnElement[bool]]) -> int:
    if tallies.can_count(wanted):
        return tallies.count(session, viewer, wanted)
    return session.scalar(select(func.count()).select_from(Call).where(*where)) or 0


def _walk(
    session: Session, where: Sequence[ColumnElement[bool]], said: ColumnElement[bool], limit: int, offset: int
) -> Sequence[UUID]:
    """The page of a common word: newest calls first, each looked into, among the newest ones only."""
    newest = ordered(select(Call.id, Call.date).where(*where), "date_desc").limit(WALKED).subquery()
    # IS TRUE keeps the planner from looking for every such segment in the index of words.
    hit = select(literal(1)).where(Segment.call_id == newest.c.id, said.is_(true())).limit(1).lateral()
    query = select(newest.c.id).join(hit, true())
    return session.scalars(ordered(query, "date_desc", newest.c).limit(limit).offset(offset)).all()


def hits(session: Session, call_ids: Sequence[Any], query: str, speaker: Speaker | None) -> dict[Any, list[Any]]:
    """The first matching segments of each call: call_id, id, speaker, start_ms, end_ms, snippet."""
    call = select(Call.id).where(Call.id.in_(call_ids)).subquery()
    first = (
        select(Segment)
        .where(Segment.call_id == call.c.id, _said(query, speaker).is_(true()))
        .order_by(Segment.position)
        .limit(SEGMENTS_PER_CALL)
        .lateral()
    )
    segment = aliased(Segment, first)
    rows = session.execute(
        select(
            *(segment.call_id, segment.id, segment.speaker, segment.start_ms, segment.end_ms),
            highlighted(query, segment).label("snippet"),
        )
        .select_from(call)
        .join(first, true())
    )
    grouped: dict[Any, list[Any]] = {}
    for row in rows:
        grouped.setdefault(row.call_id, []).append(row)
    return grouped
