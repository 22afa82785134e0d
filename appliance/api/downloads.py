"""/downloads: what an export's `download_url` points at. The signature is the permission."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from appliance.services import exports

router = APIRouter(prefix="/downloads", tags=["calls"])


@router.get("/{name}", response_class=Response)
def download(name: str, expires: int, signature: str) -> StreamingResponse:
    """An exported file."""
    file = exports.find(name, expires, signature)
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "private, no-store"}
    return StreamingResponse(file.content, headers=headers, media_type=file.media_type)
