"""Profiles of language models, the chosen one, what requests cost; waiting that counts as no failure

Revision: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table('llm_profiles',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('definition', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='A Profile without name and key'),
    sa.Column('sealed_key', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_llm_profiles'))
    )
    op.create_table('llm_choice',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('profile', sa.Text(), nullable=False),
    sa.Column('chosen_by_id', sa.Uuid(), nullable=True),
    sa.Column('chosen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_llm_choice_one_row')),
    sa.ForeignKeyConstraint(['chosen_by_id'], ['users.id'], name=op.f('fk_llm_choice_chosen_by_id_users'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_llm_choice'))
    )
    op.create_table('llm_requests',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('profile', sa.Text(), nullable=False),
    sa.Column('model', sa.Text(), nullable=False),
    sa.Column('host', sa.Text(), nullable=False),
    sa.Column('purpose', sa.Text(), nullable=False),
    sa.Column('call_id', sa.Uuid(), nullable=True, comment='No foreign key: what was spent outlives the call'),
    sa.Column('leaves', sa.Boolean(), nullable=False, comment='Whether it leaves this machine'),
    sa.Column('chosen_by_id', sa.Uuid(), nullable=True, comment='The admin who chose the profile; null: the operator'),
    sa.Column('masked', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='How many pieces of personal data were replaced, by kind'),
    sa.Column('bytes_sent', sa.Integer(), nullable=False),
    sa.Column('bytes_received', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('prompt_tokens', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('completion_tokens', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('reserved_cost', sa.Float(), nullable=False),
    sa.Column('cost', sa.Float(), nullable=True),
    sa.Column('outcome', sa.Text(), server_default='sent', nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_llm_requests'))
    )
    op.create_index('ix_llm_requests_profile_sent_at', 'llm_requests', ['profile', 'sent_at'], unique=False)
    op.create_index('ix_llm_requests_left', 'llm_requests', ['sent_at'], unique=False, postgresql_where=sa.text('leaves'))
    op.add_column('ai_analyses', sa.Column('stood_in_for', sa.Text(), nullable=True, comment='The provider that was down; it analyses the call later'))
    op.create_index('ix_ai_analyses_stood_in_for', 'ai_analyses', ['stood_in_for'], unique=False, postgresql_where=sa.text('stood_in_for IS NOT NULL'))
    op.add_column('pipelines', sa.Column('waits', sa.Integer(), server_default=sa.text('0'), nullable=False))


def downgrade() -> None:
    op.drop_column('pipelines', 'waits')
    op.drop_index('ix_ai_analyses_stood_in_for', table_name='ai_analyses')
    op.drop_column('ai_analyses', 'stood_in_for')
    op.drop_table('llm_requests')
    op.drop_table('llm_choice')
    op.drop_table('llm_profiles')
