"""Why each version of an analysis was made

Revision: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None

REASONS = "reason IN ('received', 'reprocessed', 'stood_in', 'provider_back', 'reanalysed')"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        'analysis_versions',
        sa.Column('reason', sa.Text(), nullable=True, comment='Null: made before reasons were written down'),
    )
    op.create_check_constraint(op.f('ck_analysis_versions_reason'), 'analysis_versions', REASONS)


def downgrade() -> None:
    op.drop_column('analysis_versions', 'reason')
