"""First schema: users, calls, transcripts, analyses, pipelines, events, sessions, exports

Revision: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_table('login_failures',
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('locked_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_login_failures'))
    )
    op.create_index(op.f('ix_login_failures_last_at'), 'login_failures', ['last_at'], unique=False)
    op.create_table('object_deletions',
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('not_before', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_object_deletions'))
    )
    op.create_index(op.f('ix_object_deletions_not_before'), 'object_deletions', ['not_before'], unique=False)
    op.create_table('revoked_tokens',
    sa.Column('family', sa.Uuid(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('family', name=op.f('pk_revoked_tokens'))
    )
    op.create_index(op.f('ix_revoked_tokens_expires_at'), 'revoked_tokens', ['expires_at'], unique=False)
    op.create_table('users',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('email', sa.Text(), nullable=True),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('password_hash', sa.Text(), nullable=True),
    sa.Column('avatar', sa.Text(), nullable=True),
    sa.Column('is_active', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("role IN ('admin', 'manager', 'analyst')", name=op.f('ck_users_role')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users'))
    )
    op.create_index('ix_users_name_lower', 'users', [sa.literal_column('lower(name)')], unique=False)
    op.create_index('ix_users_name_trgm', 'users', ['name'], unique=False, postgresql_using='gin', postgresql_ops={'name': 'gin_trgm_ops'})
    op.create_index('uq_users_email', 'users', [sa.literal_column('lower(email)')], unique=True)
    op.create_table('calls',
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('phone', sa.Text(), nullable=True, comment='E.164'),
    sa.Column('client_name', sa.Text(), nullable=True),
    sa.Column('manager_id', sa.Uuid(), nullable=False),
    sa.Column('uploaded_by_id', sa.Uuid(), nullable=True),
    sa.Column('idempotency_key', sa.Text(), nullable=True),
    sa.Column('duration_ms', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('date', sa.DateTime(timezone=True), nullable=False),
    sa.Column('audio_key', sa.Text(), nullable=True),
    sa.Column('audio_type', sa.Text(), nullable=True, comment='MIME type that the recording is served with'),
    sa.Column('audio_bytes', sa.Integer(), nullable=True),
    sa.Column('audio_codec', sa.Text(), nullable=True),
    sa.Column('audio_channels', sa.Integer(), nullable=True),
    sa.Column('language', sa.Text(), nullable=True),
    sa.Column('transcript_model', sa.Text(), nullable=True),
    sa.Column('roles_rule', sa.Text(), nullable=True, comment='What decided who is A and who is B'),
    sa.Column('roles_confidence', sa.Double(), nullable=True),
    sa.Column('speakers_swapped', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("status IN ('in-progress', 'completed', 'missed')", name=op.f('ck_calls_status')),
    sa.CheckConstraint("type IN ('incoming', 'outgoing')", name=op.f('ck_calls_type')),
    sa.CheckConstraint('duration_ms >= 0', name=op.f('ck_calls_duration_not_negative')),
    sa.ForeignKeyConstraint(['manager_id'], ['users.id'], name=op.f('fk_calls_manager_id_users')),
    sa.ForeignKeyConstraint(['uploaded_by_id'], ['users.id'], name=op.f('fk_calls_uploaded_by_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_calls')),
    sa.UniqueConstraint('audio_key', name=op.f('uq_calls_audio_key')),
    sa.UniqueConstraint('uploaded_by_id', 'idempotency_key', name=op.f('uq_calls_uploaded_by_id_idempotency_key'))
    )
    op.create_index('ix_calls_client_name_trgm', 'calls', ['client_name'], unique=False, postgresql_using='gin', postgresql_ops={'client_name': 'gin_trgm_ops'})
    op.create_index('ix_calls_created_at', 'calls', ['created_at'], unique=False)
    op.create_index('ix_calls_date_id', 'calls', ['date', 'id'], unique=False)
    op.create_index('ix_calls_duration_ms_id', 'calls', ['duration_ms', 'id'], unique=False)
    op.create_index('ix_calls_manager_id_date_id', 'calls', ['manager_id', 'date', 'id'], unique=False)
    op.create_index('ix_calls_phone_trgm', 'calls', ['phone'], unique=False, postgresql_using='gin', postgresql_ops={'phone': 'gin_trgm_ops'})
    op.create_table('exports',
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('format', sa.Text(), nullable=False),
    sa.Column('object_key', sa.Text(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.CheckConstraint("format IN ('csv', 'xlsx')", name=op.f('ck_exports_format')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_exports_user_id_users'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_exports'))
    )
    op.create_index(op.f('ix_exports_expires_at'), 'exports', ['expires_at'], unique=False)
    op.create_table('refresh_tokens',
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('family', sa.Uuid(), nullable=False, comment='The session: all tokens that descend from one log-in'),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_refresh_tokens_user_id_users'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_refresh_tokens'))
    )
    op.create_index('ix_refresh_tokens_family', 'refresh_tokens', ['family'], unique=False)
    op.create_index('uq_refresh_tokens_digest', 'refresh_tokens', ['digest'], unique=True)
    op.create_table('ai_analyses',
    sa.Column('call_id', sa.Uuid(), nullable=False),
    sa.Column('processing_status', sa.Text(), nullable=False),
    sa.Column('sentiment', sa.Text(), nullable=False),
    sa.Column('sentiment_score', sa.Double(), nullable=False),
    sa.Column('topics', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('intents', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('summary', sa.Text(), nullable=False),
    sa.Column('action_items', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=True),
    sa.Column('model', sa.Text(), nullable=True),
    sa.Column('prompt_version', sa.Text(), nullable=True),
    sa.Column('prompt_tokens', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('completion_tokens', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('elapsed_ms', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("processing_status IN ('pending', 'completed', 'failed')", name=op.f('ck_ai_analyses_processing_status')),
    sa.CheckConstraint("sentiment IN ('positive', 'negative', 'neutral')", name=op.f('ck_ai_analyses_sentiment')),
    sa.CheckConstraint('cardinality(topics) <= 5', name=op.f('ck_ai_analyses_topics')),
    sa.CheckConstraint('sentiment_score BETWEEN -1 AND 1', name=op.f('ck_ai_analyses_sentiment_score')),
    sa.ForeignKeyConstraint(['call_id'], ['calls.id'], name=op.f('fk_ai_analyses_call_id_calls'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ai_analyses')),
    sa.UniqueConstraint('call_id', name=op.f('uq_ai_analyses_call_id'))
    )
    op.create_index('ix_ai_analyses_sentiment', 'ai_analyses', ['sentiment'], unique=False)
    op.create_table('events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('call_id', sa.Uuid(), nullable=False),
    sa.Column('data', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['call_id'], ['calls.id'], name=op.f('fk_events_call_id_calls'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_events'))
    )
    op.create_index('ix_events_call_id', 'events', ['call_id'], unique=False)
    op.create_index('ix_events_created_at', 'events', ['created_at'], unique=False)
    op.create_table('pipelines',
    sa.Column('call_id', sa.Uuid(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('stage', sa.Text(), nullable=False, comment='The stage to run next, or that runs, or that failed'),
    sa.Column('run', sa.Integer(), server_default=sa.text('1'), nullable=False, comment='Counts reprocessing'),
    sa.Column('not_before', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('rung_at', sa.DateTime(timezone=True), nullable=True, comment='When the queue was last told of this row'),
    sa.Column('lease_owner', sa.Text(), nullable=True),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('deaths', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('error_code', sa.Text(), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name=op.f('ck_pipelines_lease_while_running')),
    sa.CheckConstraint("state IN ('waiting', 'running', 'completed', 'failed')", name=op.f('ck_pipelines_state')),
    sa.ForeignKeyConstraint(['call_id'], ['calls.id'], name=op.f('fk_pipelines_call_id_calls'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('call_id', name=op.f('pk_pipelines'))
    )
    op.create_index('ix_pipelines_open', 'pipelines', ['state', 'not_before'], unique=False, postgresql_where=sa.text("state IN ('waiting', 'running')"))
    op.create_table('segments',
    sa.Column('call_id', sa.Uuid(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('start_ms', sa.Integer(), nullable=False),
    sa.Column('end_ms', sa.Integer(), nullable=False),
    sa.Column('speaker', sa.Text(), nullable=False, comment='A client, B manager'),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('confidence', sa.Double(), nullable=False),
    sa.Column('words', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('search', postgresql.TSVECTOR(), sa.Computed("to_tsvector(CASE language WHEN 'ru' THEN 'russian'::regconfig WHEN 'en' THEN 'english'::regconfig ELSE 'simple'::regconfig END, translate(text, 'ёЁ', 'еЕ'))", persisted=True), nullable=False),
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.CheckConstraint("speaker IN ('A', 'B')", name=op.f('ck_segments_speaker')),
    sa.CheckConstraint('confidence BETWEEN 0 AND 1', name=op.f('ck_segments_confidence')),
    sa.CheckConstraint('start_ms >= 0 AND end_ms >= start_ms', name=op.f('ck_segments_times')),
    sa.ForeignKeyConstraint(['call_id'], ['calls.id'], name=op.f('fk_segments_call_id_calls'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_segments')),
    sa.UniqueConstraint('call_id', 'position', name=op.f('uq_segments_call_id_position'))
    )
    op.create_index('ix_segments_search', 'segments', ['search'], unique=False, postgresql_using='gin')
    op.create_table('stage_outputs',
    sa.Column('call_id', sa.Uuid(), nullable=False),
    sa.Column('stage', sa.Text(), nullable=False),
    sa.Column('output', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('elapsed_ms', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['call_id'], ['calls.id'], name=op.f('fk_stage_outputs_call_id_calls'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('call_id', 'stage', name=op.f('pk_stage_outputs'))
    )


def downgrade() -> None:
    op.drop_table('stage_outputs')
    op.drop_index('ix_segments_search', table_name='segments', postgresql_using='gin')
    op.drop_table('segments')
    op.drop_index('ix_pipelines_open', table_name='pipelines', postgresql_where=sa.text("state IN ('waiting', 'running')"))
    op.drop_table('pipelines')
    op.drop_index('ix_events_created_at', table_name='events')
    op.drop_index('ix_events_call_id', table_name='events')
    op.drop_table('events')
    op.drop_index('ix_ai_analyses_sentiment', table_name='ai_analyses')
    op.drop_table('ai_analyses')
    op.drop_index('uq_refresh_tokens_digest', table_name='refresh_tokens')
    op.drop_index('ix_refresh_tokens_family', table_name='refresh_tokens')
    op.drop_table('refresh_tokens')
    op.drop_index(op.f('ix_exports_expires_at'), table_name='exports')
    op.drop_table('exports')
    op.drop_index('ix_calls_phone_trgm', table_name='calls', postgresql_using='gin', postgresql_ops={'phone': 'gin_trgm_ops'})
    op.drop_index('ix_calls_manager_id_date_id', table_name='calls')
    op.drop_index('ix_calls_duration_ms_id', table_name='calls')
    op.drop_index('ix_calls_date_id', table_name='calls')
    op.drop_index('ix_calls_created_at', table_name='calls')
    op.drop_index('ix_calls_client_name_trgm', table_name='calls', postgresql_using='gin', postgresql_ops={'client_name': 'gin_trgm_ops'})
    op.drop_table('calls')
    op.drop_index('uq_users_email', table_name='users')
    op.drop_index('ix_users_name_trgm', table_name='users', postgresql_using='gin', postgresql_ops={'name': 'gin_trgm_ops'})
    op.drop_index('ix_users_name_lower', table_name='users')
    op.drop_table('users')
    op.drop_index(op.f('ix_revoked_tokens_expires_at'), table_name='revoked_tokens')
    op.drop_table('revoked_tokens')
    op.drop_index(op.f('ix_object_deletions_not_before'), table_name='object_deletions')
    op.drop_table('object_deletions')
    op.drop_index(op.f('ix_login_failures_last_at'), table_name='login_failures')
    op.drop_table('login_failures')
