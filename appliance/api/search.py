"""/api/search: calls by what was said in them."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from appliance.api.calls import call_filter
from appliance.api.deps import BaseUrl, ViewerDep
from appliance.api.schemas import CallBrief, Shape
from appliance.services import search
from appliance.store.call_filters import CallFilter

router = APIRouter(prefix="/api/search", tags=["calls"])


class Hit(Shape):
    segment_id: UUID
    speaker: Literal["A", "B"]
    start_ms: int = Field(description="Where to jump to")
    end_ms: int
    snippet: str = Field(description="HTML: escaped text with <mark> around what matches")


class FoundCall(Shape):
    call: CallBrief
    segments: list[Hit]


class SearchPage(Shape):
    results: list[FoundCall]
    total: int
    has_next: bool
    has_prev: bool


@router.get("", response_model_exclude_none=True)
def find(
    viewer: ViewerDep,
    base_url: BaseUrl,
    q: Annotated[
        str, Query(min_length=1, max_length=300, description='Words, "phrases", -without, begin*; any form of a word')
    ],
    wanted: Annotated[CallFilter, Depends(call_filter)],
    speaker: Annotated[Literal["A", "B"] | None, Query(description="Only what this side said")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> SearchPage:
    """Calls whose transcript matches, newest first, with the segments that do."""
    found, total = search.find(viewer, q, speaker, wanted, limit, offset)
    return SearchPage(
        results=[
            FoundCall(
                call=CallBrief.brief(each.call, base_url),
                segments=[
                    Hit(
                        segment_id=row.id,
                        speaker=row.speaker,
                        start_ms=row.start_ms,
                        end_ms=row.end_ms,
                        snippet=row.snippet,
                    )
                    for row in each.hits
                ],
            )
            for each in found
        ],
        total=total,
        has_next=offset + len(found) < total,
        has_prev=offset > 0,
    )
