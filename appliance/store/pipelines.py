"""Queries on pipeline rows: guarded updates that change exactly one row, or say that somebody else did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Float, Row, and_, delete, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, aliased

from appliance.models import AiAnalysis, Call, Pipeline, Segment, StageOutput
from appliance.store import events, steps

BACKLOG_S = 4 * 3600
"""What is processed anew or in bulk lets the calls of the next so many seconds go first."""


def seconds(amount: float | ColumnElement[Any]) -> Any:
    """An interval of PostgreSQL."""
    return func.make_interval(0, 0, 0, 0, 0, 0, amount)


def turn(duration_s: float | ColumnElement[Any], *, backlog: bool = False) -> Any:
    """When it is the turn of a call that comes now: later the longer it is.

    Comparing turns is comparing length minus time waited, whenever it is done: a short call goes first, and one that
    has waited for as long as it is goes before every new one.
    """
    return func.now() + seconds(duration_s) + seconds(BACKLOG_S if backlog else 0)


MUCH_SHORTER = 4
"""A call this many times shorter goes first even when a longer one has waited out its turn."""


AFRESH: dict[str, Any] = {
    "lease_owner": None,
    "lease_until": None,
    "attempts": 0,
    "deaths": 0,
    "waits": 0,
    "spent_ms": 0,
    "error_code": None,
    "error": None,
    "not_before": func.now(),
    "rung_at": func.now(),
}
"""Of a call that nobody works on, that nothing has gone wrong with, and that is due and rung for now."""


def claim(session: Session, stages: Sequence[str], owner: str, lease_s: float) -> tuple[UUID, str] | None:
    """Take the lease on the due call whose turn it is among those whose next stage is one of `stages`.

    Returns the call and its stage; None where nothing is due.
    """
    first = (
        select(Pipeline.call_id)
        .where(Pipeline.state == "waiting", Pipeline.stage.in_(stages), Pipeline.not_before <= func.now())
        .order_by(Pipeline.turn_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    claimed = session.execute(
        update(Pipeline)
        .where(Pipeline.call_id == first, Pipeline.state == "waiting")
        .values(state="running", lease_owner=owner, lease_until=func.now() + seconds(lease_s))
        .returning(Pipeline.call_id, Pipeline.stage)
    ).one_or_none()
    return (claimed.call_id, claimed.stage) if claimed else None


def waiting_by_stage(session: Session) -> Sequence[Row[Any]]:
    """Rows of `stage`, `calls` that wait there, and `age_s` of the one that waits longest."""
    age = func.extract("epoch", func.now() - func.min(Pipeline.not_before))
    query = (
        select(Pipeline.stage, func.count().label("calls"), func.greatest(age, 0).cast(Float).label("age_s"))
        .where(Pipeline.state == "waiting")
        .group_by(Pipeline.stage)
    )
    return session.execute(query).all()


def renew(session: Session, call_id: UUID, owner: str, lease_s: float) -> bool:
    """Heartbeat: keep the lease; False where it was lost."""
    renewed = session.scalar(
        update(Pipeline)
        .where(Pipeline.held(call_id, owner))
        .values(lease_until=func.now() + seconds(lease_s))
        .returning(Pipeline.call_id)
    )
    return renewed is not None


def finish(
    session: Session,
    call_id: UUID,
    owner: str,
    stage: str,
    following: str | None,
    output: dict[str, Any],
    elapsed_ms: int,
) -> bool:
    """Record a stage's output and move on to the next stage; False where the lease was lost, and nothing is written."""
    moved = session.scalar(
        update(Pipeline)
        .where(
            Pipeline.held(call_id, owner),
            Pipeline.stage == stage,
        )
        .values(
            state="waiting" if following else "completed",
            stage=following or stage,
            **AFRESH,
        )
        .returning(Pipeline.call_id)
    )
    if moved is None:
        return False
    steps.clear(session, call_id)
    session.execute(insert(StageOutput).values(call_id=call_id, stage=stage, output=output, elapsed_ms=elapsed_ms))
    return True


