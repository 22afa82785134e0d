"""Run one stage of one call: claim its lease, work with no session open, record output and next stage at once."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from appliance import logs, metrics
from appliance.config import Settings
from appliance.errors import ApplianceError, EngineError, StageError, is_disk_full
from appliance.models import Call, Pipeline, User
from appliance.pipeline import plan
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.stage import Queue, Stage, StageContext
from appliance.pipeline.steps import LeaseLost, Steps
from appliance.store import db, events, nodes, pipelines

log = logs.get(__name__)

WORKER = f"{os.getpid()}:{uuid4().hex[:8]}"

LOOK_PAUSE_S = 0.5
"""Whether somebody waits is looked at no more often than this."""

PROGRESS_PAUSE_S = 0.3
"""Progress is told at most this often."""

RETRY_BASE_S = 2.0
RETRY_LIMIT_S = 300.0

OUTAGE_LIMIT_S = 30.0
"""A call that waits for something that is away looks again at least this often, unless it was asked not to."""


class Stopping(Exception):
    """The process is to stop: the stage ends now and is run again by whoever comes next."""


class MakingWay(Exception):
    """A slice of a long call is over and somebody waits whose turn is before it."""

    def __init__(self, turn_at: datetime) -> None:
        self.turn_at = turn_at


stopping = threading.Event()
"""Set when the process is asked to stop."""


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str
    retryable: bool
    wait_s: float | None = None
    """Something is away that the call is not to blame for: it waits so long, at least, as often as it takes."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A stage of a call was run, well or not."""

    call_id: UUID
    following: Queue | None = None
    """The queue of the stage after it; None where it failed, was given back or was the last."""


def new_owner(settings: Settings) -> str:
    """Whoever takes a lease: one run of this process."""
    where = nodes.lessee(settings.node_name) if settings.node_name else socket.gethostname() + ":"
    return f"{where}{WORKER}:{uuid4().hex[:8]}"


def may_claim(session: Session, settings: Settings) -> bool:
    """Whether this machine may take calls now, until the session's transaction ends."""
    return not settings.node_name or nodes.admitted(session)


def run_next(queue: Queue, equipment: Equipment) -> Ran | None:
    """Run a stage of `queue` for the call whose turn it is; None where none is due or the process stops."""
    lease_s = equipment.settings.lease_s
    owner = new_owner(equipment.settings)
    if stopping.is_set():
        return None
    with db.unit_of_work() as session:
        mine = [stage.name for stage in plan.STAGES if stage.queue == queue]
        claimed = pipelines.claim(session, mine, owner, lease_s) if may_claim(session, equipment.settings) else None
        if claimed is None:
            return None
        call_id, name = claimed
        facts = session.execute(
            select(Call.type, Call.audio_key, Call.manager_channel, User.name, Pipeline.spent_ms)
            .join(User, Call.manager_id == User.id)
            .join(Pipeline, Pipeline.call_id == Call.id)
            .where(Call.id == call_id)
        ).one()
        outputs = pipelines.outputs(session, call_id)
    stage = plan.stage_named(name)
    with logs.bind(call_id=str(call_id), stage=stage.name):
        try:
            with heartbeat(lambda session: pipelines.renew(session, call_id, owner, lease_s), lease_s) as check:
                between = _slice(call_id, mine, equipment.settings.speech_slice_s, check)
                steps = Steps(call_id, owner, facts.spent_ms, between)
                context = StageContext(
                    call_id,
                    facts.type,
                    facts.audio_key or "",
                    facts.name,
                    outputs,
                    equipment,
                    _progress(call_id, stage, check, resumed=facts.spent_ms > 0),
                    check,
                    facts.manager_channel,
                    steps.of,
                    between,
                    lambda: steps.elapsed_ms / 1000,
                )
                done = _run_and_record(stage, context, owner, steps)
        except LeaseLost:
            log.warning("stage_lease_lost")
            return Ran(call_id)
        except (Stopping, MakingWay) as why:
            _let_go(call_id, owner, steps, why)
            return Ran(call_id)
        except Exception as error:  # noqa: BLE001 - whatever a stage raises is recorded with its call
            _record_failure(stage, call_id, owner, failure_of(error), equipment)
            return Ran(call_id)
    following = plan.stage_after(stage.name)
    return Ran(call_id, following.queue if done and following else None)


def _run_and_record(stage: Stage, context: StageContext, owner: str, steps: Steps) -> bool:
    context.on_progress(0.0)
    output = context.outputs.get(stage.name) or stage.run(context)
    context.check()
    elapsed_ms = steps.elapsed_ms
    following = plan.stage_after(stage.name)
    with db.unit_of_work() as session:
        name = following.name if following else None
        if not pipelines.finish(session, context.call_id, owner, stage.name, name, output, elapsed_ms):
            raise LeaseLost
        stage.record(session, context, output)
        events.tell_progress(session, context.call_id, stage.name, 1.0)
    metrics.STAGE_SECONDS.labels(stage.name).observe(elapsed_ms / 1000)
    log.info("stage_completed", ms=elapsed_ms)
    return True


