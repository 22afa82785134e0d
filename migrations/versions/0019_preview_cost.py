"""What the preview of a re-analysis has cost, failures included

Revision: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        'reanalysis_tasks',
        sa.Column(
            'preview_cost', sa.Float(), server_default=sa.text('0'), nullable=False, comment='Of the preview alone'
        ),
    )
    op.execute(
        "UPDATE reanalysis_tasks SET preview_cost = coalesce((result->>'cost')::float, 0) WHERE result IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_column('reanalysis_tasks', 'preview_cost')
