"""Bitrix24: the event OnVoximplantCallEnd of its telephony, posted as a form to an outgoing webhook's address.

Nothing is signed there: `auth[application_token]` is the webhook's secret. Types and codes of calls are those of
"Типы звонков" and "Коды вызова".
https://apidocs.bitrix24.ru/api-reference/telephony/voximplant/events/on-voximplant-call-end.html
"""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import urljoin
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from appliance.config import settings
from appliance.models.calls import CallType
from appliance.services.arrivals import guarded
from appliance.services.arrivals.exchanges import ending

CALL_ENDED = "ONVOXIMPLANTCALLEND"
DIRECTIONS: dict[str, CallType] = {"1": "outgoing", "2": "incoming", "3": "incoming", "4": "outgoing"}
"""3 was passed on, 4 is a call back that the portal made; others are played by a robot."""

SUCCEEDED = "200"
Shape = TypeVar("Shape", bound=BaseModel)


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
    key = f"bitrix24:{told.call_id}"
    if told.failed_code == SUCCEEDED and settings().bitrix24_rest_url.get_secret_value():
        ending.expect(key, key, "bitrix24", told.call_id)
    return ending.note(
        ending.Ended(
            key=key,
            direction=direction,
            number=told.phone_number,
            extension=settings().bitrix24_extensions.get(told.portal_user_id),
            date=told.started,
            is_answered=told.failed_code == SUCCEEDED,
        )
    )


class Statistics(BaseModel):
    """What `voximplant.statistic.get` says of a call: where its recording lies, once it is stored."""

    CALL_RECORD_URL: str | None = None
    RECORD_FILE_ID: int | None = None


class Answer(BaseModel):
    result: list[Statistics]


class File(BaseModel):
    """A file of the portal's disk, as `disk.file.get` shows it."""

    DOWNLOAD_URL: str


class FileAnswer(BaseModel):
    result: File


def request_for(call_id: str) -> guarded.Request:
    """Ask the portal where a call's recording lies: on its disk, or at the operator's.

    Raises guarded.FetchFailed where there is none yet.
    """
    found = _asked(Answer, "voximplant.statistic.get", {"FILTER[CALL_ID]": call_id}).result
    for call in found:
        if call.RECORD_FILE_ID:
            file = _asked(FileAnswer, "disk.file.get", {"id": str(call.RECORD_FILE_ID)}).result
            return guarded.Request(file.DOWNLOAD_URL)
        if call.CALL_RECORD_URL:
            return guarded.Request(call.CALL_RECORD_URL)
    raise guarded.FetchFailed("no_recording_yet")


def _asked(shape: type[Shape], method: str, form: dict[str, str]) -> Shape:
    url = settings().bitrix24_rest_url.get_secret_value()
    try:
        return shape.model_validate_json(guarded.read(guarded.Request(urljoin(f"{url}/", method), form)))
    except ValidationError:
        raise guarded.FetchFailed("answer_not_understood") from None