def _let_go(call_id: UUID, owner: str, steps: Steps, why: Stopping | MakingWay) -> None:
    """End the lease, with what was found so far written down."""
    with db.unit_of_work() as session:
        try:
            steps.save(session)
        except LeaseLost:
            log.warning("stage_lease_lost")
            return
        if isinstance(why, MakingWay):
            pipelines.make_way(session, call_id, owner, why.turn_at)
        else:
            pipelines.give_back(session, call_id, owner)
    log.info("stage_made_way" if isinstance(why, MakingWay) else "stage_given_back", ms=steps.elapsed_ms)


def _slice(call_id: UUID, stages: Sequence[str], slice_s: float, check: Callable[[], None]) -> Callable[[], None]:
    """Raises, once a slice is over, where somebody waits whom the call should make way for; and what `check` raises."""
    look_at = time.monotonic() + slice_s

    def between() -> None:
        nonlocal look_at
        check()
        if time.monotonic() >= look_at:
            with db.unit_of_work() as session:
                before = pipelines.first_before(session, call_id, stages)
            if before is not None:
                raise MakingWay(before)
            look_at = time.monotonic() + LOOK_PAUSE_S

    return between


@contextmanager
def heartbeat(renew: Callable[[Session], bool], lease_s: float) -> Iterator[Callable[[], None]]:
    """Renew a lease in the background; the yielded function raises where it was lost or the process stops.

    renew: says whether the lease still is ours.

    A database that is away for less than the lease is no loss; one that is away for longer is.
    """
    done, lost = threading.Event(), threading.Event()

    def beat() -> None:
        renewed = time.monotonic()
        while not done.wait(lease_s / 3):
            try:
                with db.unit_of_work() as session:
                    if not renew(session):
                        lost.set()
                        return
                renewed = time.monotonic()
            except Exception as error:  # noqa: BLE001 - the database may be away for a moment
                log.warning("lease_renewal_failed", error=type(error).__name__)
                if time.monotonic() - renewed > lease_s:
                    lost.set()
                    return

    def check() -> None:
        if lost.is_set():
            raise LeaseLost
        if stopping.is_set():
            raise Stopping

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield check
    finally:
        done.set()
        thread.join()


def _progress(call_id: UUID, stage: Stage, check: Callable[[], None], *, resumed: bool) -> Callable[[float], None]:
    # What was told before an interruption is not told again from the beginning.
    told = time.monotonic() if resumed else 0.0

    def tell(share: float) -> None:
        nonlocal told
        check()
        if time.monotonic() - told >= PROGRESS_PAUSE_S:
            told = time.monotonic()
            with db.unit_of_work() as session:
                events.tell_progress(session, call_id, stage.name, share)

    return tell


def failure_of(error: Exception) -> Failure:
    """What an exception means for the call it came up with; what nobody expected is logged."""
    if isinstance(error, EngineError):
        return Failure(error.code, str(error), error.retryable, error.wait_s)
    if isinstance(error, StageError):
        return Failure(error.code, str(error), error.retryable)
    if isinstance(error, ApplianceError):
        return Failure(error.code, str(error), error.status >= 500, 0 if error.status == 503 else None)
    if isinstance(error, DBAPIError) and (error.connection_invalidated or _is_short_of_resources(error)):
        return Failure("database_unavailable", type(error).__name__, retryable=True, wait_s=0)
    if is_disk_full(error):
        return Failure("disk_full", "the disk is full", retryable=True, wait_s=0)
    log.error("stage_crashed", exc_info=error)
    return Failure("internal_error", type(error).__name__, retryable=True)


def _is_short_of_resources(error: DBAPIError) -> bool:
    """PostgreSQL has no disk, no memory or no connection left: its class 53."""
    return str(getattr(error.orig, "sqlstate", None) or "").startswith("53")


def _record_failure(stage: Stage, call_id: UUID, owner: str, failure: Failure, equipment: Equipment) -> None:
    with db.unit_of_work() as session:
        row = session.execute(
            select(Pipeline.attempts, Pipeline.waits).where(Pipeline.call_id == call_id)
        ).one_or_none()
        attempts, waits = row.tuple() if row else (0, 0)
        blameless = failure.wait_s is not None
        again = blameless or (failure.retryable and attempts + 1 < equipment.settings.stage_attempts)
        if again:
            delay_s = (
                delay_after(waits, OUTAGE_LIMIT_S, failure.wait_s)
                if blameless
                else delay_after(attempts, RETRY_LIMIT_S)
            )
            pipelines.postpone(session, call_id, owner, failure.code, failure.message, delay_s, blameless=blameless)
        given_up = not again and pipelines.fail(session, call_id, failure.code, failure.message, owner=owner)
    if given_up:
        equipment.forget(call_id)
    metrics.STAGE_FAILURES.labels(stage.name, failure.code, str(again).lower()).inc()
    log.warning("stage_failed", code=failure.code, retried=again, attempt=attempts + 1, waits=waits, of=stage.name)


def delay_after(before: int, limit_s: float, asked_s: float | None = None) -> float:
    """A jittered back-off after so many failures; what was asked for and a little more where that is longer."""
    back_off_s = min(limit_s, RETRY_BASE_S * 2.0 ** min(before, 20)) * random.uniform(0.75, 1.25)  # noqa: S311
    return max(back_off_s, (asked_s or 0.0) * random.uniform(1.0, 1.1))  # noqa: S311
