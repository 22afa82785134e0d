"""Passwords that somebody else chose; when a session began

Revision: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        'users',
        sa.Column(
            'must_change_password',
            sa.Boolean(),
            server_default=sa.text('false'),
            nullable=False,
            comment='Somebody else chose the password',
        ),
    )
    op.add_column('refresh_tokens', sa.Column('began_at', sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE refresh_tokens SET began_at = (SELECT min(f.created_at) FROM refresh_tokens f"
        " WHERE f.family = refresh_tokens.family)"
    )
    op.alter_column('refresh_tokens', 'began_at', nullable=False, server_default=sa.text('now()'))
    op.create_index('ix_refresh_tokens_user_id', 'refresh_tokens', ['user_id'])


def downgrade() -> None:
    op.drop_index('ix_refresh_tokens_user_id', 'refresh_tokens')
    op.drop_column('refresh_tokens', 'began_at')
    op.drop_column('users', 'must_change_password')
