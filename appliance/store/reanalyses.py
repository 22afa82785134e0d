"""Queries on re-analyses: guarded updates, as those on pipelines; the lease of a task is its worker's alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from appliance.models import AiAnalysis, Call, Pipeline, Reanalysis, ReanalysisTask, User
from appliance.models.reanalyses import OPEN_STATES
from appliance.store.call_filters import CallFilter, as_meant
from appliance.store.pipelines import seconds
from appliance.store.visibility import Viewer

OPEN_TASKS = ReanalysisTask.state.in_(("waiting", "running"))
DUE = and_(
    *(Reanalysis.state.in_(OPEN_STATES), Reanalysis.not_before <= func.now()),
    *(ReanalysisTask.state == "waiting", ReanalysisTask.not_before <= func.now()),
    or_(Reanalysis.state == "running", ReanalysisTask.sampled),
)
"""A call that a worker may begin now: of the sample alone, as long as that is a preview."""


def now() -> Any:
    """The database's clock."""
    return func.now()


@dataclass(frozen=True, slots=True)
class Task:
    """A call that a worker has the lease of. `preview`: what is found is kept apart."""

    reanalysis_id: UUID
    call_id: UUID
    profile: str
    by: UUID | None
    preview: bool
    attempts: int
    owner: str

    @property
    def row(self) -> ColumnElement[bool]:
        """The task's row while its worker has the lease."""
        return and_(
            ReanalysisTask.reanalysis_id == self.reanalysis_id,
            ReanalysisTask.call_id == self.call_id,
            ReanalysisTask.state == "running",
            ReanalysisTask.lease_owner == self.owner,
        )


