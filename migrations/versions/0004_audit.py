"""The audit trail: append-only

Revision: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('audit_log',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=True, comment='Who did it; empty where it was the appliance or its operator'),
    sa.Column('call_id', sa.Uuid(), nullable=True),
    sa.Column('details', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='Ids, counts, hosts; no personal data'),
    sa.Column('previous', sa.LargeBinary(), nullable=False, comment='The hash of the entry before'),
    sa.Column('hash', sa.LargeBinary(), nullable=False, comment='SHA-256 over `previous` and everything that this entry says'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_log')),
    sa.UniqueConstraint('previous', name=op.f('uq_audit_log_previous'))
    )
    op.create_index('ix_audit_log_at', 'audit_log', ['at'])
    op.create_index('ix_audit_log_action_id', 'audit_log', ['action', 'id'])
    op.create_index('ix_audit_log_user_id_id', 'audit_log', ['user_id', 'id'])
    op.create_index('ix_audit_log_call_id_id', 'audit_log', ['call_id', 'id'])
    op.execute("""
        CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege'; END $$
    """)
    op.execute("""
        CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
    """)


def downgrade() -> None:
    op.drop_table('audit_log')
    op.execute("DROP FUNCTION refuse_audit_change()")
