"""Erasure: every trace of a telephone number goes; the audit trail keeps that it happened, not whose number it was."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from appliance import logs
from appliance.config import settings
from appliance.services import phones
from appliance.store import audit, awaited, calls, db, deletions, erasure, objects

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, and, where it was no trial, is gone. Ids and counts; never the number.

    counts: rows and files by kind. mentions: calls of other numbers that name this one.
    held: calls with the number, or naming it, that stay because they are under legal hold.
    objects_left: files that the object store could not delete now; housekeeping does, as soon as it is back.
    """

    counts: dict[str, int]
    mentions: Sequence[UUID]
    held: Sequence[UUID]
    mentions_erased: bool = False
    objects_left: int = 0


def look(phone: str) -> Report:
    """What `erase` would find; nothing is changed. Raises InvalidPhone."""
    number = phones.parse(phone)
    with db.unit_of_work() as session:
        ids = erasure.of_number(session, number)
        named = erasure.mentioning(session, number)
        held = calls.held(session, [*ids, *named])
        return Report(_counted(session, [i for i in ids if i not in held])[0], named, held)


def erase(phone: str, *, mentions: bool = False) -> Report:
    """Erase the calls with a number in any spelling, and what was made of them; with `mentions` also the calls of
    other numbers that name it. Calls under legal hold stay. All or nothing in the database; the files follow.

    Raises InvalidPhone.
    """
    number = phones.parse(phone)
    with db.unit_of_work() as session:
        named = erasure.mentioning(session, number)
        wanted = [*erasure.of_number(session, number), *(named if mentions else ())]
        held = calls.held(session, wanted)
        ids = [call_id for call_id in wanted if call_id not in held]
        erasure.lock_exports(session)
        counts, keys = _counted(session, ids)
        erasure.remove_exports(session, keys)
        erasure.unlink_requests(session, ids)
        deletions.mark(session, keys)
        calls.remove(session, ids)
        counts["calls_announced"] = awaited.forget_number(session, number)
        audit.append(session, erasure.ACTION, details={**counts, "mentions": len(named), "held": len(held)})
    left = _delete(keys)
    for call_id in ids:
        shutil.rmtree(settings().data_dir / "scratch" / str(call_id), ignore_errors=True)
    log.info("number_erased", **counts, objects_left=left)
    return Report(counts, named, held, mentions, left)


def _counted(session: Session, ids: Sequence[UUID]) -> tuple[dict[str, int], list[str]]:
    """How much there is of each kind, and the keys of the files."""
    recordings, exports = erasure.recordings(session, ids), erasure.exports(session, ids)
    files = {"recordings": len(recordings), "exports": len(exports)}
    return {"calls": len(ids), **files, **erasure.count(session, ids)}, [*recordings, *exports]


def _delete(keys: Sequence[str]) -> int:
    """Delete files now, rather than in housekeeping's next round; returns how many stay due."""
    for number, key in enumerate(keys):
        try:
            deletions.carry_out(key)
        except objects.ObjectStoreUnavailable:
            return len(keys) - number
    return 0
