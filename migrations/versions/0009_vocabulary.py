"""The site's own names; names in transcripts that were put right

Revision: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'site_vocabulary',
        sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('names', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column('changed_by_id', sa.Uuid(), nullable=True),
        sa.Column('changed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.CheckConstraint('id = 1', name=op.f('ck_site_vocabulary_one_row')),
        sa.ForeignKeyConstraint(
            ['changed_by_id'],
            ['users.id'],
            name=op.f('fk_site_vocabulary_changed_by_id_users'),
            ondelete='SET NULL',
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_site_vocabulary')),
    )
    op.add_column(
        'calls',
        sa.Column(
            'corrections',
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
            comment='Names put right: start_ms, end_ms, heard, text, channel',
        ),
    )


def downgrade() -> None:
    op.drop_column('calls', 'corrections')
    op.drop_table('site_vocabulary')
