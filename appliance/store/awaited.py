"""Recordings that are awaited from an exchange: noted once, claimed by one process at a time, tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from appliance.models import AwaitedRecording, ToldCall
from appliance.models.awaited import Maker
from appliance.models.calls import CallType
from appliance.store.pipelines import seconds


@dataclass(frozen=True, slots=True)
class Due:
    """A recording to fetch now, with what is known of its call. `attempt`: the first is 1."""

    key: str
    maker: Maker
    location: str
    attempt: int
    direction: CallType
    phone: str | None
    extension: str | None
    date: datetime


def tell(session: Session, call: ToldCall) -> None:
    """A call that was told of before is left as it was."""
    told = {"key": call.key, "type": call.type, "phone": call.phone, "extension": call.extension, "date": call.date}
    session.execute(insert(ToldCall).values(told).on_conflict_do_nothing())


def expect(session: Session, key: str, call_key: str, maker: Maker, location: str) -> None:
    """A recording that was named before is left as it was."""
    named = {"key": key, "call_key": call_key, "maker": maker, "location": location}
    session.execute(insert(AwaitedRecording).values(named).on_conflict_do_nothing())


def claim(session: Session, within_s: float) -> Due | None:
    """Take the recording that is due first, whose call was told of; nobody else has it for `within_s` seconds."""
    first = (
        select(AwaitedRecording.key)
        .join(ToldCall, ToldCall.key == AwaitedRecording.call_key)
        .where(AwaitedRecording.state == "waiting", AwaitedRecording.not_before <= func.now())
        .order_by(AwaitedRecording.not_before)
        .limit(1)
        .with_for_update(skip_locked=True, of=AwaitedRecording)
        .scalar_subquery()
    )
    row = session.execute(
        update(AwaitedRecording)
        .where(AwaitedRecording.key == first, ToldCall.key == AwaitedRecording.call_key)
        .values(attempts=AwaitedRecording.attempts + 1, not_before=func.now() + seconds(within_s))
        .returning(
            AwaitedRecording.key,
            AwaitedRecording.maker,
            AwaitedRecording.location,
            AwaitedRecording.attempts,
            ToldCall.type,
            ToldCall.phone,
            ToldCall.extension,
            ToldCall.date,
        )
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        return None
    return Due(row.key, row.maker, row.location, row.attempts, row.type, row.phone, row.extension, row.date)


def postpone(session: Session, key: str, code: str, delay_s: float) -> None:
    """It is tried again after a while."""
    later = {"not_before": func.now() + seconds(delay_s), "error_code": code}
    session.execute(update(AwaitedRecording).where(AwaitedRecording.key == key).values(later))


def give_up(session: Session, key: str, code: str) -> None:
    """It is not tried again."""
    end = {"state": "failed", "error_code": code}
    session.execute(update(AwaitedRecording).where(AwaitedRecording.key == key).values(end))


def done(session: Session, key: str) -> None:
    """Its call is there."""
    session.execute(delete(AwaitedRecording).where(AwaitedRecording.key == key))


def forget(session: Session, told_s: float, failed_s: float) -> int:
    """Drop calls told of and failures after so many seconds. Returns how many recordings never had one."""
    old = func.now() - seconds(told_s)
    session.execute(delete(AwaitedRecording).where(AwaitedRecording.created_at < func.now() - seconds(failed_s)))
    known = select(ToldCall.key).where(ToldCall.key == AwaitedRecording.call_key).exists()
    unknown = (AwaitedRecording.state == "waiting", AwaitedRecording.created_at < old, ~known)
    end = {"state": "failed", "error_code": "call_not_told"}
    lost = session.scalars(update(AwaitedRecording).where(*unknown).values(end).returning(AwaitedRecording.key)).all()
    awaited = select(AwaitedRecording.key).where(
        AwaitedRecording.call_key == ToldCall.key, AwaitedRecording.state == "waiting"
    )
    session.execute(delete(ToldCall).where(ToldCall.created_at < old, ~awaited.exists()))
    return len(lost)


def forget_number(session: Session, phone: str) -> int:
    """Drop what was told of calls with a number (E.164), and the recordings that they wait for. Returns how many."""
    told = select(ToldCall.key).where(ToldCall.phone == phone)
    session.execute(delete(AwaitedRecording).where(AwaitedRecording.call_key.in_(told)))
    return len(session.scalars(delete(ToldCall).where(ToldCall.phone == phone).returning(ToldCall.key)).all())
