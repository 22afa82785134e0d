"""Calls: the noun that everything else hangs on."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from appliance.models.analyses import AiAnalysis, Sentiment
from appliance.models.base import Base, Identified, Timestamped, one_of
from appliance.models.pipelines import Pipeline
from appliance.models.segments import Segment
from appliance.models.users import User

CallType = Literal["incoming", "outgoing"]

CallStatus = Literal["in-progress", "completed", "missed"]
"""in-progress: the pipeline works on it. completed: it took place, analysed or not. missed: nobody answered."""


KEPT = "Of the finished analysis, kept by the database"


class Call(Identified, Timestamped, Base):
    """One telephone call. `audio_key` names its recording in the object store; a missed call has none."""

    __tablename__ = "calls"
    __table_args__ = (
        CheckConstraint(one_of("type", "incoming", "outgoing"), name="type"),
        CheckConstraint(one_of("status", "in-progress", "completed", "missed"), name="status"),
        CheckConstraint(one_of("manager_channel", "left", "right"), name="manager_channel"),
        CheckConstraint("duration_ms >= 0", name="duration_not_negative"),
        UniqueConstraint("audio_key"),
        UniqueConstraint("uploaded_by_id", "idempotency_key"),
        Index("ix_calls_date_id", "date", "id"),
        Index("ix_calls_duration_ms_id", "duration_ms", "id"),
        Index("ix_calls_status_date_id", "status", "date", "id"),
        Index("ix_calls_sentiment_date_id", "sentiment", "date", "id"),
        Index("ix_calls_manager_id_duration_ms_id", "manager_id", "duration_ms", "id"),
        Index("ix_calls_manager_id_date_id", "manager_id", "date", "id"),
        Index("ix_calls_created_at", "created_at"),
        Index(
            "ix_calls_client_name_trgm",
            "client_name",
            postgresql_using="gin",
            postgresql_ops={"client_name": "gin_trgm_ops"},
        ),
        Index("ix_calls_phone_trgm", "phone", postgresql_using="gin", postgresql_ops={"phone": "gin_trgm_ops"}),
    )

    type: Mapped[CallType] = mapped_column(Text)
    status: Mapped[CallStatus] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(comment="E.164")
    client_name: Mapped[str | None]
    manager_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    uploaded_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    idempotency_key: Mapped[str | None]
    duration_ms: Mapped[int] = mapped_column(server_default=text("0"))
    date: Mapped[datetime]
    held_since: Mapped[datetime | None] = mapped_column(
        comment="Under legal hold: nothing deletes the call until an admin releases it"
    )

    audio_key: Mapped[str | None]
    audio_type: Mapped[str | None] = mapped_column(comment="MIME type that the recording is served with")
    audio_bytes: Mapped[int | None]
    audio_codec: Mapped[str | None]
    audio_channels: Mapped[int | None]

    language: Mapped[str | None]
    transcript_model: Mapped[str | None]
    manager_channel: Mapped[Literal["left", "right"] | None] = mapped_column(
        Text, comment="The manager's channel, as the telephone exchange or the uploader knows it"
    )
    channels_apart: Mapped[bool | None] = mapped_column(
        comment="Whether each side was heard on a channel of its own; a recording of two channels may hold one sound"
    )
    roles_rule: Mapped[str | None] = mapped_column(comment="What decided who is A and who is B")
    roles_confidence: Mapped[float | None]
    removals: Mapped[list[Any]] = mapped_column(
        server_default=text("'[]'"), default=list, comment="Invented text: start_ms, end_ms, reason, text, channel"
    )
    corrections: Mapped[list[Any]] = mapped_column(
        server_default=text("'[]'"), default=list, comment="Names put right: start_ms, end_ms, heard, text, channel"
    )
    speakers_swapped: Mapped[bool] = mapped_column(server_default=text("false"), default=False)

    sentiment: Mapped[Sentiment | None] = mapped_column(Text, comment=KEPT)
    sentiment_score: Mapped[float | None] = mapped_column(comment=KEPT)
    topics: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"), comment=KEPT)
    client_ms: Mapped[int] = mapped_column(server_default=text("0"), default=0, comment="How long the client speaks")
    manager_ms: Mapped[int] = mapped_column(server_default=text("0"), default=0, comment="How long the manager speaks")

    manager: Mapped[User] = relationship(lazy="raise", foreign_keys=[manager_id])
    segments: Mapped[list[Segment]] = relationship(lazy="raise", order_by=Segment.position, passive_deletes=True)
    analysis: Mapped[AiAnalysis | None] = relationship(lazy="raise", passive_deletes=True)
    pipeline: Mapped[Pipeline | None] = relationship(lazy="raise", passive_deletes=True)