def one_order_at_a_time(session: Session) -> None:
    """Between looking whether one is open and opening one, nobody else may open one."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("call-analytics reanalysis"))))


def is_open(session: Session) -> bool:
    """Whether calls are analysed anew at the moment, be it as a preview."""
    return bool(session.scalar(select(exists().where(Reanalysis.state.in_(OPEN_STATES)))))


def order(session: Session, made: Reanalysis, viewer: Viewer, wanted: CallFilter, zone: str) -> int:
    """Choose the completed calls that have a transcript; returns how many. The sample is taken by chance."""
    session.add(made)
    session.flush()
    newest_first = func.row_number().over(order_by=(Call.date.desc(), Call.id))
    chosen = select(literal(made.id), Call.id, newest_first).where(
        *as_meant(session, viewer, wanted, zone),
        *(Call.status == "completed", Call.language.is_not(None)),
        exists().where(Pipeline.call_id == Call.id).correlate(Call),
    )
    session.execute(insert(ReanalysisTask).from_select(["reanalysis_id", "call_id", "position"], chosen))
    mine = ReanalysisTask.reanalysis_id == made.id
    made.total = session.scalar(select(func.count()).select_from(ReanalysisTask).where(mine)) or 0
    if made.sample:
        by_chance = select(ReanalysisTask.call_id).where(mine).order_by(func.random()).limit(made.sample)
        session.execute(update(ReanalysisTask).where(mine, ReanalysisTask.call_id.in_(by_chance)).values(sampled=True))
        made.sample = min(made.sample, made.total)
    return made.total


def get(session: Session, reanalysis_id: UUID) -> Reanalysis | None:
    return session.get(Reanalysis, reanalysis_id)


def newest(session: Session, limit: int) -> Sequence[Reanalysis]:
    """The last ones that were ordered, the newest first."""
    return session.scalars(select(Reanalysis).order_by(Reanalysis.created_at.desc()).limit(limit)).all()


def counts(session: Session, made: Reanalysis) -> dict[str, float]:
    """Tasks by state, of the sample alone while that is what there is, and `cost` in US dollars."""
    wanted: list[ColumnElement[bool]] = [ReanalysisTask.reanalysis_id == made.id]
    if of_sample(made):
        wanted.append(ReanalysisTask.sampled.is_(True))
    query = select(ReanalysisTask.state, func.count(), func.sum(ReanalysisTask.cost)).where(*wanted)
    rows = session.execute(query.group_by(ReanalysisTask.state)).all()
    found: dict[str, float] = {row[0]: row[1] for row in rows}
    return {**found, "cost": sum(float(row[2]) for row in rows)}


def of_sample(made: Reanalysis) -> bool:
    """Whether a re-analysis is but a preview so far."""
    return bool(made.sample) and made.started_at is None


def start(session: Session, reanalysis_id: UUID) -> bool:
    """After its preview, go on with every call; False where it is not the time."""
    started = session.scalar(
        update(Reanalysis)
        .where(Reanalysis.id == reanalysis_id, Reanalysis.state == "previewed")
        .values(state="running", started_at=func.now(), not_before=func.now(), waits=0, error_code=None, error=None)
        .returning(Reanalysis.id)
    )
    if started is None:
        return False
    again = {"state": "waiting", "attempts": 0, "deaths": 0, "error_code": None, "not_before": func.now()}
    mine = (ReanalysisTask.reanalysis_id == reanalysis_id, ReanalysisTask.sampled)
    session.execute(update(ReanalysisTask).where(*mine).values(again))
    return True


def cancel(session: Session, reanalysis_id: UUID) -> bool:
    """No further call is begun; False where it has ended. What a worker is at is finished and counts."""
    cancelled = session.scalar(
        update(Reanalysis)
        .where(Reanalysis.id == reanalysis_id, Reanalysis.state.in_(("previewing", "previewed", "running")))
        .values(state="cancelled", finished_at=func.now(), error_code=None, error=None)
        .returning(Reanalysis.id)
    )
    return cancelled is not None


def claim(session: Session, owner: str, lease_s: float) -> Task | None:
    """Take the lease on the next call; None where none is due."""
    first = session.execute(
        select(
            *(ReanalysisTask.reanalysis_id, ReanalysisTask.call_id, ReanalysisTask.attempts),
            *(Reanalysis.profile, Reanalysis.started_by_id, Reanalysis.state),
        )
        .join(Reanalysis, Reanalysis.id == ReanalysisTask.reanalysis_id)
        .where(DUE)
        .order_by(ReanalysisTask.position)
        .limit(1)
        .with_for_update(skip_locked=True, of=ReanalysisTask)
    ).one_or_none()
    if first is None:
        return None
    lease = {"state": "running", "lease_owner": owner, "lease_until": func.now() + seconds(lease_s)}
    taken = (ReanalysisTask.reanalysis_id == first.reanalysis_id, ReanalysisTask.call_id == first.call_id)
    session.execute(update(ReanalysisTask).where(*taken).values(lease))
    preview = first.state == "previewing"
    return Task(first.reanalysis_id, first.call_id, first.profile, first.started_by_id, preview, first.attempts, owner)


def renew(session: Session, task: Task, lease_s: float) -> bool:
    """Heartbeat: keep the lease; False where it was lost, or the call is gone."""
    renewed = update(ReanalysisTask).where(task.row).values(lease_until=func.now() + seconds(lease_s))
    return session.scalar(renewed.returning(ReanalysisTask.call_id)) is not None


def settle(session: Session, task: Task, state: str, **values: Any) -> bool:
    """End a task, or let it wait; False where the lease was lost, and nothing is written."""
    free = {"state": state, "lease_owner": None, "lease_until": None}
    moved = update(ReanalysisTask).where(task.row).values(**free, **values)
    return session.scalar(moved.returning(ReanalysisTask.call_id)) is not None


def charge(session: Session, task: Task, cost: float) -> None:
    """Add US dollars to what a task has cost, whoever has its lease: they are spent."""
    values: dict[str, Any] = {"cost": ReanalysisTask.cost + cost}
    if task.preview:
        values["preview_cost"] = ReanalysisTask.preview_cost + cost
    mine = (ReanalysisTask.reanalysis_id == task.reanalysis_id, ReanalysisTask.call_id == task.call_id)
    session.execute(update(ReanalysisTask).where(*mine).values(values))


def pause(session: Session, reanalysis_id: UUID, code: str, message: str, delay_s: float) -> None:
    """What all its calls need is away: none of them is begun for so long."""
    waits = {"waits": Reanalysis.waits + 1, "error_code": code, "error": message}
    later = func.greatest(Reanalysis.not_before, func.now() + seconds(delay_s))
    session.execute(update(Reanalysis).where(Reanalysis.id == reanalysis_id).values(**waits, not_before=later))


def waits_of(session: Session, reanalysis_id: UUID) -> int:
    """How often in a row it was paused."""
    return session.scalar(select(Reanalysis.waits).where(Reanalysis.id == reanalysis_id)) or 0


def go_on(session: Session, reanalysis_id: UUID) -> None:
    """What it needs is there."""
    paused = (Reanalysis.id == reanalysis_id, Reanalysis.waits > 0)
    session.execute(update(Reanalysis).where(*paused).values(waits=0, error_code=None, error=None))


def wake(session: Session) -> None:
    """What a paused re-analysis waits for may be there: it is looked at now."""
    session.execute(update(Reanalysis).where(Reanalysis.state.in_(OPEN_STATES)).values(not_before=func.now()))


def close(session: Session) -> None:
    """A re-analysis that has no call left to do is over. Looks at what is committed, so do so after the commit."""
    left = exists().where(ReanalysisTask.reanalysis_id == Reanalysis.id, OPEN_TASKS)
    of_preview = and_(Reanalysis.state == "previewing", ~left.where(ReanalysisTask.sampled))
    session.execute(update(Reanalysis).where(of_preview).values(state="previewed"))
    of_all = and_(Reanalysis.state == "running", ~left)
    session.execute(update(Reanalysis).where(of_all).values(state="completed", finished_at=func.now()))


def expire(session: Session, deaths: int) -> None:
    """Take the leases of dead workers away; a call that so many died of is failed."""
    dead = (ReanalysisTask.state == "running", ReanalysisTask.lease_until < func.now())
    free = {"lease_owner": None, "lease_until": None, "deaths": ReanalysisTask.deaths + 1}
    poison = ReanalysisTask.deaths + 1 >= deaths
    session.execute(update(ReanalysisTask).where(*dead, poison).values(state="failed", error_code="poison", **free))
    session.execute(update(ReanalysisTask).where(*dead).values(state="waiting", **free))


def due(session: Session, limit: int) -> int:
    """How many calls wait for a worker that could begin now, counted up to a limit."""
    query = (
        select(ReanalysisTask.call_id)
        .join(Reanalysis, Reanalysis.id == ReanalysisTask.reanalysis_id)
        .where(DUE)
        .limit(limit)
    )
    return len(session.execute(query).all())


def forget(session: Session, before: datetime) -> None:
    """Orders that ended long ago; the versions that they made stay."""
    session.execute(delete(Reanalysis).where(Reanalysis.finished_at < before))


def sampled(session: Session, reanalysis_id: UUID) -> Sequence[Any]:
    """The calls of the preview, newest first: the task, and of the call its date and manager's name."""
    query = (
        select(ReanalysisTask, Call.date, User.name.label("manager_name"))
        .join(Call, Call.id == ReanalysisTask.call_id)
        .join(User, User.id == Call.manager_id)
        .where(ReanalysisTask.reanalysis_id == reanalysis_id, ReanalysisTask.sampled)
        .order_by(ReanalysisTask.position)
    )
    return session.execute(query).all()


def size(session: Session, reanalysis_id: UUID) -> int:
    """How many calls were chosen."""
    return session.scalar(select(Reanalysis.total).where(Reanalysis.id == reanalysis_id)) or 0


def current_version(session: Session, call_id: UUID) -> int:
    """The number of the call's current analysis; 0 where it has none."""
    found = select(AiAnalysis.version).where(AiAnalysis.call_id == call_id, AiAnalysis.processing_status == "completed")
    return session.scalar(found) or 0


def preview_cost(session: Session, reanalysis_id: UUID) -> float | None:
    """What one call of the preview costs in the mean, in US dollars, failed or not; None where none is done."""
    tried = or_(ReanalysisTask.result.is_not(None), ReanalysisTask.preview_cost > 0)
    mean = select(func.avg(ReanalysisTask.preview_cost))
    return session.scalar(mean.where(ReanalysisTask.reanalysis_id == reanalysis_id, tried))