def postpone(
    session: Session, call_id: UUID, owner: str, code: str, message: str, delay_s: float, *, blameless: bool = False
) -> bool:
    """A stage failed and is tried again after `delay_s`; False where the lease was lost.

    blameless: something that the call needs is away: that counts as no attempt.
    """
    counted = {"waits": Pipeline.waits + 1} if blameless else {"attempts": Pipeline.attempts + 1}
    moved = session.scalar(
        update(Pipeline)
        .where(Pipeline.held(call_id, owner))
        .values(
            state="waiting",
            lease_owner=None,
            lease_until=None,
            not_before=func.now() + seconds(delay_s),
            error_code=code,
            error=message,
            **counted,
        )
        .returning(Pipeline.call_id)
    )
    return moved is not None


def wake(session: Session, stage: str) -> None:
    """Calls that were put off in a stage are due now: what they waited for may be there."""
    session.execute(
        update(Pipeline)
        .where(Pipeline.state == "waiting", Pipeline.stage == stage, Pipeline.not_before > func.now())
        .values(not_before=func.now(), rung_at=None, waits=0)
    )


def give_back(session: Session, call_id: UUID, owner: str) -> None:
    """The worker stops: its lease ends at once and counts as no failure."""
    session.execute(
        update(Pipeline)
        .where(Pipeline.held(call_id, owner))
        .values(state="waiting", lease_owner=None, lease_until=None, rung_at=None)
    )


def first_before(session: Session, call_id: UUID, stages: Sequence[str]) -> datetime | None:
    """The turn of the call that a running one should make way for: one whose turn is earlier, or that is much shorter.

    None where nobody waits for such a reason. What is processed anew does not count as short: it has time.
    """
    running, its_call, other = aliased(Pipeline), aliased(Call), aliased(Call)
    fresh = Pipeline.turn_at <= func.now() + seconds(other.duration_ms / 1000.0)
    return session.scalar(
        select(Pipeline.turn_at)
        .join(other, other.id == Pipeline.call_id)
        .join(running, running.call_id == call_id)
        .join(its_call, its_call.id == call_id)
        .where(
            Pipeline.state == "waiting",
            Pipeline.stage.in_(stages),
            Pipeline.not_before <= func.now(),
            or_(
                Pipeline.turn_at < running.turn_at,
                and_(fresh, MUCH_SHORTER * other.duration_ms <= its_call.duration_ms),
            ),
        )
        .order_by(Pipeline.turn_at)
        .limit(1)
    )


def make_way(session: Session, call_id: UUID, owner: str, turn_at: datetime) -> None:
    """The lease ends, and the call's turn comes right after `turn_at`: at once again, where nobody else is before it.

    So two long calls and any number of short ones all come on, and a short one waits for a slice at most.
    """
    session.execute(
        update(Pipeline)
        .where(Pipeline.held(call_id, owner))
        .values(
            state="waiting",
            lease_owner=None,
            lease_until=None,
            rung_at=None,
            turn_at=func.greatest(Pipeline.turn_at, turn_at + timedelta(microseconds=1)),
        )
    )


def fail(session: Session, call_id: UUID, code: str, message: str, *, owner: str | None) -> bool:
    """Give a call up: it took place, so it is completed, without an analysis, and everybody is told why.

    A call that has its analysis, and was to get another, keeps what it has and is as it was.
    owner: only while this worker holds the lease; None: whoever holds it. False where the row had changed meanwhile.
    """
    held = [Pipeline.lease_owner == owner] if owner else []
    failed = session.scalar(
        update(Pipeline)
        .where(Pipeline.call_id == call_id, Pipeline.state.in_(("running", "waiting")), *held)
        .values(state="failed", lease_owner=None, lease_until=None, error_code=code, error=message)
        .returning(Pipeline.call_id)
    )
    if failed is None:
        return False
    steps.clear(session, call_id)
    if _keeps_analysis(session, call_id):
        return True
    session.execute(update(Call).where(Call.id == call_id).values(status="completed"))
    session.execute(update(AiAnalysis).where(AiAnalysis.call_id == call_id).values(processing_status="failed"))
    events.append(session, "call_processing_failed", call_id, {"call_id": str(call_id), "error": code})
    return True


