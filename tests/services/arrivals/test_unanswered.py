"""Missed calls from Asterisk's call detail records, on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, select

from appliance.models import Arrival, Call, User
from appliance.services.arrivals.unanswered import LOOK_BACK, OVER_S, Unanswered
from appliance.store import calls, db
from installer.site import Site

MOSCOW = ZoneInfo("Europe/Moscow")


class Exchange:
    """Writes records of one call as cdr_csv does."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.call, self.extension = f"1704099600.{uuid4().int % 10**12}", str(100000 + uuid4().int % 900000)
        self.started = datetime.now(MOSCOW).replace(microsecond=0, tzinfo=None) - timedelta(minutes=10)

    def leg(self, to: str, disposition: str, application: str = "Dial", *, caller: str = "79161234567") -> None:
        ended = self.started + timedelta(seconds=30)
        fields = ["", caller, "600", "from-queue", f"<{caller}>", "SIP/trunk-1", to, application, "", self.started, ""]
        fields += [ended, 30, 0, disposition, "DOCUMENTATION", self.call, ""]
        with self.file.open("a", encoding="utf-8") as file:
            file.write(",".join(f'"{field}"' for field in fields) + "\n")

    @property
    def peer(self) -> str:
        return f"PJSIP/{self.extension}-0000002a"

    def noted(self) -> list[Call]:
        with db.unit_of_work() as session:
            key = Arrival.key == f"cdr:{self.call}"
            return list(session.scalars(select(Call).join(Arrival, Arrival.call_id == Call.id).where(key)))


@pytest.fixture
def exchange(site: Site, tmp_path: Path) -> Iterator[Exchange]:
    assert site
    made = Exchange(tmp_path / "Master.csv")
    made.file.touch()
    yield made
    with db.unit_of_work() as session:
        key = Arrival.key == f"cdr:{made.call}"
        calls.remove(session, list(session.scalars(select(Arrival.call_id).where(key))))
        session.execute(delete(Arrival).where(key))
        session.execute(delete(User).where(User.extension == made.extension))


def test_a_call_that_nobody_took_is_noted_once(exchange: Exchange) -> None:
    exchange.leg(exchange.peer, "NO ANSWER")
    for _ in range(2):  # a second process knows nothing of what the first one did
        Unanswered(exchange.file).look()
    [call] = exchange.noted()
    assert (call.status, call.type, call.phone) == ("missed", "incoming", "+79161234567")
    assert call.date == exchange.started.replace(tzinfo=MOSCOW)
    with db.unit_of_work() as session:
        assert session.get_one(User, call.manager_id).extension == exchange.extension


def test_a_queue_answers_by_itself_and_is_nobody(exchange: Exchange) -> None:
    exchange.leg("", "ANSWERED", "Queue")
    exchange.leg("PJSIP/101-1", "NO ANSWER")
    exchange.leg("PJSIP/102-1", "NO ANSWER")
    Unanswered(exchange.file).look()
    [call] = exchange.noted()
    with db.unit_of_work() as session:
        assert session.get_one(User, call.manager_id).extension is None


def test_a_mailbox_is_nobody_either(exchange: Exchange) -> None:
    exchange.leg(exchange.peer, "ANSWERED", "VoiceMail")
    Unanswered(exchange.file).look()
    assert exchange.noted()


@pytest.mark.parametrize(
    ("leg", "caller"),
    [
        ({"to": "PJSIP/101-1", "disposition": "ANSWERED"}, "79161234567"),
        ({"to": "", "disposition": "ANSWERED", "application": "BackGround"}, "79161234567"),  # gone in the menu
        ({"to": "SIP/trunk-2", "disposition": "NO ANSWER"}, "101"),  # a call of the house's own
    ],
)
def test_what_was_not_missed_is_not_noted(exchange: Exchange, leg: dict[str, str], caller: str) -> None:
    exchange.leg(**leg, caller=caller)  # type: ignore[arg-type]
    Unanswered(exchange.file).look()
    assert not exchange.noted()


def test_a_call_that_may_still_be_answered_is_waited_for(exchange: Exchange) -> None:
    exchange.started = datetime.now(MOSCOW).replace(microsecond=0, tzinfo=None) - timedelta(seconds=OVER_S)
    exchange.leg("PJSIP/101-1", "NO ANSWER")
    looking = Unanswered(exchange.file)
    looking.look()
    assert not exchange.noted()
    exchange.leg("PJSIP/102-1", "ANSWERED")
    looking.look()
    assert not exchange.noted()


def test_history_stays_history(exchange: Exchange) -> None:
    exchange.started -= LOOK_BACK
    exchange.leg(exchange.peer, "NO ANSWER")
    Unanswered(exchange.file).look()
    assert not exchange.noted()


def test_a_file_that_is_away_is_no_failure(exchange: Exchange) -> None:
    Unanswered(exchange.file.with_name("none.csv")).look()
