"""The audit trail: entries are appended in the transaction of what they tell of, and chained when it commits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, event, func, insert, select, text
from sqlalchemy.orm import Session

from appliance.models import AuditEntry

Detail = str | int | bool | None | Sequence[str] | Sequence[int]
"""No floats: JSON does not promise to give the same number back, and the hash would not match."""

BEGINNING = bytes(32)
"""What the first entry follows."""

PENDING = "audit entries to write"
PORTION = 5000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries; None means all."""

    action: str | None = None
    user_id: UUID | None = None
    call_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a check: entries that are sound, the last of them, and the id of the first that is not."""

    entries: int
    last_id: int
    last_hash: bytes
    broken_id: int | None
    anchored: bool


def append(
    session: Session,
    action: str,
    *,
    user_id: UUID | None = None,
    call_id: UUID | None = None,
    details: Mapping[str, Detail] | None = None,
) -> None:
    """Say in the caller's transaction that something was done. Nothing is written where that rolls back.

    `details` hold ids, counts and hosts; never names, numbers, speech or what somebody searched for.
    """
    if any(isinstance(value, float) for value in (details or {}).values()):
        raise TypeError("an audit entry holds no floats")
    entry = {
        "at": datetime.now(UTC),
        "action": action,
        "user_id": user_id,
        "call_id": call_id,
        "details": dict(details or {}),
    }
    session.info.setdefault(PENDING, []).append(entry)


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    """Chain and insert what was appended, last of all: entries of the whole site wait for each other from here on."""
    if session.in_nested_transaction() or not (pending := session.info.pop(PENDING, None)):
        return
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('call-analytics audit'))"))
    newest = select(AuditEntry.hash).order_by(AuditEntry.id.desc()).limit(1)
    previous = session.scalar(newest) or BEGINNING
    for entry in pending:
        entry["previous"] = previous
        entry["hash"] = previous = hash_of(previous, entry)
    session.execute(insert(AuditEntry), pending)


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop(PENDING, None)


def hash_of(previous: bytes, entry: Mapping[str, Any]) -> bytes:
    """The hash of an entry that follows another."""
    said = [
        entry["at"].astimezone(UTC).isoformat(timespec="microseconds"),
        entry["action"],
        str(entry["user_id"] or ""),
        str(entry["call_id"] or ""),
        entry["details"],
    ]
    canonical = json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(previous + canonical.encode()).digest()


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.action is not None:
        found.append(AuditEntry.action == wanted.action)
    if wanted.user_id is not None:
        found.append(AuditEntry.user_id == wanted.user_id)
    if wanted.call_id is not None:
        found.append(AuditEntry.call_id == wanted.call_id)
    if wanted.since is not None:
        found.append(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        found.append(AuditEntry.at < wanted.until)
    return found


def page(session: Session, wanted: Wanted, limit: int, offset: int) -> tuple[Sequence[AuditEntry], int]:
    """One page of entries, newest first, and how many there are in all."""
    where = _conditions(wanted)
    total = session.scalar(select(func.count()).select_from(AuditEntry).where(*where)) or 0
    query = select(AuditEntry).where(*where).order_by(AuditEntry.id.desc()).limit(limit).offset(offset)
    return session.scalars(query).all(), total


def head(session: Session) -> tuple[int, bytes]:
    """The newest entry's id and hash: kept elsewhere, they prove later that nothing before was cut off or redone."""
    row = session.execute(select(AuditEntry.id, AuditEntry.hash).order_by(AuditEntry.id.desc()).limit(1)).first()
    return (row.id, row.hash) if row else (0, BEGINNING)


def verify(session: Session, anchor: tuple[int, bytes] | None = None) -> Verdict:
    """Go through the whole chain. `anchor` is an earlier head that must be in it."""
    entries, last_id, previous = 0, 0, BEGINNING
    anchored = anchor is None or anchor == (0, BEGINNING)
    query = select(*AuditEntry.__table__.columns).order_by(AuditEntry.id)
    with session.execute(query, execution_options={"yield_per": PORTION}) as rows:
        for row in rows:
            entry = row._asdict()
            if entry["previous"] != previous or entry["hash"] != hash_of(previous, entry):
                return Verdict(entries, last_id, previous, entry["id"], anchored)
            entries, last_id, previous = entries + 1, entry["id"], entry["hash"]
            anchored = anchored or anchor == (last_id, previous)
    return Verdict(entries, last_id, previous, None, anchored)
