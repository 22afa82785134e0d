"""Which calls a list, a search, an export or a statistic is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, any_, func, or_, select
from sqlalchemy.orm import Session

from appliance.models import AiAnalysis, Call, Segment, User
from appliance.models.analyses import OutcomeKind, Sentiment
from appliance.models.calls import CallStatus, CallType
from appliance.store.text_search import containing, matches
from appliance.store.visibility import Viewer, visible_to

Sort = Literal["date_desc", "date_asc", "duration_desc", "duration_asc"]

REVERSED: dict[Sort, Sort] = {
    "date_desc": "date_asc",
    "date_asc": "date_desc",
    "duration_desc": "duration_asc",
    "duration_asc": "duration_desc",
}

SHORTEST_NUMBER = 3
"""Fewer digits are no telephone number that anybody looks for."""

SHORTEST_WORD = 5
"""Letters of a word that is still like itself with a typing error; of shorter ones the whole text must be like."""

RESEMBLES = "%>"
"""Some words of a name are like the text: pg_trgm's operator, which its indexes know; see db.SIMILAR."""


@dataclass(frozen=True, slots=True)
class CallFilter:
    """The list's filters; None and empty mean all. Days are the site's."""

    search: str = ""
    status: CallStatus | None = None
    type: CallType | None = None
    sentiment: Sentiment | None = None
    outcome: OutcomeKind | None = None
    manager: str = ""
    date_from: date | None = None
    date_to: date | None = None
    transcript: str = ""
    ids: Sequence[UUID] | None = None


def start_of(day: date, zone: str) -> datetime:
    """Midnight of a day in a time zone."""
    return datetime.combine(day, time(), ZoneInfo(zone))


def as_meant(session: Session, viewer: Viewer, wanted: CallFilter, zone: str) -> list[ColumnElement[bool]]:
    """The WHERE of a filter, with its search taken for a typing error where nothing is written so."""
    as_written = conditions(viewer, wanted, zone)
    if not wanted.search.strip():
        return as_written
    # Materialized: found by the indexes; to see whether there is any, the planner would rather try call after call.
    found = select(Call.id).where(*as_written).cte("found").prefix_with("MATERIALIZED")
    if session.scalar(select(select(found.c.id).exists())):
        return as_written
    return conditions(viewer, wanted, zone, misspelt=True)


def conditions(viewer: Viewer, wanted: CallFilter, zone: str, *, misspelt: bool = False) -> list[ColumnElement[bool]]:
    """The WHERE of a filter; what the viewer may not see is never in it.

    misspelt: names are looked for that are only like the search.
    """
    found: list[ColumnElement[bool]] = [visible_to(viewer)]
    if wanted.status:
        found.append(Call.status == wanted.status)
    if wanted.type:
        found.append(Call.type == wanted.type)
    if wanted.sentiment:
        found.append(Call.sentiment == wanted.sentiment)
    if wanted.outcome:
        found.append(_analysed(AiAnalysis.outcome == wanted.outcome))
    if wanted.manager:
        found.append(Call.manager_id.in_(select(User.id).where(func.lower(User.name) == wanted.manager.lower())))
    found += _within(wanted, zone)
    if wanted.transcript:
        found.append(Call.id.in_(select(Segment.call_id).where(matches(wanted.transcript))))
    if wanted.ids is not None:
        found.append(Call.id.in_(wanted.ids))
    if wanted.search.strip():
        found.append(_searched(wanted.search, misspelt=misspelt))
    return found


def _within(wanted: CallFilter, zone: str) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.date_from:
        found.append(Call.date >= start_of(wanted.date_from, zone))
    if wanted.date_to:
        found.append(Call.date < start_of(wanted.date_to + timedelta(days=1), zone))
    return found


def _analysed(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Calls whose finished analysis fulfils a condition."""
    analysed = and_(condition, AiAnalysis.processing_status == "completed")
    return select(AiAnalysis.id).where(AiAnalysis.call_id == Call.id, analysed).correlate(Call).exists()


def _searched(text: str, *, misspelt: bool) -> ColumnElement[bool]:
    """Number, client or manager: numbers however they are written, names by a part of them, or by what is like them."""
    text = " ".join(text.split())

    def named(name: Any) -> ColumnElement[bool]:
        if not misspelt:
            return name.ilike(containing(text))  # type: ignore[no-any-return]
        numbers = [name.ilike(containing(word)) for word in text.split() if any(map(str.isdigit, word))]
        words = [name.op(RESEMBLES)(word) for word in text.split() if word.isalpha() and len(word) >= SHORTEST_WORD]
        return and_(name.op(RESEMBLES)(text), *words, *numbers)

    managers = select(User.id).where(named(User.name))
    # An array, so that all the parts can be looked up in their indexes.
    found: list[ColumnElement[bool]] = [
        named(Call.client_name),
        Call.manager_id == any_(func.array(managers.scalar_subquery())),
    ]
    digits = re.sub(r"\D", "", text)
    if len(digits) >= SHORTEST_NUMBER and not re.search(r"[^\W\d_]", text):
        found += [Call.phone.like(f"%{digits}%")]
        if digits.startswith("8"):
            found += [Call.phone.like(f"+7{digits[1:]}%")]  # 8 is how Russia dials what is written +7
    return or_(*found)


def ordered(query: Any, sort: Sort, columns: Any = Call) -> Any:
    """The query in one of the four orders. The id breaks ties, so that no page shows what another one does."""
    first = columns.date if sort.startswith("date") else columns.duration_ms
    if sort.endswith("asc"):
        return query.order_by(first.asc(), columns.id.asc())
    return query.order_by(first.desc(), columns.id.desc())
