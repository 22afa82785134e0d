"""Recordings behind signed links."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from appliance.models import Call
from appliance.services import links
from appliance.services.failures import LinkInvalid
from appliance.store import audit, db, objects, users

ONE_LISTENING_S = 300.0
"""A player asks for many parts of a recording; requests of one person within this time are one listening."""

_heard: dict[tuple[UUID | None, str], float] = {}
_heard_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Recording:
    key: str
    size: int
    media_type: str

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """Its bytes from an offset on."""
        return objects.stream(self.key, offset, length)


def find(name: str, expires: int, signature: str, viewer_id: UUID | None, *, listens: bool) -> Recording:
    """The recording that a signed link names. Whoever listens is noted.

    Raises LinkInvalid, also where whom it was given to may be here no more; ObjectMissing where its call is deleted.
    """
    key = f"recordings/{name}"
    links.check("/api/" + key, expires, signature, viewer_id)
    with db.unit_of_work() as session:
        query = select(Call.id, Call.audio_bytes, Call.audio_type).where(Call.audio_key == key)
        found = session.execute(query).first()
        if found is None:
            raise objects.ObjectMissing
        if viewer_id is not None and not users.is_active(session, viewer_id):
            raise LinkInvalid
        if listens and _begins_listening(viewer_id, key):
            audit.append(session, "recording_fetched", user_id=viewer_id, call_id=found.id)
    return Recording(key, found.audio_bytes or 0, found.audio_type or "application/octet-stream")


def _begins_listening(viewer_id: UUID | None, key: str) -> bool:
    now = time.monotonic()
    with _heard_lock:
        for old in [known for known, at in _heard.items() if now - at > ONE_LISTENING_S]:
            del _heard[old]
        return _heard.setdefault((viewer_id, key), now) == now
