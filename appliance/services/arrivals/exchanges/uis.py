"""UIS and CoMagic: their HTTP notifications, whose body an operator writes as a template of their variables.

The template stands in docs/operation.md; its variables are those of "Уведомления о событиях": a value comes with its
quotes, or as null. Nothing is signed there: the secret `token` is part of the template, over HTTPS.
https://www.uiscom.ru/academiya/spravochnyj-centr/uvedomleniya/uvedomleniya-o-sobytiyakh/
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from appliance.config import settings
from appliance.models.calls import CallType
from appliance.services.arrivals import guarded
from appliance.services.arrivals.exchanges import ending

DIRECTIONS: dict[str, CallType] = {"in": "incoming", "out": "outgoing"}


class Notification(BaseModel):
    """A notification as the template makes it."""

    token: str = Field("", max_length=200, description="UIS_TOKEN")
    event: Literal["ended", "lost", "recorded"] = Field(
        description="Завершение звонка, Потерянный звонок, Записанный разговор"
    )
    call_session_id: ending.Text = Field(min_length=1, max_length=200)
    notification_time: datetime = Field(description="In the time zone of the site where it names none")
    direction: Literal["in", "out"] | None = Field(None, description="A lost call has none: it came in")
    contact_phone_number: ending.Text | None = Field(None, max_length=40)
    extension_phone_number: ending.Text | None = Field(None, max_length=40)
    talk_time_duration: float | None = Field(None, description="Seconds; nothing or 0: nobody answered")
    file_link: str | None = Field(None, max_length=2000, description="Where the recording lies")


def receive(told: Notification) -> UUID | None:
    """Take a notification. Returns the call's id where there is a call to note. Raises SignatureInvalid."""
    ending.same(settings().uis_token, told.token)
    if told.event == "recorded":
        _expect(told)
        return None
    zone = ZoneInfo(settings().site_timezone)
    at = told.notification_time
    return ending.note(
        ending.Ended(
            key=f"uis:{told.call_session_id}",
            direction=DIRECTIONS[told.direction or "in"],
            number=told.contact_phone_number,
            extension=told.extension_phone_number,
            date=at if at.tzinfo else at.replace(tzinfo=zone),
            is_answered=told.event == "ended" and bool(told.talk_time_duration),
        )
    )


def _expect(told: Notification) -> None:
    """A call has as many recordings as it had parts; the path tells them apart, what follows it is signed anew."""
    if not told.file_link:
        raise ending.EventNotUnderstood(reason="file_link")
    part = hashlib.sha256(urlsplit(told.file_link).path.encode()).hexdigest()[:16]
    call_key = f"uis:{told.call_session_id}"
    ending.expect(f"{call_key}:{part}", call_key, "uis", told.file_link)


def request_for(file_link: str) -> guarded.Request:
    """The link is the recording's own address."""
    return guarded.Request(file_link)
