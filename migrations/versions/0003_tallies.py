"""Tallies of calls by day, month and manager, kept by triggers; what lists need of an analysis stands on its call

Revision: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

# `changed` has a row with sign 1 for each call as it is now and one with sign -1 for each as it was.
SOURCES = {
    'insert': 'SELECT 1 AS sign, * FROM added',
    'update': 'SELECT 1 AS sign, * FROM added UNION ALL SELECT -1, * FROM removed',
    'delete': 'SELECT -1 AS sign, * FROM removed',
    'recount': 'SELECT 1 AS sign, * FROM calls',
}

PLACES = """(VALUES ('day', day, NULL::uuid), ('day', day, manager_id),
        ('month', date_trunc('month', day::timestamp)::date, manager_id)) AS place(level, start, whose)"""


def counting(source: str, merged: str) -> str:
    """Statements that add what changed to both tallies. Unchanged sums cancel out and leave no row."""
    local = f"SELECT c.*, (c.date AT TIME ZONE zone)::date AS day FROM ({SOURCES[source]}) c"
    return f"""
      INSERT INTO call_tallies (level, start, manager_id, type, status, sentiment, merged,
                                calls, duration_ms, score, client_ms, manager_ms)
      SELECT level, start, whose, type, status, sentiment, {merged},
             sum(sign), sum(sign * duration_ms), sum(sign * coalesce(sentiment_score, 0)),
             sum(sign * client_ms), sum(sign * manager_ms)
      FROM ({local}) local CROSS JOIN LATERAL {PLACES}
      GROUP BY level, start, whose, type, status, sentiment
      HAVING sum(sign) <> 0 OR sum(sign * duration_ms) <> 0 OR sum(sign * coalesce(sentiment_score, 0)) <> 0
          OR sum(sign * client_ms) <> 0 OR sum(sign * manager_ms) <> 0;
      INSERT INTO topic_tallies (level, start, manager_id, topic, merged, calls)
      SELECT level, start, whose, topic, {merged}, sum(sign)
      FROM ({local}) local CROSS JOIN LATERAL unnest(topics) AS topic CROSS JOIN LATERAL {PLACES}
      GROUP BY level, start, whose, topic
      HAVING sum(sign) <> 0;"""


COUNT_CALLS = f"""
CREATE FUNCTION count_calls() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE zone text := (SELECT name FROM tally_zone);
BEGIN
  IF TG_OP = 'INSERT' THEN {counting('insert', 'false')}
  ELSIF TG_OP = 'UPDATE' THEN {counting('update', 'false')}
  ELSE {counting('delete', 'false')}
  END IF;
  RETURN NULL;
