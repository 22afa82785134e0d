"""Tallies: how many calls of which kind there were, so that no number on the dashboard counts years of calls anew.

The database keeps them by triggers on `calls` (migration 0003): each change adds rows with the difference, so that
writers never wait for each other; housekeeping merges rows of one place. The sum of the rows is always right.
"""

from __future__ import annotations

from datetime import date
from typing import Literal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base, one_of


class Placed:
    """Where a row counts: a day or month of the site, of one manager, or of all (no manager)."""

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    level: Mapped[Literal["day", "month"]] = mapped_column(Text)
    start: Mapped[date]
    manager_id: Mapped[UUID | None]
    merged: Mapped[bool] = mapped_column(comment="The one row of its place, which differences are added to")
    calls: Mapped[int] = mapped_column(BigInteger)


def _indexes(table: str, *key: str) -> tuple[Index | CheckConstraint, ...]:
    return (
        CheckConstraint(one_of("level", "day", "month"), name="level"),
        Index(f"ix_{table}_loose", "id", postgresql_where=text("NOT merged")),
        Index(
            f"uq_{table}_place",
            *("level", "manager_id", "start", *key),
            unique=True,
            postgresql_where=text("merged"),
            postgresql_nulls_not_distinct=True,
        ),
        Index(f"ix_{table}_level_manager_id_start", "level", "manager_id", "start"),
    )


class CallTally(Placed, Base):
    """Calls of one type, status and sentiment (NULL: not analysed), with sums of what averages are made of."""

    __tablename__ = "call_tallies"
    __table_args__ = _indexes("call_tallies", "type", "status", "sentiment")

    type: Mapped[str]
    status: Mapped[str]
    sentiment: Mapped[str | None]
    duration_ms: Mapped[int] = mapped_column(BigInteger)
    score: Mapped[float]
    client_ms: Mapped[int] = mapped_column(BigInteger)
    manager_ms: Mapped[int] = mapped_column(BigInteger)


class TopicTally(Placed, Base):
    """Calls about one topic."""

    __tablename__ = "topic_tallies"
    __table_args__ = _indexes("topic_tallies", "topic")

    topic: Mapped[str]


class TallyZone(Base):
    """The one row that names the time zone whose days are counted."""

    __tablename__ = "tally_zone"

    name: Mapped[str] = mapped_column(primary_key=True)
