"""What the application's database role may do, where another role owns the tables."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from appliance.store import db

APPEND_ONLY = ("audit_log",)
READ_ONLY = ("alembic_version",)


WORKERS = "appliance_worker"
"""The group of the roles that further machines work with. The bundled server has it; see docs/growing.md for others."""

WORKERS_MAY = {
    "SELECT": "ai_analyses, alembic_version, analysis_versions, calls, events, llm_choice, llm_profiles,"
    " llm_requests, nodes, pipelines, reanalyses, reanalysis_tasks, segments, site_vocabulary, stage_outputs,"
    " stage_steps, tally_zone",
    "SELECT (id, name, is_active)": "users",
    "SELECT (id, hash)": "audit_log",
    "INSERT": "analysis_versions, audit_log, call_tallies, events, llm_requests, segments, stage_outputs, stage_steps,"
    " topic_tallies",
    "UPDATE": "ai_analyses, calls, llm_requests, pipelines, reanalyses, reanalysis_tasks",
    "UPDATE (speaker, speaker_detail)": "segments",
    "UPDATE (speech_seen_at, analysis_seen_at, version, updated_at)": "nodes",
    "DELETE": "segments, stage_steps",
    "SELECT, INSERT, UPDATE, DELETE": "huey_counter, huey_kv, huey_schedule, huey_task",
}
"""What speech and analysis need: no people's passwords and sessions, no calls made or removed, nobody let in."""


def grant() -> None:
    """Let the application's role work with every table, but only add to the audit trail. Run by the owner.

    Where one role is both, on a database server of the customer's own, the audit trail's triggers still refuse changes.
    """
    role = psycopg.conninfo.conninfo_to_dict(db.dsn()).get("user")
    with psycopg.connect(db.owner_dsn()) as connection:
        grant_workers(connection)
        if not role or connection.info.user == role:
            return
        to = sql.Identifier(str(role))
        for statement in (
            "GRANT USAGE ON SCHEMA public TO {}",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}",
            "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}",
            *(f"REVOKE UPDATE, DELETE ON {table} FROM {{}}" for table in APPEND_ONLY),
            *(f"REVOKE INSERT, UPDATE, DELETE ON {table} FROM {{}}" for table in READ_ONLY),
        ):
            connection.execute(sql.SQL(statement).format(to))


def grant_workers(connection: psycopg.Connection[Any]) -> None:
    """Give the group what it may do, and nothing that an earlier release gave it besides."""
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [WORKERS]).fetchone():
        return
    connection.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {WORKERS}")
    connection.execute(f"GRANT USAGE ON SCHEMA public TO {WORKERS}")
    connection.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {WORKERS}")
    for right, tables in WORKERS_MAY.items():
        there = [name for name in tables.split(", ") if _exists(connection, name)]
        if there:
            connection.execute(f"GRANT {right} ON {', '.join(there)} TO {WORKERS}")


def _exists(connection: psycopg.Connection[Any], table: str) -> bool:
    """The queue's tables are not there where it lives in Redis."""
    return connection.execute("SELECT to_regclass(%s)", [table]).fetchone() != (None,)
