"""Extensions of managers; what arrived by itself

Revision: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'arrivals',
        sa.Column('key', sa.Text(), nullable=False),
        sa.Column(
            'call_id', sa.Uuid(), nullable=False, comment='The call that was created; it may be deleted since'
        ),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.PrimaryKeyConstraint('key', name=op.f('pk_arrivals')),
    )
    op.add_column('users', sa.Column('extension', sa.Text(), nullable=True, comment='Internal telephone number'))
    op.create_index('uq_users_extension', 'users', ['extension'], unique=True)


def downgrade() -> None:
    op.drop_index('uq_users_extension', table_name='users')
    op.drop_column('users', 'extension')
    op.drop_table('arrivals')
