"""Further machines that take part of the work

Revision: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table('nodes',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('address', sa.Text(), nullable=False, comment='From where its database role may connect'),
    sa.Column('version', sa.Text(), nullable=True, comment='The release that runs there'),
    sa.Column('speech_seen_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('analysis_seen_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_nodes'))
    )


def downgrade() -> None:
    op.drop_table('nodes')
