"""Further machines that take part of the work."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base, Timestamped


class Node(Timestamped, Base):
    """A machine that may work on calls. What it says of itself is empty until it has joined."""

    __tablename__ = "nodes"

    name: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(comment="From where its database role may connect")
    version: Mapped[str | None] = mapped_column(comment="The release that runs there")
    speech_seen_at: Mapped[datetime | None]
    analysis_seen_at: Mapped[datetime | None]
