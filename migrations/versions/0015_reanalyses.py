"""Calls of the past analysed anew

Revision: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        'reanalyses',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('profile', sa.Text(), nullable=False),
        sa.Column('state', sa.Text(), nullable=False),
        sa.Column(
            'filters',
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment='Names of the filters that chose the calls; never their values',
        ),
        sa.Column(
            'total', sa.Integer(), nullable=False, comment='Calls that were chosen; those deleted since are skipped'
        ),
        sa.Column(
            'sample',
            sa.Integer(),
            nullable=False,
            comment='How many of them the preview is about; 0: there is none',
        ),
        sa.Column('started_by_id', sa.Uuid(), nullable=True, comment='The admin; null: the operator'),
        sa.Column('not_before', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('waits', sa.Integer(), server_default=sa.text('0'), nullable=False),
        sa.Column('error_code', sa.Text(), nullable=True, comment='Why it waits'),
        sa.Column('error', sa.Text(), nullable=True),
        sa.Column(
            'started_at', sa.DateTime(timezone=True), nullable=True, comment='When it began with all the calls'
        ),
        sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.CheckConstraint(
            "state IN ('previewing', 'previewed', 'running', 'completed', 'cancelled')",
            name=op.f('ck_reanalyses_state'),
        ),
        sa.ForeignKeyConstraint(
            ['started_by_id'], ['users.id'], name=op.f('fk_reanalyses_started_by_id_users'), ondelete='SET NULL'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_reanalyses')),
    )
    op.create_index(
        'uq_reanalyses_open',
        'reanalyses',
        [sa.text('(true)')],
        unique=True,
        postgresql_where=sa.text("state IN ('previewing', 'running')"),
    )
    op.create_index('ix_reanalyses_created_at', 'reanalyses', ['created_at'], unique=False)
    op.create_table(
        'reanalysis_tasks',
        sa.Column('reanalysis_id', sa.Uuid(), nullable=False),
        sa.Column('call_id', sa.Uuid(), nullable=False),
        sa.Column('position', sa.Integer(), nullable=False, comment='The newest call first'),
        sa.Column('sampled', sa.Boolean(), server_default=sa.text('false'), nullable=False),
        sa.Column('state', sa.Text(), server_default='waiting', nullable=False),
        sa.Column('not_before', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('lease_owner', sa.Text(), nullable=True),
        sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
        sa.Column('attempts', sa.Integer(), server_default=sa.text('0'), nullable=False),
        sa.Column('deaths', sa.Integer(), server_default=sa.text('0'), nullable=False),
        sa.Column('error_code', sa.Text(), nullable=True, comment='Why it failed, was skipped or is tried again'),
        sa.Column(
            'cost',
            sa.Float(),
            server_default=sa.text('0'),
            nullable=False,
            comment='US dollars, preview included',
        ),
        sa.Column(
            'old_version',
            sa.Integer(),
            nullable=True,
            comment="The call's analysis when the preview looked at it; 0: none",
        ),
        sa.Column('result', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'skipped')", name=op.f('ck_reanalysis_tasks_state')
        ),
        sa.CheckConstraint(
            "(state = 'running') = (lease_until IS NOT NULL)", name=op.f('ck_reanalysis_tasks_lease_while_running')
        ),
        sa.ForeignKeyConstraint(
            ['call_id'], ['calls.id'], name=op.f('fk_reanalysis_tasks_call_id_calls'), ondelete='CASCADE'
        ),
        sa.ForeignKeyConstraint(
            ['reanalysis_id'],
            ['reanalyses.id'],
            name=op.f('fk_reanalysis_tasks_reanalysis_id_reanalyses'),
            ondelete='CASCADE',
        ),
        sa.PrimaryKeyConstraint('reanalysis_id', 'call_id', name=op.f('pk_reanalysis_tasks')),
    )
    op.create_index('ix_reanalysis_tasks_call_id', 'reanalysis_tasks', ['call_id'], unique=False)
    op.create_index(
        'ix_reanalysis_tasks_open',
        'reanalysis_tasks',
        ['reanalysis_id', 'position'],
        unique=False,
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
    )
    op.add_column(
        'analysis_versions',
        sa.Column('reanalysis_id', sa.Uuid(), nullable=True, comment='No foreign key: the version outlives the order'),
    )


def downgrade() -> None:
    op.drop_column('analysis_versions', 'reanalysis_id')
    op.drop_table('reanalysis_tasks')
    op.drop_table('reanalyses')
