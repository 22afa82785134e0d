"""Exports: files made on request that expire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base, Identified, one_of


class Export(Identified, Base):
    """One export file in the object store."""

    __tablename__ = "exports"
    __table_args__ = (CheckConstraint(one_of("format", "csv", "xlsx"), name="format"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    format: Mapped[Literal["csv", "xlsx"]] = mapped_column(Text)
    object_key: Mapped[str]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
