"""Calls that arrived by themselves: what keeps each of them from being taken in twice."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base


class Arrival(Base):
    """Something that was taken in. Written by the transaction that creates the call, and kept when that is deleted.

    The key is a digest or a foreign system's id of the call, never a number or a name.
    """

    __tablename__ = "arrivals"

    key: Mapped[str] = mapped_column(primary_key=True)
    call_id: Mapped[UUID] = mapped_column(comment="The call that was created; it may be deleted since")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
