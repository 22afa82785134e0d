"""/api/search: calls by what was said in them."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from appliance.api.deps import BaseUrl, ViewerDep
from appliance.api.schemas import CallBrief, CallFilters
from appliance.api.shapes import Shape
from appliance.services import search

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
    total_is_estimate: bool = Field(description="Whether the total is estimated, as it is for very common words")
    has_next: bool
    has_prev: bool


class SearchQuery(CallFilters):
    q: str = Field(
        min_length=1, max_length=300, description='Words, "phrases", -without, begin*; any form of a word is found'
    )
    speaker: Literal["A", "B"] | None = Field(None, description="Only what this side said")
    limit: int = Field(20, ge=1, le=100)
    offset: int = Field(0, ge=0, le=1_000_000)


@router.get("", response_model_exclude_none=True)
def find(viewer: ViewerDep, base_url: BaseUrl, wanted: Annotated[SearchQuery, Query()]) -> SearchPage:
    """Calls whose transcript matches, newest first, with the segments that do."""
    page = search.find(viewer, wanted.q, wanted.speaker, wanted.chosen(), wanted.limit, wanted.offset)
    return SearchPage(
        results=[
            FoundCall(
                call=CallBrief.brief(each.call, base_url, viewer.id),
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
            for each in page.found
        ],
        total=page.total,
        total_is_estimate=page.is_estimate,
        has_next=wanted.offset + len(page.found) < page.total,
        has_prev=wanted.offset > 0,
    )
