"""Segments of transcripts, with the vector that full-text search looks at."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base, Identified, one_of

SEARCH_VECTOR = (
    "to_tsvector(CASE language WHEN 'ru' THEN 'russian'::regconfig WHEN 'en' THEN 'english'::regconfig "
    "ELSE 'simple'::regconfig END, translate(text, 'ёЁ', 'еЕ'))"
)


class Segment(Identified, Base):
    """What one side says without a break. `words` is a list of [text, start_ms, end_ms, probability]."""

    __tablename__ = "segments"
    __table_args__ = (
        UniqueConstraint("call_id", "position"),
        CheckConstraint(one_of("speaker", "A", "B"), name="speaker"),
        CheckConstraint("speaker_detail = speaker || '2'", name="speaker_detail"),
        CheckConstraint("start_ms >= 0 AND end_ms >= start_ms", name="times"),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
        Index("ix_segments_search", "search", postgresql_using="gin"),
    )

    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    position: Mapped[int]
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    speaker: Mapped[Literal["A", "B"]] = mapped_column(Text, comment="A client, B manager")
    speaker_detail: Mapped[Literal["A2", "B2"] | None] = mapped_column(
        Text, comment="Where the call was handed over: the second person of this side"
    )
    text: Mapped[str]
    language: Mapped[str]
    confidence: Mapped[float]
    words: Mapped[list[Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    search: Mapped[Any] = mapped_column(TSVECTOR, Computed(SEARCH_VECTOR, persisted=True), deferred=True)
