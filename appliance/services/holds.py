"""Legal hold: a call that nothing deletes, erases, lets expire or processes anew until an admin releases it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select

from appliance.models import Call
from appliance.services import failures, rights
from appliance.store import audit, calls, db
from appliance.store.visibility import Viewer


def hold(viewer: Viewer, call_id: UUID) -> Call:
    """Hold a call; one that is held already stays so since then. Raises CallNotFound, NotAllowed."""
    return _set(viewer, call_id, held=True)


def release(viewer: Viewer, call_id: UUID) -> Call:
    """Let a call go again; one that is not held stays so. Raises CallNotFound, NotAllowed."""
    return _set(viewer, call_id, held=False)


def _set(viewer: Viewer, call_id: UUID, *, held: bool) -> Call:
    rights.admin_only(viewer)
    with db.unit_of_work() as session:
        call = session.scalar(select(Call).where(Call.id == call_id).with_for_update())
        if call is None:
            raise failures.CallNotFound
        if (call.held_since is not None) != held:
            call.held_since = datetime.now(UTC) if held else None
            audit.append(session, "call_held" if held else "call_released", user_id=viewer.id, call_id=call_id)
    with db.unit_of_work() as session:
        changed = calls.detail(session, viewer, call_id)
    if changed is None:
        raise failures.CallNotFound
    return changed