END $$"""

# Days are another zone's: everything is counted anew while nobody writes.
RECOUNT_CALLS = f"""
CREATE FUNCTION recount_calls(zone text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  LOCK TABLE calls IN SHARE MODE;
  DELETE FROM tally_zone;
  INSERT INTO tally_zone (name) VALUES (zone);
  DELETE FROM call_tallies;
  DELETE FROM topic_tallies;
  {counting('recount', 'true')}
END $$"""

COPY_ANALYSIS = """
CREATE FUNCTION copy_analysis() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE calls SET sentiment = made.sentiment, sentiment_score = made.score, topics = made.topics
  FROM (SELECT call_id,
               CASE WHEN processing_status = 'completed' THEN sentiment END AS sentiment,
               CASE WHEN processing_status = 'completed' THEN sentiment_score END AS score,
               CASE WHEN processing_status = 'completed' THEN topics ELSE '{}' END AS topics
        FROM added) made
  WHERE calls.id = made.call_id
    AND (calls.sentiment, calls.sentiment_score, calls.topics)
        IS DISTINCT FROM (made.sentiment, made.score, made.topics);
  RETURN NULL;
END $$"""

BACKFILL = """
UPDATE calls SET sentiment = a.sentiment, sentiment_score = a.sentiment_score, topics = a.topics
FROM ai_analyses a WHERE a.call_id = calls.id AND a.processing_status = 'completed'"""

BACKFILL_SPEECH = """
UPDATE calls SET client_ms = said.client_ms, manager_ms = said.manager_ms
FROM (SELECT call_id, coalesce(sum(end_ms - start_ms) FILTER (WHERE speaker = 'A'), 0) AS client_ms,
             coalesce(sum(end_ms - start_ms) FILTER (WHERE speaker = 'B'), 0) AS manager_ms
      FROM segments GROUP BY call_id) said
WHERE said.call_id = calls.id"""


def upgrade() -> None:
    op.add_column('calls', sa.Column('sentiment', sa.Text(), nullable=True, comment='Of the finished analysis, kept by the database'))
    op.add_column('calls', sa.Column('sentiment_score', sa.Double(), nullable=True, comment='Of the finished analysis, kept by the database'))
    op.add_column('calls', sa.Column('topics', postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False, comment='Of the finished analysis, kept by the database'))
    op.add_column('calls', sa.Column('client_ms', sa.Integer(), server_default=sa.text('0'), nullable=False, comment='How long the client speaks'))
    op.add_column('calls', sa.Column('manager_ms', sa.Integer(), server_default=sa.text('0'), nullable=False, comment='How long the manager speaks'))
    op.execute(BACKFILL)
    op.execute(BACKFILL_SPEECH)
    op.drop_index('ix_ai_analyses_sentiment', table_name='ai_analyses')
    op.create_index('ix_calls_status_date_id', 'calls', ['status', 'date', 'id'])
    op.create_index('ix_calls_sentiment_date_id', 'calls', ['sentiment', 'date', 'id'])
    op.create_index('ix_calls_manager_id_duration_ms_id', 'calls', ['manager_id', 'duration_ms', 'id'])
    op.create_table('tally_zone',
    sa.Column('name', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_tally_zone'))
    )
    common = lambda: (
        sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column('level', sa.Text(), nullable=False),
        sa.Column('start', sa.Date(), nullable=False),
        sa.Column('manager_id', sa.Uuid(), nullable=True),
        sa.Column('merged', sa.Boolean(), nullable=False, comment='The one row of its place, which differences are added to'),
        sa.Column('calls', sa.BigInteger(), nullable=False),
    )
    op.create_table('call_tallies', *common(),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('sentiment', sa.Text(), nullable=True),
    sa.Column('duration_ms', sa.BigInteger(), nullable=False),
    sa.Column('score', sa.Double(), nullable=False),
    sa.Column('client_ms', sa.BigInteger(), nullable=False),
    sa.Column('manager_ms', sa.BigInteger(), nullable=False),
    sa.CheckConstraint("level IN ('day', 'month')", name=op.f('ck_call_tallies_level')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_call_tallies'))
    )
    op.create_table('topic_tallies', *common(),
    sa.Column('topic', sa.Text(), nullable=False),
    sa.CheckConstraint("level IN ('day', 'month')", name=op.f('ck_topic_tallies_level')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_topic_tallies'))
    )
    for table, key in (('call_tallies', ['type', 'status', 'sentiment']), ('topic_tallies', ['topic'])):
        op.create_index(f'ix_{table}_loose', table, ['id'], postgresql_where=sa.text('NOT merged'))
        op.create_index(f'uq_{table}_place', table, ['level', 'manager_id', 'start', *key], unique=True,
                        postgresql_where=sa.text('merged'), postgresql_nulls_not_distinct=True)
        op.create_index(f'ix_{table}_level_manager_id_start', table, ['level', 'manager_id', 'start'])
    op.execute(COUNT_CALLS)
    op.execute(RECOUNT_CALLS)
    op.execute(COPY_ANALYSIS)
    op.execute("SELECT recount_calls('Europe/Moscow')")
    for name, tables in (('insert', 'NEW TABLE AS added'), ('update', 'NEW TABLE AS added OLD TABLE AS removed'), ('delete', 'OLD TABLE AS removed')):
        op.execute(f"CREATE TRIGGER calls_{name}_counted AFTER {name} ON calls REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION count_calls()")
    for name in ('insert', 'update'):
        op.execute(f"CREATE TRIGGER ai_analyses_{name}_copied AFTER {name} ON ai_analyses REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION copy_analysis()")


def downgrade() -> None:
    for name in ('insert', 'update', 'delete'):
        op.execute(f"DROP TRIGGER calls_{name}_counted ON calls")
    for name in ('insert', 'update'):
        op.execute(f"DROP TRIGGER ai_analyses_{name}_copied ON ai_analyses")
    for function in ('count_calls()', 'recount_calls(text)', 'copy_analysis()'):
        op.execute(f"DROP FUNCTION {function}")
    op.drop_table('topic_tallies')
    op.drop_table('call_tallies')
    op.drop_table('tally_zone')
    for index in ('status_date_id', 'sentiment_date_id', 'manager_id_duration_ms_id'):
        op.drop_index(f'ix_calls_{index}', table_name='calls')
    op.create_index('ix_ai_analyses_sentiment', 'ai_analyses', ['sentiment'])
    for column in ('manager_ms', 'client_ms', 'topics', 'sentiment_score', 'sentiment'):
        op.drop_column('calls', column)
