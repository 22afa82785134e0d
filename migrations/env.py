"""Alembic's entry: online only, inside one transaction per migration, with a limit on waiting for locks."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from appliance.models import Base
from appliance.store import db


def belongs_to_us(name: str | None, kind: str, _parents: object) -> bool:
    """Huey keeps its own tables."""
    return not (kind == "table" and (name or "").startswith("huey_"))


with db.engine(db.owner_dsn()).connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=belongs_to_us,
        compare_server_default=False,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        connection.execute(text("SET lock_timeout = '5s'"))
        context.run_migrations()