def _keeps_analysis(session: Session, call_id: UUID) -> bool:
    """Whether a call whose pipeline gave up has a valid analysis; then it is completed with that."""
    kept = session.scalar(
        update(AiAnalysis)
        .where(AiAnalysis.call_id == call_id, AiAnalysis.processing_status == "completed")
        .values(stood_in_for=None)
        .returning(AiAnalysis.call_id)
    )
    if kept is None:
        return False
    whole = {"state": "completed", "error_code": None, "error": None}
    session.execute(update(Pipeline).where(Pipeline.call_id == call_id).values(whole))
    shown = update(Call).where(Call.id == call_id, Call.status == "in-progress").values(status="completed")
    if session.scalar(shown.returning(Call.id)):  # it failed when it was to be published
        tell_processed(session, call_id)
    return True


def is_open(session: Session, call_id: UUID) -> bool:
    """Whether a call is being processed, or waits to be."""
    state = session.scalar(select(Pipeline.state).where(Pipeline.call_id == call_id))
    return state in ("waiting", "running")


def mend(session: Session, call_id: UUID) -> bool:
    """A call whose analysis failed has got one otherwise; returns whether that was so."""
    whole = {"state": "completed", "error_code": None, "error": None}
    failed = (Pipeline.call_id == call_id, Pipeline.state == "failed")
    mended = session.scalar(update(Pipeline).where(*failed).values(whole).returning(Pipeline.call_id))
    return mended is not None


def tell_processed(session: Session, call_id: UUID) -> None:
    """Everybody who may see a call hears that it is processed."""
    told = {"call_id": str(call_id), "status": "completed", "has_analysis": True}
    events.append(session, "call_processed", call_id, told)


def restart(session: Session, call_id: UUID, first_stage: str) -> bool:
    """Process a call anew from its recording; False while it is being processed, unless only its analysis is.

    The caller holds calls.lock.
    """
    analysed_anew = select(Call.id).where(Call.id == call_id, Call.status == "completed").exists()
    its_turn = select(turn(Call.duration_ms / 1000.0, backlog=True)).where(Call.id == call_id).scalar_subquery()
    restarted = session.scalar(
        update(Pipeline)
        .where(Pipeline.call_id == call_id, or_(Pipeline.state.in_(("completed", "failed")), analysed_anew))
        .values(
            state="waiting",
            stage=first_stage,
            run=Pipeline.run + 1,
            turn_at=its_turn,
            **AFRESH,
        )
        .returning(Pipeline.call_id)
    )
    if restarted is None:
        return False
    steps.clear(session, call_id)
    session.execute(delete(StageOutput).where(StageOutput.call_id == call_id))
    _keep_correction(session, call_id)
    session.execute(update(Call).where(Call.id == call_id).values(status="in-progress"))
    session.execute(update(AiAnalysis).where(AiAnalysis.call_id == call_id).values(processing_status="pending"))
    return True


CORRECTED = "corrected speakers"
"""Under this name it is kept when A and B spoke, as a person has put it right: {A: [[start_ms, end_ms]], B: ...}."""


def _keep_correction(session: Session, call_id: UUID) -> None:
    """Who was client and who manager survives that a transcript is made anew, where a person has said so."""
    rows = session.execute(
        select(Segment.speaker, Segment.start_ms, Segment.end_ms)
        .join(Call, Call.id == Segment.call_id)
        .where(Call.id == call_id, Call.speakers_swapped)
        .order_by(Segment.position)
    ).all()
    if rows:
        said = {side: [[r.start_ms, r.end_ms] for r in rows if r.speaker == side] for side in ("A", "B")}
        session.execute(insert(StageOutput).values(call_id=call_id, stage=CORRECTED, output=said, elapsed_ms=0))


STOOD_IN = "stood in"
"""Under this name the output of a stage is kept that another provider is to make anew."""


