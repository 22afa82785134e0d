"""Outcome and details of analyses; every analysis that was made is kept as a version

Revision: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

OUTCOMES = (
    "outcome IN ('appointment', 'test_drive', 'sold', 'lost', 'callback', 'service_booked', 'information', "
    "'no_conversation')"
)


def upgrade() -> None:
    op.add_column('ai_analyses', sa.Column('outcome', sa.Text(), nullable=True))
    op.add_column('ai_analyses', sa.Column('details', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False))
    op.add_column('ai_analyses', sa.Column('cost', sa.Double(), server_default=sa.text('0'), nullable=False, comment='US dollars'))
    op.add_column('ai_analyses', sa.Column('version', sa.Integer(), server_default=sa.text('0'), nullable=False, comment='Of analysis_versions; 0: none'))
    op.create_check_constraint(op.f('ck_ai_analyses_outcome'), 'ai_analyses', OUTCOMES)
    op.create_index('ix_ai_analyses_outcome', 'ai_analyses', ['outcome'], unique=False)
    op.create_table('analysis_versions',
    sa.Column('call_id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False, comment='Counts from 1 in each call'),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('sentiment', sa.Text(), nullable=False),
    sa.Column('sentiment_score', sa.Double(), nullable=False),
    sa.Column('topics', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('intents', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('summary', sa.Text(), nullable=False),
    sa.Column('action_items', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('outcome', sa.Text(), nullable=True),
    sa.Column('details', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('provider', sa.Text(), nullable=True),
    sa.Column('model', sa.Text(), nullable=True),
    sa.Column('prompt_version', sa.Text(), nullable=True),
    sa.Column('prompt_tokens', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('completion_tokens', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('cost', sa.Double(), server_default=sa.text('0'), nullable=False, comment='US dollars'),
    sa.Column('elapsed_ms', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.ForeignKeyConstraint(['call_id'], ['calls.id'], name=op.f('fk_analysis_versions_call_id_calls'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_analysis_versions')),
    sa.UniqueConstraint('call_id', 'number', name=op.f('uq_analysis_versions_call_id_number'))
    )
    # What was analysed before counts as the first version.
    op.execute("""
        INSERT INTO analysis_versions (id, call_id, number, created_at, sentiment, sentiment_score, topics, intents,
            summary, action_items, language, provider, model, prompt_version, prompt_tokens, completion_tokens, elapsed_ms)
        SELECT gen_random_uuid(), call_id, 1, updated_at, sentiment, sentiment_score, topics, intents,
            summary, action_items, language, provider, model, prompt_version, prompt_tokens, completion_tokens, elapsed_ms
        FROM ai_analyses WHERE processing_status = 'completed'""")
    op.execute("UPDATE ai_analyses SET version = 1 WHERE processing_status = 'completed'")


def downgrade() -> None:
    op.drop_table('analysis_versions')
    op.drop_index('ix_ai_analyses_outcome', table_name='ai_analyses')
    op.drop_constraint(op.f('ck_ai_analyses_outcome'), 'ai_analyses')
    for column in ('version', 'cost', 'details', 'outcome'):
        op.drop_column('ai_analyses', column)
