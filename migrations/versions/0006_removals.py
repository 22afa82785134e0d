"""What was taken out of a transcript as invented

Revision: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        'calls',
        sa.Column(
            'removals',
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
            comment='Invented text: start_ms, end_ms, reason, text, channel',
        ),
    )


def downgrade() -> None:
    op.drop_column('calls', 'removals')
