"""Calls of the past analysed anew: ordered, looked at, started after a preview, cancelled by admins."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from sqlalchemy.orm import Session

from appliance import logs
from appliance.config import settings
from appliance.engines.language.profiles import profile_named
from appliance.errors import ApplianceError
from appliance.models import AnalysisVersion, Reanalysis
from appliance.models.analyses import Judged
from appliance.pipeline.providers import chosen, known
from appliance.services import differences, language_models
from appliance.services.differences import Difference, Field
from appliance.store import analyses, audit, db, reanalyses
from appliance.store.call_filters import CallFilter
from appliance.store.visibility import Viewer
from appliance.tasks import queue

log = logs.get(__name__)

OPERATOR = Viewer(UUID(int=0), "operator", "admin", UUID(int=0))
"""Whoever is at the command line."""


class ReanalysisNotFound(ApplianceError):
    code = "reanalysis_not_found"
    status = 404
    ru = "Повторный анализ не найден"
    en = "The re-analysis was not found"


class ReanalysisUnderWay(ApplianceError):
    code = "reanalysis_under_way"
    status = 409
    ru = "Повторный анализ уже идёт: дождитесь его конца или отмените его"
    en = "Calls are being analysed anew already: wait for the end of that, or cancel it"


class ReanalysisHasNoPreview(ApplianceError):
    code = "reanalysis_not_previewed"
    status = 409
    ru = "Запустить можно только повторный анализ с готовым предпросмотром"
    en = "Only a re-analysis whose preview is done can be started"


class ReanalysisOver(ApplianceError):
    code = "reanalysis_over"
    status = 409
    ru = "Повторный анализ уже закончен"
    en = "The re-analysis has ended already"


class CallsNotChosen(ApplianceError):
    code = "calls_not_chosen"
    status = 422
    ru = "Назовите звонки (calls), условия (filters) или и то и другое; либо весь архив (archive), без них"
    en = "Name calls, filters or both; or the whole archive, without them"


class NothingToReanalyse(ApplianceError):
    code = "nothing_to_reanalyse"
    status = 422
    ru = "Под эти условия не подходит ни один обработанный звонок с расшифровкой"
    en = "No processed call with a transcript meets these conditions"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an order is. While it is a preview, total, done and the rest are those of its sample.

    calls: how many the order is about in all. cost: US dollars so far, valid analyses or not.
    expected_cost: of all calls, by the mean of the preview's; None where there is nothing to go by.
    """

    order: Reanalysis
    calls: int
    total: int
    done: int
    failed: int
    skipped: int
    cost: float
    expected_cost: float | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One call of a preview: its analysis as it was, and what the profile makes of it; None where there is none."""

    call_id: UUID
    date: datetime
    manager_name: str
    state: str
    error_code: str | None
    old: Judged | None
    new: Judged | None
    changed: list[Field]


@dataclass(frozen=True, slots=True)
class Previewed:
    progress: Progress
    calls: list[Compared]
    differences: list[Difference]


def order(by: UUID | None, wanted: CallFilter, profile: str | None, sample: int) -> Progress:
    """Analyse chosen calls anew in the background, by the active profile where none is named.

    sample: only so many of them, by chance, and apart: `start` goes on with all of them; 0: all at once.
    by: the admin; None: the operator at the command line.
    Raises UnknownProvider, ProfileUnusable, CloudRefused, MaskingRequired, NotLocal, ReanalysisUnderWay,
    NothingToReanalyse.
    """
    with db.unit_of_work() as session:
        reanalyses.one_order_at_a_time(session)
        if reanalyses.is_open(session):
            raise ReanalysisUnderWay
        name = profile or chosen(settings(), session).profile.name
        language_models.check(profile_named(known(settings(), session, [name]), name))
        filters = [field.name for field in fields(wanted) if getattr(wanted, field.name) not in (None, "")]
        made = Reanalysis(
            profile=name,
            state="previewing" if sample else "running",
            filters=filters,
            total=0,
            sample=sample,
            started_by_id=by,
            started_at=None if sample else datetime.now(UTC),
        )
        if not reanalyses.order(session, made, OPERATOR, wanted, settings().site_timezone):
            raise NothingToReanalyse
        _note(session, "reanalysis_previewed" if sample else "reanalysis_started", by, made, filters=filters)
        progress = _progress(session, made)
    _ring(progress)
    return progress


def start(by: UUID | None, reanalysis_id: UUID) -> Progress:
    """After the preview, analyse all the calls. Raises ReanalysisNotFound, ReanalysisUnderWay, ReanalysisHasNoPreview,
    and what `order` raises of the profile.
    """
    with db.unit_of_work() as session:
        reanalyses.one_order_at_a_time(session)
        made = _found(session, reanalysis_id)
        if made.state != "previewed":
            raise ReanalysisHasNoPreview
        if reanalyses.is_open(session):
            raise ReanalysisUnderWay
        language_models.check(profile_named(known(settings(), session, [made.profile]), made.profile))
        if not reanalyses.start(session, reanalysis_id):
            raise ReanalysisHasNoPreview
        session.refresh(made)
        _note(session, "reanalysis_started", by, made)
        progress = _progress(session, made)
    _ring(progress)
    return progress


def cancel(by: UUID | None, reanalysis_id: UUID) -> Progress:
    """Begin no further call; what is done stays. Raises ReanalysisNotFound, ReanalysisOver."""
    with db.unit_of_work() as session:
        made = _found(session, reanalysis_id)
        if not reanalyses.cancel(session, reanalysis_id):
            raise ReanalysisOver
        session.refresh(made)
        _note(session, "reanalysis_cancelled", by, made)
        return _progress(session, made)


def show(reanalysis_id: UUID) -> Progress:
    """How far an order is. Raises ReanalysisNotFound."""
    with db.unit_of_work() as session:
        return _progress(session, _found(session, reanalysis_id))


def newest(limit: int) -> list[Progress]:
    """The last orders, the newest first."""
    with db.unit_of_work() as session:
        return [_progress(session, made) for made in reanalyses.newest(session, limit)]


def preview(by: UUID | None, reanalysis_id: UUID) -> Previewed:
    """What the preview has found so far, beside what the calls had.

    Raises ReanalysisNotFound, ReanalysisHasNoPreview.
    """
    with db.unit_of_work() as session:
        made = _found(session, reanalysis_id)
        if not made.sample:
            raise ReanalysisHasNoPreview
        rows = reanalyses.sampled(session, reanalysis_id)
        olds = analyses.numbered(session, {row.ReanalysisTask.call_id: row.ReanalysisTask.old_version for row in rows})
        calls = [_compared(row, olds.get(row.ReanalysisTask.call_id)) for row in rows]
        _note(session, "reanalysis_preview_read", by, made)
        progress = _progress(session, made)
    both = [(call.old, call.new) for call in calls if call.old is not None and call.new is not None]
    return Previewed(progress, calls, differences.of_calls(both))


def _compared(row: Any, old: AnalysisVersion | None) -> Compared:
    task = row.ReanalysisTask
    new = cast("Judged", SimpleNamespace(**task.result)) if task.result else None
    changed = differences.of_call(old, new) if old is not None and new is not None else []
    return Compared(task.call_id, row.date, row.manager_name, task.state, task.error_code, old, new, changed)


def _found(session: Session, reanalysis_id: UUID) -> Reanalysis:
    made = reanalyses.get(session, reanalysis_id)
    if made is None:
        raise ReanalysisNotFound
    return made


def _progress(session: Session, made: Reanalysis) -> Progress:
    found = reanalyses.counts(session, made)
    total = made.sample if reanalyses.of_sample(made) else made.total
    there = sum(int(count) for state, count in found.items() if state != "cost")
    per_call = reanalyses.preview_cost(session, made.id)
    return Progress(
        order=made,
        calls=made.total,
        total=total,
        done=int(found.get("done", 0)),
        failed=int(found.get("failed", 0)),
        skipped=int(found.get("skipped", 0)) + total - there,
        cost=found["cost"],
        expected_cost=None if per_call is None else per_call * made.total,
    )


def _note(session: Session, action: str, by: UUID | None, made: Reanalysis, **more: audit.Detail) -> None:
    details: dict[str, audit.Detail] = {"reanalysis": str(made.id), "profile": made.profile, "calls": made.total}
    audit.append(session, action, user_id=by, details={**details, "sample": made.sample, **more})
    log.info(action, reanalysis_id=str(made.id), profile=made.profile, calls=made.total, sample=made.sample)


def _ring(progress: Progress) -> None:
    queue.ring_for_backlog(min(progress.total, settings().analysis_workers))
