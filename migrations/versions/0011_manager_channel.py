"""Whose channel is whose

Revision: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        'calls',
        sa.Column(
            'manager_channel',
            sa.Text(),
            nullable=True,
            comment="The manager's channel, as the telephone exchange or the uploader knows it",
        ),
    )
    op.add_column(
        'calls',
        sa.Column(
            'channels_apart',
            sa.Boolean(),
            nullable=True,
            comment='Whether each side was heard on a channel of its own; a recording of two channels may hold one sound',
        ),
    )
    op.create_check_constraint(
        op.f('ck_calls_manager_channel'), 'calls', "manager_channel IN ('left', 'right')"
    )


def downgrade() -> None:
    op.drop_column('calls', 'channels_apart')
    op.drop_column('calls', 'manager_channel')
