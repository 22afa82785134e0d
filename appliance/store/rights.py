"""What the application's database role may do, where another role owns the tables."""

from __future__ import annotations

import psycopg
from psycopg import sql

from appliance.store import db

APPEND_ONLY = ("audit_log",)
READ_ONLY = ("alembic_version",)


def grant() -> None:
    """Let the application's role work with every table, but only add to the audit trail. Run by the owner.

    Where one role is both, on a database server of the customer's own, the audit trail's triggers still refuse changes.
    """
    role = psycopg.conninfo.conninfo_to_dict(db.dsn()).get("user")
    with psycopg.connect(db.owner_dsn()) as connection:
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
