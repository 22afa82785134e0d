"""The audit trail, for admins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from appliance.models import AuditEntry, User
from appliance.services import rights
from appliance.store import audit, db
from appliance.store.visibility import Viewer


@dataclass(frozen=True, slots=True)
class Named:
    """An entry, and the name of whoever did it; empty where nobody did, or where the user is gone."""

    entry: AuditEntry
    user_name: str


def page(viewer: Viewer, wanted: audit.Wanted, limit: int, offset: int) -> tuple[list[Named], int]:
    """One page of entries, newest first, and how many there are. Raises NotAllowed."""
    rights.admin_only(viewer)
    return read(wanted, limit, offset)


def read(wanted: audit.Wanted, limit: int, offset: int) -> tuple[list[Named], int]:
    """The same for the operator at the machine."""
    with db.unit_of_work() as session:
        found, total = audit.page(session, wanted, limit, offset)
        names = _names(session, found)
    return [Named(entry, names.get(entry.user_id, "")) for entry in found], total


def _names(session: Any, entries: Sequence[AuditEntry]) -> dict[Any, str]:
    ids = {entry.user_id for entry in entries if entry.user_id}
    return {row.id: row.name for row in session.execute(select(User.id, User.name).where(User.id.in_(ids)))}


def verify(anchor: tuple[int, bytes] | None) -> audit.Verdict:
    """Check the whole chain, and that an earlier head is in it."""
    with db.unit_of_work() as session:
        return audit.verify(session, anchor)