def redo_stood_in(session: Session, stage: str, following: str, limit: int = 500) -> Sequence[UUID]:
    """Completed calls that an analyst stood in for wait again for the provider that was down; their analysis stays."""
    marked = (
        select(AiAnalysis.call_id)
        .join(Pipeline, Pipeline.call_id == AiAnalysis.call_id)
        .where(AiAnalysis.stood_in_for.is_not(None), Pipeline.state == "completed")
        .limit(limit)
    )
    calls = session.scalars(
        update(Pipeline)
        .where(Pipeline.call_id.in_(marked), Pipeline.state == "completed")
        .values(state="waiting", stage=stage, not_before=func.now(), turn_at=turn(0, backlog=True), rung_at=None)
        .returning(Pipeline.call_id)
    ).all()
    theirs = StageOutput.call_id.in_(calls)
    session.execute(update(StageOutput).where(theirs, StageOutput.stage == stage).values(stage=STOOD_IN))
    session.execute(delete(StageOutput).where(theirs, StageOutput.stage == following))
    return calls


SWAPPED = "swapped speakers"
"""Under this name it is kept that a call was analysed before its sides were exchanged. No output of a stage."""


def analyse_swapped(session: Session, call_id: UUID, stage: str, following: str) -> bool:
    """A processed call's sides were exchanged: it waits for its analysis again, and what was analysed stays until then.

    Whoever is at it now has read the wrong sides and loses the lease. Returns whether there is one to make anew.
    """
    anew = session.scalar(
        update(Pipeline)
        .where(Pipeline.call_id == call_id, Pipeline.state != "failed")
        .values(
            state="waiting",
            stage=stage,
            turn_at=turn(0),
            **AFRESH,
        )
        .returning(Pipeline.call_id)
    )
    if anew is None:
        return False
    steps.clear(session, call_id)
    made = StageOutput.stage.in_((stage, following, STOOD_IN))
    session.execute(delete(StageOutput).where(StageOutput.call_id == call_id, made))
    marked = upsert(StageOutput).values(call_id=call_id, stage=SWAPPED, output={}, elapsed_ms=0)
    session.execute(marked.on_conflict_do_nothing())
    return True


def expire(session: Session) -> Sequence[tuple[UUID, int, str]]:
    """Take the leases of dead workers away: (call, deaths in this stage, stage) of each."""
    return (
        session.execute(
            update(Pipeline)
            .where(Pipeline.state == "running", Pipeline.lease_until < func.now())
            .values(
                state="waiting",
                lease_owner=None,
                lease_until=None,
                deaths=Pipeline.deaths + 1,
                not_before=func.now(),
                rung_at=None,
            )
            .returning(Pipeline.call_id, Pipeline.deaths, Pipeline.stage)
        )
        .tuples()
        .all()
    )


def unrung(session: Session, older_than_s: float, limit: int = 1000) -> Sequence[tuple[UUID, str]]:
    """Calls that are due but that nobody rang for since, or not for `older_than_s`; marks them as rung for."""
    due = (
        select(Pipeline.call_id)
        .where(
            Pipeline.state == "waiting",
            Pipeline.not_before <= func.now(),
            or_(
                Pipeline.rung_at.is_(None),
                Pipeline.rung_at < Pipeline.not_before,
                Pipeline.rung_at < func.now() - seconds(older_than_s),
            ),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (
        session.execute(
            update(Pipeline)
            .where(Pipeline.call_id.in_(due))
            .values(rung_at=func.now())
            .returning(Pipeline.call_id, Pipeline.stage)
        )
        .tuples()
        .all()
    )


def count_due(session: Session) -> int:
    """How many calls wait for a worker."""
    due = select(func.count()).where(Pipeline.state == "waiting", Pipeline.not_before <= func.now())
    return session.scalar(due) or 0


def outputs(session: Session, call_id: UUID) -> dict[str, dict[str, Any]]:
    """What the stages of a call have produced so far."""
    rows = session.execute(select(StageOutput.stage, StageOutput.output).where(StageOutput.call_id == call_id))
    return {row.stage: row.output for row in rows}


def lock_housekeeping(session: Session) -> bool:
    """Whether this process is the one that keeps house until its transaction ends."""
    return bool(session.scalar(text("SELECT pg_try_advisory_xact_lock(hashtext('call-analytics housekeeping'))")))
