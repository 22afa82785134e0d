"""/api/admin/reanalysis: calls of the past analysed anew, with a preview first; by admins."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from appliance.api.analysis_schemas import AnalysisBrief
from appliance.api.deps import ViewerDep
from appliance.api.language_models import Name
from appliance.api.schemas import ExportFilters, Failure
from appliance.api.shapes import Moment, Shape
from appliance.models.analyses import Judged
from appliance.models.reanalyses import ReanalysisState, TaskState
from appliance.services import differences, reanalysis, rights
from appliance.store.call_filters import CallFilter

router = APIRouter(prefix="/api/admin/reanalysis", tags=["administration"])


class ReanalysisIn(BaseModel):
    """Which calls: some by their ids, some by the list's filters, both together, or the whole archive by its name."""

    model_config = ConfigDict(extra="forbid")

    calls: list[UUID] | None = Field(None, min_length=1, max_length=10_000, description="These calls only")
    filters: ExportFilters | None = Field(None, description="As in the list of calls")
    archive: bool = Field(False, description="All calls; must be said, where neither ids nor filters are given")
    profile: Name | None = Field(None, description="Who analyses; the active profile where it is left out")
    preview: int | None = Field(
        None, ge=1, le=100, description="Analyse only so many of them, by chance, and keep what is found apart"
    )

    def chosen(self) -> CallFilter:
        """As queries know it. Raises CallsNotChosen: an order that says nothing must not be about everything."""
        filters = self.filters or ExportFilters()
        if (self.calls is not None or filters != ExportFilters()) == self.archive:
            raise reanalysis.CallsNotChosen
        return filters.chosen(self.calls)


SAID = {"date_from": "dateFrom", "date_to": "dateTo", "ids": "calls"}
"""What a filter is called here, where queries call it otherwise."""


class ReanalysisOut(Shape):
    """An order and how far it is. Until it is started, total and what follows are of the preview's calls."""

    id: UUID
    state: ReanalysisState = Field(
        description="previewing, then previewed until an admin starts it; running, then completed; or cancelled"
    )
    profile: str
    filters: list[str] = Field(description="Names of the filters that chose the calls; their values are not kept")
    calls: int = Field(ge=0, description="Calls that were chosen")
    sample: int = Field(ge=0, description="Calls of the preview; 0: there is none")
    total: int = Field(ge=0)
    done: int = Field(ge=0)
    failed: int = Field(ge=0, description="No valid analysis came of it: these calls keep the one they have")
    skipped: int = Field(ge=0, description="Under legal hold, or deleted since")
    cost: float = Field(ge=0, description="US dollars so far, preview included")
    expected_cost: float | None = Field(description="US dollars for all calls, by what those of the preview cost")
    waits: Failure | None = Field(description="Why no call is begun now, such as a provider that is away")
    started_by: UUID | None = Field(description="The admin; null: the command line")
    created_at: Moment
    started_at: Moment | None = Field(description="When it began with all the calls")
    finished_at: Moment | None

    @classmethod
    def of(cls, progress: reanalysis.Progress) -> ReanalysisOut:
        order = progress.order
        return cls(
            id=order.id,
            state=order.state,
            profile=order.profile,
            filters=[SAID.get(name, name) for name in order.filters],
            calls=progress.calls,
            sample=order.sample,
            total=progress.total,
            done=progress.done,
            failed=progress.failed,
            skipped=progress.skipped,
            cost=round(progress.cost, 6),
            expected_cost=None if progress.expected_cost is None else round(progress.expected_cost, 6),
            waits=Failure(code=order.error_code, message=order.error or "") if order.error_code else None,
            started_by=order.started_by_id,
            created_at=order.created_at,
            started_at=order.started_at,
            finished_at=order.finished_at,
        )


class Reanalyses(Shape):
    reanalyses: list[ReanalysisOut]


class SideOut(AnalysisBrief):
    """An analysis, and who made it with how much effort."""

    provider: str | None
    model: str | None
    prompt_version: str | None
    prompt_tokens: int
    completion_tokens: int
    cost: float = Field(description="US dollars")
    elapsed_ms: int

    @classmethod
    def side(cls, made: Judged) -> SideOut:
        return cls(
            **cls.fields_of(made, "completed"),
            provider=made.provider,
            model=made.model,
            prompt_version=made.prompt_version,
            prompt_tokens=made.prompt_tokens,
            completion_tokens=made.completion_tokens,
            cost=made.cost,
            elapsed_ms=made.elapsed_ms,
        )


