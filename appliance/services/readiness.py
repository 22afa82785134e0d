"""Whether the appliance can do its work: each dependency looked at for real."""

from __future__ import annotations

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from appliance import __version__
from appliance.errors import ApplianceError
from appliance.store import db, objects, pipelines

VERSION = __version__


class Readiness(BaseModel):
    ready: bool
    version: str
    database: bool
    object_store: bool
    calls_waiting: int | None


def look() -> Readiness:
    """Ask the database and the object store."""
    try:
        with db.unit_of_work() as session:
            session.execute(text("SELECT 1"))
            waiting: int | None = pipelines.count_due(session)
    except SQLAlchemyError:
        waiting = None
    try:
        objects.check()
        stored = True
    except ApplianceError:
        stored = False
    return Readiness(
        ready=waiting is not None and stored,
        version=VERSION,
        database=waiting is not None,
        object_store=stored,
        calls_waiting=waiting,
    )
