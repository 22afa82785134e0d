"""Bitrix24: the event OnVoximplantCallEnd of its telephony, posted as a form to an outgoing webhook's address.

Nothing is signed there: `auth[application_token]` is the webhook's secret. Types and codes of calls are those of
"Типы звонков" and "Коды вызова".
https://apidocs.bitrix24.ru/api-reference/telephony/voximplant/events/on-voximplant-call-end.html
"""

from __future__ import annotations

from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from appliance.config import settings
from appliance.models.calls import CallType
from appliance.services.arrivals.exchanges import ending

CALL_ENDED = "ONVOXIMPLANTCALLEND"
DIRECTIONS: dict[str, CallType] = {"1": "outgoing", "2": "incoming", "3": "incoming", "4": "outgoing"}
"""3 was passed on, 4 is a call back that the portal made; others are played by a robot."""

SUCCEEDED = "200"


class CallEnd(BaseModel):
    """The form's fields, as far as they say what is wanted; the others are passed over."""

    token: str = Field("", alias="auth[application_token]", max_length=200)
    event: str = Field(max_length=100)
    call_id: str = Field("", alias="data[CALL_ID]", max_length=200)
    call_type: str = Field("", alias="data[CALL_TYPE]", max_length=10)
    phone_number: str = Field("", alias="data[PHONE_NUMBER]", max_length=40)
    portal_user_id: str = Field("", alias="data[PORTAL_USER_ID]", max_length=20)
    started: AwareDatetime | None = Field(None, alias="data[CALL_START_DATE]")
    failed_code: str = Field("", alias="data[CALL_FAILED_CODE]", max_length=20)


def receive(told: CallEnd) -> UUID | None:
    """Take an event; others than the end of a call are passed over. Returns the call's id where there is one to note.

    Raises SignatureInvalid, EventNotUnderstood.
    """
    ending.same(settings().bitrix24_token, told.token)
    direction = DIRECTIONS.get(told.call_type)
    if told.event.upper() != CALL_ENDED or direction is None:
        return None
    if not told.call_id or told.started is None:
        raise ending.EventNotUnderstood(reason="CALL_ID, CALL_START_DATE")
    return ending.note(
        ending.Ended(
            key=f"bitrix24:{told.call_id}",
            direction=direction,
            number=told.phone_number,
            extension=settings().bitrix24_extensions.get(told.portal_user_id),
            date=told.started,
            is_answered=told.failed_code == SUCCEEDED,
        )
    )
