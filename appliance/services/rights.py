"""What a role may do, where that is more than seeing a call (see store.visibility)."""

from __future__ import annotations

from uuid import UUID

from appliance.services import failures
from appliance.store.visibility import Viewer


def admin_only(viewer: Viewer) -> UUID:
    """The viewer's id. Raises NotAllowed."""
    if viewer.role != "admin":
        raise failures.NotAllowed
    return viewer.id
