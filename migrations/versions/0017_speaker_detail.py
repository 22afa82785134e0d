"""The second manager of a call that was handed over

Revision: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        'segments',
        sa.Column(
            'speaker_detail',
            sa.Text(),
            nullable=True,
            comment='Where the call was handed over: the second person of this side',
        ),
    )
    op.create_check_constraint(op.f('ck_segments_speaker_detail'), 'segments', "speaker_detail = speaker || '2'")


def downgrade() -> None:
    op.drop_constraint(op.f('ck_segments_speaker_detail'), 'segments', type_='check')
    op.drop_column('segments', 'speaker_detail')
