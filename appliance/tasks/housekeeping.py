"""What must happen although nobody asks: dead workers' calls, bells that were lost, objects that are to vanish."""

from __future__ import annotations

import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import Text, cast, delete, func, select
from sqlalchemy.orm import Session

from appliance import logs
from appliance.config import settings
from appliance.models import Export, LoginFailure, ObjectDeletion, Pipeline, RefreshToken, RevokedToken
from appliance.pipeline import plan
from appliance.pipeline.analyse import Analyse
from appliance.pipeline.publish import Publish
from appliance.pipeline.stage import Queue
from appliance.store import awaited, db, deletions, pipelines, reanalyses, tallies
from appliance.tasks import queue, retention

log = logs.get(__name__)

BELL_FORGOTTEN_S = 3600.0
"""A due call is rung for again after so long although the queue seems to hold a bell for each."""

SCRATCH_KEPT_S = 24 * 3600.0
"""Scratch files of no call are those of `appliance process`, or of a call that was deleted."""

TOLD_KEPT_S, FAILED_KEPT_S = 2 * 24 * 3600.0, 30 * 24 * 3600.0
"""What exchanges told of calls is kept while a recording may come; what could not be fetched, for whoever asks why."""

ORDERS_KEPT = timedelta(days=90)
"""So long after its end a re-analysis, with what its preview found, can be looked at."""


def keep_house(stop: threading.Event) -> None:
    """Do a round now and then until `stop` is set. One process in the whole installation works, the others wait."""
    zone, look_at = "", 0.0
    while not stop.is_set():
        try:
            zone = zone or keep_zone()
            round_once()
            if time.monotonic() >= look_at and not retention.expire():
                look_at = time.monotonic() + retention.PAUSE_S
        except Exception as error:  # noqa: BLE001 - the database or the store may be away for a while
            log.warning("housekeeping_failed", error=type(error).__name__)
        stop.wait(settings().housekeeping_interval_s)


def keep_zone() -> str:
    """Let the tallies' days be the site's, whose time zone may have been changed since the last start."""
    zone = settings().site_timezone
    with db.unit_of_work() as session:
        if tallies.keep_zone(session, zone):
            log.info("calls_counted_anew", zone=zone)
    return zone


def round_once() -> None:
    """One round."""
    with db.unit_of_work() as session:
        if not pipelines.lock_housekeeping(session):
            return
        bells = recover(session)
        tallies.merge(session)
        reanalyses.expire(session, settings().worker_deaths)
    for call_id, name in bells:
        queue.ring(call_id, name)
    see_to_reanalyses()
    delete_objects()
    forget_expired()
    clean_scratch()


def recover(session: Session) -> list[tuple[UUID, Queue]]:
    """Calls whose worker died wait again, or are failed as poison; returns whom to ring for."""
    for call_id, deaths, stage in pipelines.expire(session):
        log.warning("stage_lease_expired", call_id=str(call_id), stage=stage, deaths=deaths)
        if deaths >= settings().worker_deaths:
            pipelines.fail(session, call_id, "poison", f"{deaths} workers died in stage {stage}", owner=None)
    pipelines.redo_stood_in(session, Analyse.name, Publish.name)
    rung = sum(queue.queue(name).pending_count() for name in ("speech", "analysis"))
    lost_after_s = settings().housekeeping_interval_s if rung < pipelines.count_due(session) else BELL_FORGOTTEN_S
    return [(call_id, plan.stage_named(stage).queue) for call_id, stage in pipelines.unrung(session, lost_after_s)]


def see_to_reanalyses() -> None:
    """Close those that are done, ring for those that are not."""
    with db.unit_of_work() as session:
        reanalyses.close(session)
        due = reanalyses.due(session, settings().analysis_workers)
    queue.ring_for_backlog(due)


def delete_objects(limit: int = 500) -> None:
    """Delete what is due to vanish from the object store; what cannot be deleted now stays due."""
    with db.unit_of_work() as session:
        due = session.scalars(
            select(ObjectDeletion.key).where(ObjectDeletion.not_before <= func.now()).limit(limit)
        ).all()
    for key in due:
        deletions.carry_out(key)


def forget_expired() -> None:
    """Expired exports, tokens and failed log-ins."""
    with db.unit_of_work() as session:
        keys = session.scalars(delete(Export).where(Export.expires_at < func.now()).returning(Export.object_key)).all()
        deletions.mark(session, keys)
        if lost := awaited.forget(session, TOLD_KEPT_S, FAILED_KEPT_S):
            log.warning("recordings_of_unknown_calls", recordings=lost)

        reanalyses.forget(session, datetime.now(UTC) - ORDERS_KEPT)
        session.execute(delete(RefreshToken).where(RefreshToken.expires_at < func.now()))
        session.execute(delete(RevokedToken).where(RevokedToken.expires_at < func.now()))
        session.execute(delete(LoginFailure).where(LoginFailure.last_at < func.now() - pipelines.seconds(24 * 3600)))


def clean_scratch() -> None:
    """Remove what workers that died or lost their calls left of calls that ended; what nobody knows, after a day."""
    folders = {folder.name: folder for folder in (settings().data_dir / "scratch").glob("*")}
    if not folders:
        return
    with db.unit_of_work() as session:
        query = select(Pipeline.call_id, Pipeline.state).where(cast(Pipeline.call_id, Text).in_(folders))
        states = {str(row.call_id): row.state for row in session.execute(query)}
    for name, folder in folders.items():
        state = states.get(name)
        if state in {"completed", "failed"} or (state is None and _is_forgotten(folder)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_forgotten(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > SCRATCH_KEPT_S
    except FileNotFoundError:  # its worker has removed it meanwhile
        return False
