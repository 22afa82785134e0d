"""Calls that must not be deleted

Revision: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        'calls',
        sa.Column(
            'held_since',
            sa.DateTime(timezone=True),
            nullable=True,
            comment='Under legal hold: nothing deletes the call until an admin releases it',
        ),
    )


def downgrade() -> None:
    op.drop_column('calls', 'held_since')
