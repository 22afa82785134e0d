"""Tallies of whole months of all managers, so that the number of all calls is a sum of few rows

Revision: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None

FUNCTIONS = ('count_calls()', 'recount_calls(text)')
DAY_OF_ALL = "(VALUES ('day', day, NULL::uuid),"
MONTH_OF_ALL = " ('month', date_trunc('month', day::timestamp)::date, NULL::uuid),"

OF_MONTHS = "SELECT 'month', date_trunc('month', start)::date AS month, NULL::uuid, true"
OF_DAYS = "WHERE level = 'day' AND manager_id IS NULL GROUP BY month"


def upgrade() -> None:
    op.execute('LOCK TABLE calls IN SHARE MODE')
    _replace(DAY_OF_ALL, DAY_OF_ALL + MONTH_OF_ALL)
    op.execute(f"""
      INSERT INTO call_tallies (level, start, manager_id, merged, type, status, sentiment,
                                calls, duration_ms, score, client_ms, manager_ms)
      {OF_MONTHS}, type, status, sentiment,
             sum(calls), sum(duration_ms), sum(score), sum(client_ms), sum(manager_ms)
      FROM call_tallies {OF_DAYS}, type, status, sentiment""")
    op.execute(f"""
      INSERT INTO topic_tallies (level, start, manager_id, merged, topic, calls)
      {OF_MONTHS}, topic, sum(calls) FROM topic_tallies {OF_DAYS}, topic""")


def downgrade() -> None:
    op.execute('LOCK TABLE calls IN SHARE MODE')
    _replace(DAY_OF_ALL + MONTH_OF_ALL, DAY_OF_ALL)
    for table in ('call_tallies', 'topic_tallies'):
        op.execute(f"DELETE FROM {table} WHERE level = 'month' AND manager_id IS NULL")


def _replace(what: str, by: str) -> None:
    """Change the functions that migration 0003 made, in every place."""
    for function in FUNCTIONS:
        find = sa.text('SELECT pg_get_functiondef(CAST(:function AS regprocedure))')
        definition = op.get_bind().execute(find, {'function': function}).scalar_one()
        if what not in definition:
            raise RuntimeError(f'{function} is not as it was made')
        op.get_bind().exec_driver_sql(definition.replace(what, by))
