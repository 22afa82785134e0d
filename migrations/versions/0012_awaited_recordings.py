"""Recordings that exchanges name, until they are fetched

Revision: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'told_calls',
        sa.Column('key', sa.Text(), nullable=False, comment='The exchange and its id of the call'),
        sa.Column('type', sa.Text(), nullable=False),
        sa.Column('phone', sa.Text(), nullable=True, comment='E.164'),
        sa.Column('extension', sa.Text(), nullable=True),
        sa.Column('date', sa.DateTime(timezone=True), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.CheckConstraint("type IN ('incoming', 'outgoing')", name=op.f('ck_told_calls_type')),
        sa.PrimaryKeyConstraint('key', name=op.f('pk_told_calls')),
    )
    op.create_table(
        'awaited_recordings',
        sa.Column('key', sa.Text(), nullable=False, comment='The exchange and its id of the recording'),
        sa.Column('call_key', sa.Text(), nullable=False, comment='Of told_calls; the two may be told of in either order'),
        sa.Column('maker', sa.Text(), nullable=False),
        sa.Column('location', sa.Text(), nullable=False, comment='What the exchange gives the recording for: an id or an address'),
        sa.Column('state', sa.Text(), server_default='waiting', nullable=False),
        sa.Column('attempts', sa.Integer(), server_default=sa.text('0'), nullable=False),
        sa.Column('not_before', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('error_code', sa.Text(), nullable=True),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.CheckConstraint("maker IN ('mango', 'uis', 'bitrix24')", name=op.f('ck_awaited_recordings_maker')),
        sa.CheckConstraint("state IN ('waiting', 'failed')", name=op.f('ck_awaited_recordings_state')),
        sa.PrimaryKeyConstraint('key', name=op.f('pk_awaited_recordings')),
    )
    op.create_index(
        'ix_awaited_recordings_due', 'awaited_recordings', ['not_before'], postgresql_where=sa.text("state = 'waiting'")
    )


def downgrade() -> None:
    op.drop_table('awaited_recordings')
    op.drop_table('told_calls')