class ComparedOut(Shape):
    call_id: UUID
    date: Moment
    manager: str
    state: TaskState
    error: str | None = Field(description="Code of why there is no new analysis, or none yet")
    old: SideOut | None = Field(description="The call's own analysis; null: it has none")
    new: SideOut | None
    changed: list[differences.Field] = Field(description="In what they differ")

    @classmethod
    def of(cls, made: reanalysis.Compared) -> ComparedOut:
        return cls(
            call_id=made.call_id,
            date=made.date,
            manager=made.manager_name,
            state=made.state,
            error=made.error_code,
            old=SideOut.side(made.old) if made.old is not None else None,
            new=SideOut.side(made.new) if made.new is not None else None,
            changed=made.changed,
        )


class DifferenceOut(Shape):
    """One field over the calls of the preview that have both analyses."""

    field: differences.Field
    compared: int = Field(ge=0, description="Calls with both analyses")
    changed: int = Field(ge=0, description="In so many of them it differs")
    agreement: float | None = Field(
        description="0-1: of labels the share that is the same, of lists what is in both among what is in either"
    )
    old_mean: float | None = Field(description="Of the score, of the length of a list, of the summary's words")
    new_mean: float | None

    @classmethod
    def of(cls, row: differences.Difference) -> DifferenceOut:
        return cls(
            field=row.field,
            compared=row.compared,
            changed=row.changed,
            agreement=row.agreement,
            old_mean=row.old_mean,
            new_mean=row.new_mean,
        )


class PreviewOut(Shape):
    order: ReanalysisOut
    calls: list[ComparedOut] = Field(description="Old and new side by side")
    differences: list[DifferenceOut]

    @classmethod
    def of(cls, made: reanalysis.Previewed) -> PreviewOut:
        return cls(
            order=ReanalysisOut.of(made.progress),
            calls=[ComparedOut.of(call) for call in made.calls],
            differences=[DifferenceOut.of(row) for row in made.differences],
        )


@router.post("", status_code=202)
def order(viewer: ViewerDep, body: ReanalysisIn) -> ReanalysisOut:
    """Analyse calls anew, in the background and behind fresh calls; with `preview`, some of them first, and apart.

    Each call gets a new version of its analysis; those before stay. One order is open at a time.
    """
    by = rights.admin_only(viewer)
    return ReanalysisOut.of(reanalysis.order(by, body.chosen(), body.profile, body.preview or 0))


@router.get("")
def newest(viewer: ViewerDep, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Reanalyses:
    """The last orders, the newest first. They are kept for 90 days after their end."""
    rights.admin_only(viewer)
    return Reanalyses(reanalyses=[ReanalysisOut.of(progress) for progress in reanalysis.newest(limit)])


@router.get("/{reanalysis_id}")
def read(reanalysis_id: UUID, viewer: ViewerDep) -> ReanalysisOut:
    """How far an order is, what it has cost, and why it waits, if it does."""
    rights.admin_only(viewer)
    return ReanalysisOut.of(reanalysis.show(reanalysis_id))


@router.get("/{reanalysis_id}/preview")
def read_preview(reanalysis_id: UUID, viewer: ViewerDep) -> PreviewOut:
    """What the preview found beside what its calls had, and a table of the differences."""
    return PreviewOut.of(reanalysis.preview(rights.admin_only(viewer), reanalysis_id))


@router.post("/{reanalysis_id}/start", status_code=202)
def start(reanalysis_id: UUID, viewer: ViewerDep) -> ReanalysisOut:
    """After its preview, go on with all the calls that were chosen, by the same profile."""
    return ReanalysisOut.of(reanalysis.start(rights.admin_only(viewer), reanalysis_id))


@router.post("/{reanalysis_id}/cancel")
def cancel(reanalysis_id: UUID, viewer: ViewerDep) -> ReanalysisOut:
    """Begin no further call. What is done stays, and a call that is being analysed is finished."""
    return ReanalysisOut.of(reanalysis.cancel(rights.admin_only(viewer), reanalysis_id))
