"""Analyses of calls by a language model or the built-in analyst: the current one, and every version that was made."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base, Identified, Timestamped, one_of

Sentiment = Literal["positive", "negative", "neutral"]

ProcessingStatus = Literal["pending", "completed", "failed"]
"""pending: not analysed yet. completed: the fields hold the result. failed: the pipeline gave up, see its error."""

OutcomeKind = Literal[
    "appointment", "test_drive", "sold", "lost", "callback", "service_booked", "information", "no_conversation"
]
"""How a call ended, as the engines say it."""

OUTCOMES = (
    *("appointment", "test_drive", "sold", "lost", "callback", "service_booked"),
    *("information", "no_conversation"),
)


class Judged:
    """What an analyst found, and how it came about. `details`: the dealership's part, see pipeline.analyse.placed."""

    sentiment: Mapped[Sentiment] = mapped_column(Text, default="neutral")
    sentiment_score: Mapped[float] = mapped_column(default=0.0)
    topics: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    intents: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    summary: Mapped[str] = mapped_column(default="")
    action_items: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    language: Mapped[str] = mapped_column(default="ru")
    outcome: Mapped[OutcomeKind | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"), default=dict)
    provider: Mapped[str | None]
    model: Mapped[str | None]
    prompt_version: Mapped[str | None]
    prompt_tokens: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    completion_tokens: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    cost: Mapped[float] = mapped_column(server_default=text("0"), default=0.0, comment="US dollars")
    elapsed_ms: Mapped[int] = mapped_column(server_default=text("0"), default=0)


class AiAnalysis(Judged, Identified, Timestamped, Base):
    """One call's analysis; a row exists from the upload on, so that its status can be read at any time."""

    __tablename__ = "ai_analyses"
    __table_args__ = (
        UniqueConstraint("call_id"),
        CheckConstraint(one_of("sentiment", "positive", "negative", "neutral"), name="sentiment"),
        CheckConstraint(one_of("processing_status", "pending", "completed", "failed"), name="processing_status"),
        CheckConstraint("sentiment_score BETWEEN -1 AND 1", name="sentiment_score"),
        CheckConstraint("cardinality(topics) <= 5", name="topics"),
        CheckConstraint(one_of("outcome", *OUTCOMES), name="outcome"),
        Index("ix_ai_analyses_outcome", "outcome"),
        Index("ix_ai_analyses_stood_in_for", "stood_in_for", postgresql_where=text("stood_in_for IS NOT NULL")),
    )

    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    processing_status: Mapped[ProcessingStatus] = mapped_column(Text, default="pending")
    version: Mapped[int] = mapped_column(server_default=text("0"), default=0, comment="Of analysis_versions; 0: none")
    stood_in_for: Mapped[str | None] = mapped_column(comment="The provider that was down; it analyses the call later")


VersionReason = Literal["received", "reprocessed", "stood_in", "provider_back", "reanalysed", "speakers_swapped"]
"""Why an analysis was made. received: the call came. reprocessed: somebody had it processed anew from its recording.
stood_in: by the built-in analyst while the provider was down. provider_back: after that, by the provider.
reanalysed: an admin had calls analysed anew. speakers_swapped: client and manager were exchanged.
"""

REASONS = ("received", "reprocessed", "stood_in", "provider_back", "reanalysed", "speakers_swapped")


class AnalysisVersion(Judged, Identified, Base):
    """One analysis that was made of a call and became its current one. Never changed; gone with its call."""

    __tablename__ = "analysis_versions"
    __table_args__ = (
        UniqueConstraint("call_id", "number"),
        CheckConstraint(one_of("reason", *REASONS), name="reason"),
    )

    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(comment="Counts from 1 in each call")
    reason: Mapped[VersionReason | None] = mapped_column(Text, comment="Null: made before reasons were written down")
    reanalysis_id: Mapped[UUID | None] = mapped_column(comment="No foreign key: the version outlives the order")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
