"""/api/calls: upload, read."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Header, Response, UploadFile

from appliance.api.deps import BaseUrl, Language, ViewerDep
from appliance.api.schemas import AnalysisOut, CallOut, UploadOut
from appliance.models.calls import CallType
from appliance.services import calls, failures

router = APIRouter(prefix="/api/calls", tags=["calls"])

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
    date: Annotated[datetime | None, Form(description="When the call took place; now where it is left out")] = None,
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
            date=date.astimezone() if date else None,
            idempotency_key=idempotency_key,
        ),
    )
    return UploadOut(id=call_id, message=RECEIVED[language])


@router.get("/{call_id}", response_model_exclude_none=True)
def read(call_id: UUID, viewer: ViewerDep, base_url: BaseUrl, response: Response) -> CallOut:
    """One call with its transcript and analysis."""
    response.headers["Cache-Control"] = "no-store"
    return CallOut.of(calls.show(viewer, call_id), base_url)


@router.get("/{call_id}/ai-analysis", response_model_exclude_none=True)
def read_analysis(call_id: UUID, viewer: ViewerDep) -> AnalysisOut:
    """One call's analysis; `processing_status` says whether it is there yet."""
    call = calls.show(viewer, call_id)
    if call.analysis is None:
        raise failures.CallNotFound
    return AnalysisOut.of(call.analysis)
