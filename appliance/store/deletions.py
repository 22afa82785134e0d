"""Objects that are to vanish from the store: marks that are written and withdrawn in the caller's transaction, and
the deletion itself, outside of any.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from appliance.models import ObjectDeletion
from appliance.store import db, objects

WRITING_MAY_TAKE = timedelta(hours=2)
"""After so long an object whose owner was never created is deleted."""


def mark(session: Session, keys: Iterable[str | None]) -> None:
    """The objects, where there are any, vanish soon after the transaction commits."""
    rows = [{"key": key} for key in keys if key]
    if rows:
        now = {"not_before": datetime.now(UTC)}
        query = insert(ObjectDeletion).values(rows)
        session.execute(query.on_conflict_do_update(index_elements=[ObjectDeletion.key], set_=now))


def mark_unfinished(session: Session, key: str) -> None:
    """Before an object is written: it vanishes unless the transaction that makes its owner withdraws the mark."""
    session.add(ObjectDeletion(key=key, not_before=datetime.now(UTC) + WRITING_MAY_TAKE))


def withdraw(session: Session, key: str) -> None:
    """The object has an owner now."""
    session.execute(delete(ObjectDeletion).where(ObjectDeletion.key == key))


def carry_out(key: str) -> None:
    """Delete an object that is marked, then its mark. Raises ObjectStoreUnavailable; the mark stays then."""
    objects.delete(key)
    with db.unit_of_work() as session:
        withdraw(session, key)
