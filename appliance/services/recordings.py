"""Recordings behind signed links."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from appliance.models import Call
from appliance.services import links
from appliance.store import db, objects


@dataclass(frozen=True, slots=True)
class Recording:
    key: str
    size: int
    media_type: str

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """Its bytes from an offset on."""
        return objects.stream(self.key, offset, length)


def find(name: str, expires: int, signature: str) -> Recording:
    """The recording that a signed link names. Raises LinkInvalid, and ObjectMissing where its call is deleted."""
    key = f"recordings/{name}"
    links.check("/api/" + key, expires, signature)
    with db.unit_of_work() as session:
        found = session.execute(select(Call.audio_bytes, Call.audio_type).where(Call.audio_key == key)).first()
    if found is None:
        raise objects.ObjectMissing
    return Recording(key, found.audio_bytes or 0, found.audio_type or "application/octet-stream")
