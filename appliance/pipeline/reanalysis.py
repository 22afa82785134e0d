"""Re-analysis: one call of an order is analysed anew, by the transcript as it stands, and gets a new version."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache

from appliance import logs, metrics
from appliance.config import settings
from appliance.engines.language import AnalysisRecord, Analyst, Conversation
from appliance.errors import ApplianceError, EngineError
from appliance.pipeline import analyse, runner
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.steps import LeaseLost
from appliance.store import analyses, calls, db, pipelines, reanalyses
from appliance.store.reanalyses import Task

log = logs.get(__name__)

BUSY_S = 15.0
"""A call that is just being processed is looked at again after so long."""

TOLD_EACH = 50
"""Of so many calls everybody is told that they are processed. Of a whole archive that would be a flood: then clients
hear only of the calls that had no analysis before.
"""


@lru_cache
def places() -> threading.Semaphore:
    """Half of a process's workers: the others are free for fresh calls, however slow the provider is."""
    return threading.Semaphore(max(1, settings().analysis_workers // 2))


def run_next(equipment: Equipment) -> bool:
    """Analyse the next call anew; False where none is due, or as many as may be are at work."""
    if runner.stopping.is_set() or not places().acquire(blocking=False):
        return False
    try:
        with db.unit_of_work() as session:
            task = None
            if runner.may_claim(session, equipment.settings):
                task = reanalyses.claim(session, runner.new_owner(equipment.settings), equipment.settings.lease_s)
        if task is None:
            return False
        with logs.bind(call_id=str(task.call_id), reanalysis_id=str(task.reanalysis_id)):
            _run(task, equipment)
        with db.unit_of_work() as session:
            reanalyses.close(session)
        return True
    finally:
        places().release()


def _run(task: Task, equipment: Equipment) -> None:
    lease_s = equipment.settings.lease_s
    try:
        with runner.heartbeat(lambda session: reanalyses.renew(session, task, lease_s), lease_s) as check:
            if not _put_off(task):
                _analyse(task, equipment, check)
    except LeaseLost:
        log.warning("reanalysis_lease_lost")
    except runner.Stopping:
        with db.unit_of_work() as session:
            reanalyses.settle(session, task, "waiting")
    except Exception as error:  # noqa: BLE001 - whatever comes up is recorded with its call
        _record_failure(task, runner.failure_of(error), equipment)


def _put_off(task: Task) -> bool:
    """Whether the call's turn is later, or never: nothing is asked of the provider then."""
    with db.unit_of_work() as session:
        held = calls.held(session, [task.call_id])
        if pipelines.is_open(session, task.call_id):
            later = pipelines.seconds(BUSY_S)
            return reanalyses.settle(session, task, "waiting", not_before=reanalyses.now() + later, error_code="busy")
        if held and not task.preview:
            return reanalyses.settle(session, task, "skipped", error_code="call_held")
    return False


def _analyse(task: Task, equipment: Equipment, check: Callable[[], None]) -> None:
    began = time.monotonic()
    with db.unit_of_work() as session:
        conversation = analyse.stored_conversation(session, task.call_id)
        old_version = reanalyses.current_version(session, task.call_id)
    try:
        chosen = equipment.providers.named(task.profile, task.by)
        analyst = equipment.analyst(
            chosen, call_id=task.call_id, purpose="reanalysis", pause=lambda s: analyse.pause(s, check)
        )
        record = _paid(task, analyst, conversation, equipment.settings.site_topics)
    except (EngineError, ApplianceError) as error:
        metrics.LLM_ERRORS.labels(task.profile, error.code).inc()
        if isinstance(error, ApplianceError):
            raise EngineError(error.code, str(error), retryable=True, wait_s=analyse.REFUSED_WAIT_S) from None
        raise
    elapsed_ms = round((time.monotonic() - began) * 1000)
    analyse.measure(chosen.profile, record, elapsed_ms)
    check()
    if not _record(task, record, elapsed_ms, old_version):
        raise LeaseLost


def _paid(task: Task, analyst: Analyst, conversation: Conversation, topics: Sequence[str]) -> AnalysisRecord:
    """Analyse; what that took is the order's cost whatever comes of it, even where the lease is lost."""
    try:
        return analyst.analyse(conversation, topics=topics)
    finally:
        if cost := analyst.used.cost:
            with db.unit_of_work() as session:
                reanalyses.charge(session, task, cost)


def _record(task: Task, record: AnalysisRecord, elapsed_ms: int, old_version: int) -> bool:
    """Write what was found; False where the lease was lost meanwhile."""
    with db.unit_of_work() as session:
        held = calls.held(session, [task.call_id])
        found = analyse.judged(record, analyses.places(session, task.call_id), elapsed_ms)
        reanalyses.go_on(session, task.reanalysis_id)
        if task.preview:
            kept = {"result": found, "old_version": old_version}
            return reanalyses.settle(session, task, "done", error_code=None, **kept)
        if held:
            return reanalyses.settle(session, task, "skipped", error_code="call_held")
        is_overtaken = reanalyses.current_version(session, task.call_id) != old_version
        if is_overtaken or pipelines.is_open(session, task.call_id):  # its transcript was, or is being, made anew
            later = reanalyses.now() + pipelines.seconds(BUSY_S)
            return reanalyses.settle(session, task, "waiting", not_before=later, error_code="busy")
        if not reanalyses.settle(session, task, "done", error_code=None):
            return False
        analyses.keep(session, task.call_id, found, "reanalysed", reanalysis_id=task.reanalysis_id)
        mended = pipelines.mend(session, task.call_id)
        if mended or not old_version or reanalyses.size(session, task.reanalysis_id) <= TOLD_EACH:
            pipelines.tell_processed(session, task.call_id)
    return True


def _record_failure(task: Task, failure: runner.Failure, equipment: Equipment) -> None:
    again = failure.retryable and task.attempts + 1 < equipment.settings.stage_attempts
    with db.unit_of_work() as session:
        if failure.wait_s is not None:
            waits = reanalyses.waits_of(session, task.reanalysis_id)
            delay_s = runner.delay_after(waits, runner.OUTAGE_LIMIT_S, failure.wait_s)
            reanalyses.pause(session, task.reanalysis_id, failure.code, failure.message, delay_s)
            reanalyses.settle(session, task, "waiting")
        elif again:
            later = reanalyses.now() + pipelines.seconds(runner.delay_after(task.attempts, runner.RETRY_LIMIT_S))
            tried = {"attempts": task.attempts + 1, "not_before": later, "error_code": failure.code}
            reanalyses.settle(session, task, "waiting", **tried)
        else:
            reanalyses.settle(session, task, "failed", error_code=failure.code)
    log.warning("reanalysis_failed", code=failure.code, retried=again or failure.wait_s is not None)
