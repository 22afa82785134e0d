"""The pipeline's own rows: the truth that the queue only rings for."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, Text, and_, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base, Timestamped, one_of

PipelineState = Literal["waiting", "running", "completed", "failed"]
"""waiting: the next stage may start from `not_before` on. running: a worker holds the lease.
completed: every stage is recorded. failed: gave up with `error_code`; reprocessing makes it waiting again."""


class Pipeline(Timestamped, Base):
    """How far one call has come. `attempts` counts failures of the current stage, `deaths` workers that died in it,
    `waits` how often it was put off in a row because what it needs was away.
    """

    __tablename__ = "pipelines"
    __table_args__ = (
        CheckConstraint(one_of("state", "waiting", "running", "completed", "failed"), name="state"),
        CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease_while_running"),
        Index("ix_pipelines_open", "state", "not_before", postgresql_where=text("state IN ('waiting', 'running')")),
        Index("ix_pipelines_turn_at", "turn_at", postgresql_where=text("state = 'waiting'")),
    )

    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    state: Mapped[PipelineState] = mapped_column(Text, default="waiting")
    stage: Mapped[str] = mapped_column(comment="The stage to run next, or that runs, or that failed")
    run: Mapped[int] = mapped_column(server_default=text("1"), default=1, comment="Counts reprocessing")
    not_before: Mapped[datetime] = mapped_column(server_default=func.now())
    turn_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="Of the due calls the lowest is next")
    rung_at: Mapped[datetime | None] = mapped_column(comment="When the queue was last told of this row")
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    deaths: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    waits: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    spent_ms: Mapped[int] = mapped_column(
        server_default=text("0"), default=0, comment="What earlier runs of the stage took"
    )
    error_code: Mapped[str | None]
    error: Mapped[str | None]

    @classmethod
    def held(cls, call_id: UUID, owner: str) -> ColumnElement[bool]:
        """The call's row while this worker has the lease; whoever lost it must write nothing."""
        return and_(cls.call_id == call_id, cls.state == "running", cls.lease_owner == owner)


class StageOutput(Base):
    """What a stage produced, written once; the stage is skipped while its row is there."""

    __tablename__ = "stage_outputs"

    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    stage: Mapped[str] = mapped_column(primary_key=True)
    output: Mapped[dict[str, Any]]
    elapsed_ms: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class StageStep(Base):
    """A step of the call's current stage: whoever runs the stage next need not work the answer out again."""

    __tablename__ = "stage_steps"

    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    question: Mapped[Any] = mapped_column(JSONB)
    answer: Mapped[Any] = mapped_column(JSONB)
