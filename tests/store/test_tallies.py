"""Tallies: whatever happens to calls, their sums are what counting the calls gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from appliance.models import AiAnalysis, Call, CallTally, TallyZone, User
from appliance.store import db, statistics, tallies
from appliance.store.call_filters import CallFilter, conditions
from appliance.store.visibility import Viewer
from installer.site import Site

ZONE = "Europe/Moscow"
FIRST = datetime(2021, 1, 15, 22, tzinfo=UTC)
EVERYBODYS = Viewer(uuid4(), "admin", "admin", uuid4())


@pytest.fixture(scope="module")
def managers(site: Site) -> Iterator[list[UUID]]:
    ids = [uuid4(), uuid4()]
    with db.unit_of_work() as session:
        session.add_all([User(id=each, name=f"Счётный {each}", role="manager") for each in ids])
    yield ids
    with db.unit_of_work() as session:
        session.execute(delete(Call).where(Call.manager_id.in_(ids)))
        session.execute(delete(User).where(User.id.in_(ids)))


@pytest.fixture(scope="module")
def changed(managers: list[UUID]) -> list[UUID]:
    """Calls of 100 days that were added, analysed, moved, given away, processed anew and deleted."""
    made = random.Random(7)
    with db.unit_of_work() as session:
        calls = [_call(made, managers) for _ in range(300)]
        session.add_all(calls)
        session.flush()
        session.add_all([_analysis(made, call.id) for call in calls])
    ids = [call.id for call in calls]
    with db.unit_of_work() as session:
        session.execute(delete(Call).where(Call.id.in_(ids[:40])))
        session.execute(update(Call).where(Call.id.in_(ids[40:80])).values(manager_id=managers[0]))
        session.execute(update(Call).where(Call.id.in_(ids[60:90])).values(status="missed", duration_ms=0))
        session.execute(update(Call).where(Call.id.in_(ids[80:99])).values(date=Call.date + timedelta(days=40)))
        again = update(AiAnalysis).where(AiAnalysis.call_id.in_(ids[90:130])).values(processing_status="pending")
        session.execute(again)
    return ids[40:]


def _call(made: random.Random, managers: list[UUID]) -> Call:
    when = FIRST + timedelta(hours=made.randrange(100 * 24))
    fields = {"type": made.choice(["incoming", "outgoing"]), "manager_id": made.choice(managers), "date": when}
    return Call(id=uuid4(), status="completed", duration_ms=made.randrange(1, 600) * 1000, manager_ms=700, **fields)


def _analysis(made: random.Random, call_id: UUID) -> AiAnalysis:
    label = made.choice(["positive", "neutral", "negative"])
    topics = made.sample(["кредит", "сервис", "цена"], 2)
    fields = {"sentiment": label, "sentiment_score": made.uniform(-1, 1), "topics": topics}
    return AiAnalysis(call_id=call_id, processing_status="completed", **fields)


FILTERS = [
    {},
    {"status": "missed"},
    {"type": "incoming", "sentiment": "positive"},
    {"date_from": date(2021, 1, 16)},
    {"date_from": date(2021, 2, 1), "date_to": date(2021, 2, 28)},
    {"date_from": date(2021, 1, 20), "date_to": date(2021, 3, 3)},
    {"date_from": date(2021, 3, 5), "date_to": date(2021, 3, 7)},
    {"date_to": date(2021, 1, 31), "sentiment": "negative"},
]
SPAN = {"date_from": date(2021, 1, 1), "date_to": date(2021, 12, 31)}


def counted(session: Session, viewer: Viewer, wanted: CallFilter) -> int:
    return session.scalar(select(func.count()).select_from(Call).where(*conditions(viewer, wanted, ZONE))) or 0


@pytest.mark.parametrize("chosen", FILTERS, ids=str)
@pytest.mark.parametrize("merged", [False, True])
def test_sums_are_what_counting_gives(
    changed: list[UUID], managers: list[UUID], chosen: dict[str, object], merged: bool
) -> None:
    with db.unit_of_work() as session:
        if merged:
            tallies.merge(session)
        wanted = CallFilter(**{**SPAN, **chosen})  # type: ignore[arg-type]
        for viewer in (EVERYBODYS, Viewer(managers[0], "manager", "manager", uuid4())):
            assert tallies.count(session, viewer, wanted) == counted(session, viewer, wanted)
        named = session.scalars(select(User.name).where(User.id == managers[1])).one()
        by_name = CallFilter(**{**SPAN, **chosen, "manager": named})  # type: ignore[arg-type]
        assert tallies.count(session, EVERYBODYS, by_name) == counted(session, EVERYBODYS, by_name)


def test_averages_talk_and_topics(changed: list[UUID], managers: list[UUID]) -> None:
    viewer = Viewer(managers[0], "manager", "manager", uuid4())
    with db.unit_of_work() as session:
        rows = session.scalars(select(Call).where(Call.manager_id == managers[0])).all()
        took_place = [call.duration_ms for call in rows if call.status != "missed"]
        scores = [call.sentiment_score for call in rows if call.sentiment_score is not None]
        totals = statistics.totals(session, viewer, CallFilter(), date(2021, 3, 1))
        assert totals.total == len(rows)
        assert float(totals.avg_duration_s) == pytest.approx(sum(took_place) / len(took_place) / 1000)
        assert totals.avg_sentiment == pytest.approx(sum(scores) / len(scores))
        day = [call.date.astimezone(ZoneInfo(ZONE)).date() for call in rows]
        assert totals.today == sum(each >= date(2021, 3, 1) for each in day)
        assert statistics.by_manager(session, viewer, CallFilter(), None)[0].talk_share == 1.0
        topics = {row.topic: row.calls for row in tallies.topics(session, viewer, CallFilter(), 10)}
        assert topics == {name: sum(name in call.topics for call in rows) for name in ("кредит", "сервис", "цена")}


def test_merging_leaves_one_row_of_a_place(changed: list[UUID]) -> None:
    with db.unit_of_work() as session:
        tallies.merge(session)
        assert not session.scalar(select(func.count()).where(~CallTally.merged))


def test_another_time_zone_counts_anew(changed: list[UUID], managers: list[UUID]) -> None:
    wanted = CallFilter(date_from=date(2021, 2, 1), date_to=date(2021, 2, 9))
    with db.unit_of_work() as session:
        assert not tallies.keep_zone(session, ZONE)
        try:
            assert tallies.keep_zone(session, "Asia/Vladivostok")
            where = conditions(EVERYBODYS, wanted, "Asia/Vladivostok")
            there = session.scalar(select(func.count()).select_from(Call).where(*where))
            assert tallies.count(session, EVERYBODYS, wanted) == there
        finally:
            assert tallies.keep_zone(session, ZONE)
        assert session.scalars(select(TallyZone.name)).all() == [ZONE]
