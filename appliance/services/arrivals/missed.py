"""Missed calls that another system tells of: there is no recording, and nothing to analyse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from appliance import logs
from appliance.models import Call
from appliance.models.calls import CallType
from appliance.services import phones
from appliance.services.arrivals.description import NOBODY
from appliance.store import arrivals, audit, db, events, users

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Missed:
    """One missed call. `key` is the other system's id of it; phone: None where the caller hid it."""

    key: str
    direction: CallType
    phone: str | None
    extension: str | None
    date: datetime


def receive(missed: Missed) -> UUID:
    """Note a missed call, once however often it is told of. Returns the call's id. Raises InvalidPhone."""
    phone = phones.parse(missed.phone) if missed.phone else None
    if known := _received_before(missed.key):
        return known
    call_id = uuid4()
    try:
        with db.unit_of_work() as session:
            _create(session, missed, call_id, phone)
    except IntegrityError:  # told of twice at the same time
        if not (known := _received_before(missed.key)):
            raise
        return known
    log.info("missed_call_received", call_id=str(call_id))
    return call_id


def _received_before(key: str) -> UUID | None:
    with db.unit_of_work() as session:
        return arrivals.call_of(session, key)


def _create(session: Session, missed: Missed, call_id: UUID, phone: str | None) -> None:
    manager = users.manager_of_call(session, missed.extension, NOBODY)
    session.add(
        Call(
            id=call_id,
            type=missed.direction,
            status="missed",
            phone=phone,
            manager_id=manager.id,
            date=missed.date,
        )
    )
    arrivals.note(session, missed.key, call_id)
    session.flush()
    events.append(session, "call_created", call_id)
    audit.append(session, "call_uploaded", call_id=call_id)
