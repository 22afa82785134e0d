"""The audit trail: who did what, each entry chained to the one before."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base


class AuditEntry(Base):
    """Something that somebody did. Ids stand without foreign keys: the trail survives the call and the user.

    The application's database role may add and read entries, and triggers refuse every change.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        UniqueConstraint("previous"),  # two entries after the same one would be a fork
        Index("ix_audit_log_at", "at"),
        Index("ix_audit_log_action_id", "action", "id"),
        Index("ix_audit_log_user_id_id", "user_id", "id"),
        Index("ix_audit_log_call_id_id", "call_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    action: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(comment="Who did it; empty where it was the appliance or its operator")
    call_id: Mapped[UUID | None]
    details: Mapped[dict[str, Any]] = mapped_column(comment="Ids, counts, hosts; no personal data")
    previous: Mapped[bytes] = mapped_column(comment="The hash of the entry before")
    hash: Mapped[bytes] = mapped_column(comment="SHA-256 over `previous` and everything that this entry says")
