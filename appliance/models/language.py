"""Language models: the profiles that admins add, the one they chose, and what requests cost."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base, Timestamped


class LlmProfile(Timestamped, Base):
    """A provider that an admin added. Its key lies beside the definition, sealed."""

    __tablename__ = "llm_profiles"

    name: Mapped[str] = mapped_column(primary_key=True)
    definition: Mapped[dict[str, Any]] = mapped_column(comment="A Profile without name and key")
    sealed_key: Mapped[str | None]


class LlmChoice(Base):
    """Who analyses, since when, by whose choice: one row, or none while the environment decides."""

    __tablename__ = "llm_choice"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    profile: Mapped[str]
    chosen_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    chosen_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class LlmRequest(Base):
    """A request that leaves the machine or has a price: written before it is sent, completed when it is over.

    `reserved_cost` is the most that it can cost; it counts until `cost` says what it did cost, which it never does
    where the endpoint did not tell how many tokens it worked on: an answer that broke off, or took too long.
    """

    __tablename__ = "llm_requests"
    __table_args__ = (
        Index("ix_llm_requests_profile_sent_at", "profile", "sent_at"),
        Index("ix_llm_requests_left", "sent_at", postgresql_where=text("leaves")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    profile: Mapped[str]
    model: Mapped[str]
    host: Mapped[str]
    purpose: Mapped[str]
    call_id: Mapped[UUID | None] = mapped_column(comment="No foreign key: what was spent outlives the call")
    leaves: Mapped[bool] = mapped_column(comment="Whether it leaves this machine")
    chosen_by_id: Mapped[UUID | None] = mapped_column(comment="The admin who chose the profile; null: the operator")
    masked: Mapped[dict[str, Any]] = mapped_column(comment="How many pieces of personal data were replaced, by kind")
    bytes_sent: Mapped[int]
    bytes_received: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    prompt_tokens: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    completion_tokens: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    reserved_cost: Mapped[float]
    cost: Mapped[float | None]
    outcome: Mapped[str] = mapped_column(server_default="sent", default="sent")
    sent_at: Mapped[datetime] = mapped_column(server_default=func.now())
    done_at: Mapped[datetime | None]
