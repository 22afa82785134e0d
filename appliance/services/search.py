"""Full-text search over transcripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from appliance.config import settings
from appliance.models import Call
from appliance.store import audit, db, search
from appliance.store.call_filters import CallFilter
from appliance.store.visibility import Viewer


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A page of what was found; `total` is estimated where `is_estimate` says so."""

    found: list[Found]
    total: int
    is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A call and those of its segments that match."""

    call: Call
    hits: list[Any]


def find(
    viewer: Viewer, query: str, speaker: Literal["A", "B"] | None, wanted: CallFilter, limit: int, offset: int
) -> FoundPage:
    """A page of calls whose transcript matches, newest first, and how many there are."""
    if not query.strip():
        return FoundPage([], 0)
    with db.unit_of_work() as session:
        page = search.find(session, viewer, query, speaker, wanted, settings().site_timezone, limit, offset)
        loaded = session.scalars(
            select(Call).where(Call.id.in_(page.ids)).options(joinedload(Call.manager), joinedload(Call.analysis))
        )
        by_id = {call.id: call for call in loaded}
        hits = search.hits(session, page.ids, query, speaker)
        audit.append(session, "searched", user_id=viewer.id, details={"found": page.total, "offset": offset})
    found = [Found(by_id[call_id], hits.get(call_id, [])) for call_id in page.ids if call_id in by_id]
    return FoundPage(found, page.total, page.is_estimate)
