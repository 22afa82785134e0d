"""/api/calls: upload, read."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Header, Query, UploadFile

from appliance.api.analysis_schemas import AnalysisOut, AnalysisVersionOut, AnalysisVersions
from appliance.api.deps import BaseUrl, Language, ViewerDep
from appliance.api.schemas import (
    BatchDeleteIn,
    BatchDeleteOut,
    CallBrief,
    CallListQuery,
    CallOut,
    CallPage,
    CorrectionIn,
    ExportIn,
    ExportOut,
    Message,
    UploadOut,
)
from appliance.engines.roles import Channel
from appliance.models.calls import CallType
from appliance.services import calls, exports, failures, holds

router = APIRouter(prefix="/api/calls", tags=["calls"])

DELETED = {"ru": "Звонок успешно удален", "en": "The call was deleted"}
DELETED_MANY = {"ru": "Звонки успешно удалены", "en": "The calls were deleted"}
RESTARTED = {"ru": "Обработка звонка начата заново", "en": "Processing has begun anew"}
RECEIVED = {"ru": "Файл успешно загружен, начата обработка", "en": "The file was uploaded, processing has begun"}


@router.post("", status_code=200)
def upload(
    viewer: ViewerDep,
    language: Language,
    audio: UploadFile,
    type: Annotated[CallType, Form()],  # noqa: A002 - the contract's name
    managerName: Annotated[str, Form(min_length=1, max_length=200)],  # noqa: N803 - the contract's name
    clientName: Annotated[str | None, Form(max_length=200)] = None,  # noqa: N803 - the contract's name
    phoneNumber: Annotated[str | None, Form(max_length=40)] = None,  # noqa: N803 - the contract's name
    when: Annotated[
        datetime | None, Form(alias="date", description="When the call took place; now where it is left out")
    ] = None,
    manager_channel: Annotated[
        Channel | None, Form(description="The manager's channel of a stereo recording, where it is known")
    ] = None,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> UploadOut:
    """Upload a recording: wav, mp3 or m4a, up to 100 MB and 60 minutes. The answer comes before it is processed."""
    if not managerName.strip():
        raise failures.InvalidField(field="managerName")
    audio.file.rollover()  # type: ignore[attr-defined]  # out of memory, however small: the probe wants a file
    call_id = calls.receive(
        viewer,
        calls.Upload(
            file=audio.file,
            # The upload's temporary file has no name: this is how a library that wants a path finds it.
            path=Path(f"/proc/self/fd/{audio.file.fileno()}"),
            direction=type,
            manager_name=managerName,
            client_name=clientName,
            phone=phoneNumber,
            date=when.astimezone() if when else None,
            idempotency_key=idempotency_key,
            manager_channel=manager_channel,
        ),
    )
    return UploadOut(id=call_id, message=RECEIVED[language])


@router.get("", response_model_exclude_none=True)
def browse(viewer: ViewerDep, base_url: BaseUrl, wanted: Annotated[CallListQuery, Query()]) -> CallPage:
    """A page of the calls that the viewer may see."""
    found, total = calls.browse(viewer, wanted.chosen(), wanted.sort, wanted.limit, wanted.offset)
    return CallPage(
        calls=[CallBrief.brief(call, base_url, viewer.id) for call in found],
        total=total,
        has_next=wanted.offset + len(found) < total,
        has_prev=wanted.offset > 0,
    )


@router.post("/export")
def export(viewer: ViewerDep, base_url: BaseUrl, language: Language, body: ExportIn) -> ExportOut:
    """Write calls, chosen by ids, by the list's filters or by both, into a csv or xlsx file to download."""
    made = exports.make(viewer, body.format, body.filters.chosen(body.calls), language)
    return ExportOut(download_url=base_url + made.link, expires_at=made.expires_at)


@router.post("/batch-delete")
def batch_delete(viewer: ViewerDep, language: Language, body: BatchDeleteIn) -> BatchDeleteOut:
    """Delete several calls; those that do not exist or belong to others are not counted. 409 where one is held."""
    count = calls.delete_calls(viewer, body.ids)
    return BatchDeleteOut(deleted_count=count, message=DELETED_MANY[language])


@router.get("/{call_id}", response_model_exclude_none=True)
def read(call_id: UUID, viewer: ViewerDep, base_url: BaseUrl) -> CallOut:
    """One call with its transcript and analysis."""
    return CallOut.of(calls.show(viewer, call_id), base_url, viewer.id)


@router.get("/{call_id}/ai-analysis", response_model_exclude_none=True)
def read_analysis(call_id: UUID, viewer: ViewerDep) -> AnalysisOut:
    """One call's analysis; `processing_status` says whether it is there yet."""
    return AnalysisOut.of(calls.show_analysis(viewer, call_id))


@router.get("/{call_id}/ai-analysis/versions", response_model_exclude_none=True)
def read_analysis_versions(call_id: UUID, viewer: ViewerDep) -> AnalysisVersions:
    """Every analysis that was made of a call, the newest first; the call shows the one that is current."""
    number, found = calls.analysis_versions(viewer, call_id)
    return AnalysisVersions(versions=[AnalysisVersionOut.version_of(made, current=number) for made in found])


@router.patch("/{call_id}", response_model_exclude_none=True)
def correct(call_id: UUID, viewer: ViewerDep, base_url: BaseUrl, body: CorrectionIn) -> CallOut:
    """Correct the client's name, the direction or the manager."""
    correction = calls.Correction(body.clientName, body.type, body.managerName)
    return CallOut.of(calls.correct(viewer, call_id, correction), base_url, viewer.id)


@router.post("/{call_id}/swap-speakers", response_model_exclude_none=True)
def swap_speakers(call_id: UUID, viewer: ViewerDep, base_url: BaseUrl) -> CallOut:
    """Client and manager were taken for each other: exchange A and B.

    The call is analysed anew in the background, of the sides as they are then; until that is done, which
    `call_processed` tells, it has the analysis that it had, and keeps it where that fails. Not under legal hold, nor
    where processing had failed: `reprocess` does it then. The exchange stays when the call is processed anew.
    """
    return CallOut.of(calls.swap_speakers(viewer, call_id), base_url, viewer.id)


@router.post("/{call_id}/reprocess", status_code=202)
def reprocess(call_id: UUID, viewer: ViewerDep, language: Language) -> UploadOut:
    """Send the call through the pipeline again, with the weights and the analysis that are set now."""
    calls.reprocess(viewer, call_id)
    return UploadOut(id=call_id, message=RESTARTED[language])


@router.put("/{call_id}/hold", response_model_exclude_none=True)
def hold(call_id: UUID, viewer: ViewerDep, base_url: BaseUrl) -> CallOut:
    """Put a call under legal hold: it cannot be deleted, erased or processed anew, and does not expire. For admins."""
    return CallOut.of(holds.hold(viewer, call_id), base_url, viewer.id)


@router.delete("/{call_id}/hold", response_model_exclude_none=True)
def release(call_id: UUID, viewer: ViewerDep, base_url: BaseUrl) -> CallOut:
    """Release a call from legal hold. For admins."""
    return CallOut.of(holds.release(viewer, call_id), base_url, viewer.id)


@router.delete("/{call_id}")
def delete(call_id: UUID, viewer: ViewerDep, language: Language) -> Message:
    """Delete a call: its rows at once, its recording with them."""
    calls.delete_call(viewer, call_id)
    return Message(message=DELETED[language])
