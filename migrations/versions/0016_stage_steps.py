"""Stages that go on where they left

Revision: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        'pipelines',
        sa.Column(
            'spent_ms',
            sa.Integer(),
            server_default=sa.text('0'),
            nullable=False,
            comment='What earlier runs of the stage took',
        ),
    )
    op.create_table(
        'stage_steps',
        sa.Column('call_id', sa.Uuid(), nullable=False),
        sa.Column('position', sa.Integer(), nullable=False),
        sa.Column('question', postgresql.JSONB(), nullable=False),
        sa.Column('answer', postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ['call_id'], ['calls.id'], name=op.f('fk_stage_steps_call_id_calls'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('call_id', 'position', name=op.f('pk_stage_steps')),
    )


def downgrade() -> None:
    op.drop_table('stage_steps')
    op.drop_column('pipelines', 'spent_ms')
