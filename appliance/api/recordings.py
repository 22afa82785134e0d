"""/api/recordings: what `recordingUrl` points at. The signature is the permission: <audio> sends no header."""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse

from appliance.api.documentation import BINARY
from appliance.services import recordings
from appliance.services.failures import RangeNotSatisfiable

router = APIRouter(prefix="/api/recordings", tags=["calls"])

RANGE = re.compile(r"^bytes=(\d{0,15})-(\d{0,15})$")

SOUND: dict[str, Any] = {"content": dict.fromkeys(("audio/wav", "audio/mpeg", "audio/mp4"), BINARY)}


def wanted(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte that a Range header asks for, None for the whole file.

    Several ranges at once are answered with the whole file, as RFC 9110 allows. Raises ValueError where nothing fits.
    """
    match = RANGE.match((header or "").replace(" ", ""))
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last or size), size - 1)
    if start >= size or start > end:
        raise ValueError(header)
    return start, end


@router.head("/{name}", response_class=Response, include_in_schema=False)
@router.get("/{name}", response_class=Response, responses={200: SOUND, 206: {"description": "A part", **SOUND}})
def play(
    request: Request,
    name: str,
    expires: int,
    signature: str,
    viewer: UUID | None = None,
    range_header: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """The recording, whole (200) or in part (206)."""
    recording = recordings.find(name, expires, signature, viewer, listens=request.method == "GET")
    headers = {"Accept-Ranges": "bytes"}
    try:
        part = wanted(range_header, recording.size)
    except ValueError:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{recording.size}"}) from None
    start, end = part or (0, recording.size - 1)
    headers["Content-Length"] = str(end - start + 1)
    if part:
        headers["Content-Range"] = f"bytes {start}-{end}/{recording.size}"
    return StreamingResponse(
        recording.read(start, end - start + 1), 206 if part else 200, headers, media_type=recording.media_type
    )
