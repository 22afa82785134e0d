"""Exports: the calls a viewer may see, as a file behind a signed link that expires."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import select

from appliance import logs
from appliance.config import settings
from appliance.models import Export
from appliance.services import failures, links, spreadsheets
from appliance.store import audit, calls, db, deletions, erasure, objects, users
from appliance.store.call_filters import CallFilter
from appliance.store.visibility import Viewer

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """An export that is ready. `link` is a path with its signature."""

    link: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is sent."""

    content: Iterator[bytes]
    name: str
    media_type: str


def make(viewer: Viewer, form: spreadsheets.Format, wanted: CallFilter, language: str) -> Made:
    """Write the file and put it into the object store; nothing is left of one that fails on the way."""
    zone = ZoneInfo(settings().site_timezone)
    name = f"export_{uuid4()}.{form}"
    key = f"downloads/{name}"
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        file = Path(folder) / name
        with db.unit_of_work() as session:
            erased = erasure.newest(session)
            rows = calls.exported(session, viewer, wanted, settings().site_timezone)
            count = spreadsheets.write(file, form, rows, language, zone)
        with db.unit_of_work() as session:
            deletions.mark_unfinished(session, key)
        with file.open("rb") as content:
            objects.put(key, content, file.stat().st_size, spreadsheets.MEDIA_TYPES[form])
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=settings().link_expires_in)
    with db.unit_of_work() as session:
        erasure.lock_exports(session)
        outdated = erasure.newest(session) != erased
        if outdated:  # it may hold calls that were erased while it was written
            deletions.mark(session, [key])
        else:
            session.add(Export(user_id=viewer.id, format=form, object_key=key, expires_at=expires_at))
            audit.append(session, "export_made", user_id=viewer.id, details={"file": name, "calls": count})
            deletions.withdraw(session, key)
    if outdated:
        raise failures.CallsErasedMeanwhile
    log.info("calls_exported", user_id=str(viewer.id), format=form, calls=count)
    return Made(links.sign("/" + key, expires_at), expires_at)


def find(name: str, expires: int, signature: str) -> Download:
    """The file that a signed link names.

    Raises LinkInvalid, also where whoever made it may be here no more; ObjectMissing where it is gone.
    """
    key = f"downloads/{name}"
    links.check("/" + key, expires, signature)
    with db.unit_of_work() as session:
        export = session.scalar(select(Export).where(Export.object_key == key))
        if export is None:
            raise objects.ObjectMissing
        if not users.is_active(session, export.user_id):
            raise failures.LinkInvalid
        audit.append(session, "export_fetched", user_id=export.user_id, details={"file": name})
    day = export.created_at.astimezone(ZoneInfo(settings().site_timezone))
    return Download(
        objects.stream(key, 0, 0), f"calls_{day:%Y-%m-%d}.{export.format}", spreadsheets.MEDIA_TYPES[export.format]
    )
