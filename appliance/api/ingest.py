"""/api/ingest: what other systems tell of calls."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Header, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from appliance.api.shapes import Shape
from appliance.models.calls import CallType
from appliance.services.arrivals import missed, signature
from appliance.services.arrivals.exchanges import bitrix24, mango, uis
from appliance.services.phones import EXTENSION

router = APIRouter(prefix="/api/ingest", tags=["calls"])


class EventIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=200, pattern=r"^[!-~]+$", description="The sender's id of the call")
    status: Literal["missed"] = Field(description="Calls that took place come with their recording: POST /api/calls")
    direction: CallType
    date: AwareDatetime = Field(description="When it rang")
    phoneNumber: str | None = Field(None, max_length=40, description="The client's; absent where it is hidden")  # noqa: N815
    extension: Annotated[str, Field(pattern=f"^{EXTENSION}$", description="Whose telephone rang")] | None = None


class EventOut(Shape):
    call_id: UUID


class TakenOut(Shape):
    call_id: UUID | None = Field(description="Null where there is nothing to note: a call that was answered, say")


async def signed(
    request: Request,
    x_timestamp: Annotated[str, Header(max_length=20, description="Seconds since 1970, at most 300 away")] = "",
    x_signature: Annotated[
        str, Header(max_length=64, description="HMAC-SHA256 of `X-Timestamp.body` with INGEST_SECRET, hexadecimal")
    ] = "",
) -> None:
    """Raises SignatureInvalid."""
    signature.check(x_timestamp, x_signature, await request.body())


@router.post("/generic", dependencies=[Depends(signed)])
def receive(body: EventIn) -> EventOut:
    """Tell of a missed call. The same `id` again is the same call; the headers sign the request."""
    told = missed.Missed(f"generic:{body.id}", body.direction, body.phoneNumber, body.extension, body.date)
    return EventOut(call_id=missed.receive(told))


@router.post("/mango/{event:path}")
def receive_mango(
    event: str,
    vpbx_api_key: Annotated[str, Form(max_length=200)] = "",
    sign: Annotated[str, Form(max_length=64, description="SHA-256 of key, json and MANGO_API_SALT")] = "",
    document: Annotated[str, Form(alias="json", description="The event itself")] = "",
) -> TakenOut:
    """An event of MANGO OFFICE, by its name in the path; missed calls are noted, once."""
    return TakenOut(call_id=mango.receive(event, vpbx_api_key, document, sign))


@router.post("/uis")
def receive_uis(body: uis.Notification) -> TakenOut:
    """A notification of UIS or CoMagic, by the template in the operator's manual; missed calls are noted, once."""
    return TakenOut(call_id=uis.receive(body))


@router.post("/bitrix24")
def receive_bitrix24(body: Annotated[bitrix24.CallEnd, Form()]) -> TakenOut:
    """An event of Bitrix24's outgoing webhook; missed calls are noted, once."""
    return TakenOut(call_id=bitrix24.receive(body))
