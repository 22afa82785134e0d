"""Re-analyses: calls of the past that are analysed anew by a profile, as a preview of some of them or all of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base, Identified, Timestamped, one_of

ReanalysisState = Literal["previewing", "previewed", "running", "completed", "cancelled"]
"""previewing: the sample is analysed, and kept apart. previewed: an admin looks at it and starts the rest, or does not.
running: every call is analysed, and gets a new version. completed: each of them has its end. cancelled: by an admin;
what was done stays.
"""

OPEN_STATES = ("previewing", "running")
"""Of these there is one at a time."""

TaskState = Literal["waiting", "running", "done", "failed", "skipped"]
"""waiting: its turn comes, from `not_before` on. running: a worker holds the lease. done: analysed.
failed: there is no valid analysis, the call keeps the one that it has. skipped: it may not be analysed anew.
"""


class Reanalysis(Identified, Timestamped, Base):
    """Calls that were chosen once, and the profile that analyses them. Until `not_before` all of them wait: the
    provider is away, or its cost cap is reached; `waits` is how often that was so in a row.
    """

    __tablename__ = "reanalyses"
    __table_args__ = (
        CheckConstraint(
            one_of("state", "previewing", "previewed", "running", "completed", "cancelled"),
            name="state",
        ),
        Index("uq_reanalyses_open", text("(true)"), unique=True, postgresql_where=text(one_of("state", *OPEN_STATES))),
        Index("ix_reanalyses_created_at", "created_at"),
    )

    profile: Mapped[str]
    state: Mapped[ReanalysisState] = mapped_column(Text)
    filters: Mapped[list[Any]] = mapped_column(comment="Names of the filters that chose the calls; never their values")
    total: Mapped[int] = mapped_column(comment="Calls that were chosen; those deleted since are skipped")
    sample: Mapped[int] = mapped_column(comment="How many of them the preview is about; 0: there is none")
    started_by_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), comment="The admin; null: the operator"
    )
    not_before: Mapped[datetime] = mapped_column(server_default=func.now())
    waits: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    error_code: Mapped[str | None] = mapped_column(comment="Why it waits")
    error: Mapped[str | None]
    started_at: Mapped[datetime | None] = mapped_column(comment="When it began with all the calls")
    finished_at: Mapped[datetime | None]


class ReanalysisTask(Base):
    """One call of a re-analysis. `result` is what the preview found, in the columns of models.Judged."""

    __tablename__ = "reanalysis_tasks"
    __table_args__ = (
        CheckConstraint(one_of("state", "waiting", "running", "done", "failed", "skipped"), name="state"),
        CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease_while_running"),
        Index("ix_reanalysis_tasks_call_id", "call_id"),
        Index(
            "ix_reanalysis_tasks_open",
            *("reanalysis_id", "position"),
            postgresql_where=text("state IN ('waiting', 'running')"),
        ),
    )

    reanalysis_id: Mapped[UUID] = mapped_column(ForeignKey("reanalyses.id", ondelete="CASCADE"), primary_key=True)
    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(comment="The newest call first")
    sampled: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    state: Mapped[TaskState] = mapped_column(Text, server_default="waiting", default="waiting")
    not_before: Mapped[datetime] = mapped_column(server_default=func.now())
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    deaths: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    error_code: Mapped[str | None] = mapped_column(comment="Why it failed, was skipped or is tried again")
    cost: Mapped[float] = mapped_column(server_default=text("0"), default=0.0, comment="US dollars, preview included")
    preview_cost: Mapped[float] = mapped_column(server_default=text("0"), default=0.0, comment="Of the preview alone")
    old_version: Mapped[int | None] = mapped_column(
        comment="The call's analysis when the preview looked at it; 0: none"
    )
    result: Mapped[dict[str, Any] | None]
