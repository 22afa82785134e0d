"""/downloads: what an export's `download_url` points at. The signature is the permission."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from appliance.api.documentation import BINARY
from appliance.services import exports
from appliance.services.spreadsheets import MEDIA_TYPES

router = APIRouter(prefix="/downloads", tags=["calls"])


FILE: dict[str, Any] = {"content": {kind.split(";")[0]: BINARY for kind in MEDIA_TYPES.values()}}


@router.head("/{name}", response_class=Response, include_in_schema=False)
@router.get("/{name}", response_class=Response, responses={200: FILE})
def download(name: str, expires: int, signature: str) -> StreamingResponse:
    """An exported file."""
    file = exports.find(name, expires, signature)
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"'}
    return StreamingResponse(file.content, headers=headers, media_type=file.media_type)
