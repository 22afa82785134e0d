"""Events: what the WebSocket tells and replays."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base


class Event(Base):
    """Something that happened to a call. `data` holds ids and codes; the call itself is read when the event is sent."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_call_id", "call_id"), Index("ix_events_created_at", "created_at"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    type: Mapped[str]
    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
