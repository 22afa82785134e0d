"""Whose turn it is: short calls before long ones, fresh ones before what is processed anew

Revision: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "pipelines",
        sa.Column(
            "turn_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Of the due calls the lowest is next",
        ),
    )
    op.execute(
        "UPDATE pipelines SET turn_at = calls.created_at + make_interval(secs => calls.duration_ms / 1000.0) "
        "FROM calls WHERE calls.id = pipelines.call_id AND pipelines.state IN ('waiting', 'running')"
    )
    op.create_index("ix_pipelines_turn_at", "pipelines", ["turn_at"], postgresql_where=sa.text("state = 'waiting'"))


def downgrade() -> None:
    op.drop_index("ix_pipelines_turn_at", table_name="pipelines")
    op.drop_column("pipelines", "turn_at")
