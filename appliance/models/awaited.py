"""Recordings that an exchange named and that have not been fetched yet, and what it told of their calls."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import CheckConstraint, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base, one_of
from appliance.models.calls import CallType

Maker = Literal["mango", "uis", "bitrix24"]
AwaitedState = Literal["waiting", "failed"]
"""waiting: fetched from `not_before` on, once the call is told of, too. failed: gave up with `error_code`."""


class ToldCall(Base):
    """An answered call, as its exchange told of it; it goes a few days later, whether a recording came or not."""

    __tablename__ = "told_calls"
    __table_args__ = (CheckConstraint(one_of("type", "incoming", "outgoing"), name="type"),)

    key: Mapped[str] = mapped_column(primary_key=True, comment="The exchange and its id of the call")
    type: Mapped[CallType] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(comment="E.164")
    extension: Mapped[str | None]
    date: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class AwaitedRecording(Base):
    """One recording to fetch; the row goes when its call is created, or is told to be there already."""

    __tablename__ = "awaited_recordings"
    __table_args__ = (
        CheckConstraint(one_of("maker", "mango", "uis", "bitrix24"), name="maker"),
        CheckConstraint(one_of("state", "waiting", "failed"), name="state"),
        Index("ix_awaited_recordings_due", "not_before", postgresql_where=text("state = 'waiting'")),
    )

    key: Mapped[str] = mapped_column(primary_key=True, comment="The exchange and its id of the recording")
    call_key: Mapped[str] = mapped_column(comment="Of told_calls; the two may be told of in either order")
    maker: Mapped[Maker] = mapped_column(Text)
    location: Mapped[str] = mapped_column(comment="What the exchange gives the recording for: an id or an address")
    state: Mapped[AwaitedState] = mapped_column(Text, server_default="waiting", default="waiting")
    attempts: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    not_before: Mapped[datetime] = mapped_column(server_default=func.now())
    error_code: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
