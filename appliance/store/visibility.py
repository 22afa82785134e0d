"""Who may see which calls: a condition for queries, so that nothing can be shown that was not asked for with it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, true

from appliance.models import Call
from appliance.models.users import Role


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever makes a request. `session` is the family of tokens that one log-in began."""

    id: UUID
    name: str
    role: Role
    session: UUID


def visible_to(viewer: Viewer) -> ColumnElement[bool]:
    """Calls that a viewer may see: a manager's own, everybody else's all."""
    return Call.manager_id == viewer.id if viewer.role == "manager" else true()


def sees(viewer: Viewer, manager_id: UUID) -> bool:
    """The same for one call whose manager is known."""
    return viewer.role != "manager" or viewer.id == manager_id
