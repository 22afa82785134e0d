"""What every exchange tells when a call has ended, and what is made of it."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, SecretStr, ValidationError

from appliance.config import settings
from appliance.errors import ApplianceError
from appliance.models import ToldCall
from appliance.models.awaited import Maker
from appliance.models.calls import CallType
from appliance.services import phones
from appliance.services.arrivals import missed
from appliance.services.arrivals.signature import SignatureInvalid
from appliance.store import awaited, db

Shape = TypeVar("Shape", bound=BaseModel)

Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]
"""Ids and numbers, which exchanges send with quotes or without."""


class EventNotUnderstood(ApplianceError):
    code = "event_not_understood"
    status = 422
    ru = "Событие телефонии не разобрано: {reason}"
    en = "The exchange's event was not understood: {reason}"


@dataclass(frozen=True, slots=True)
class Ended:
    """One call that has ended. `key`: the exchange and its id of the call; number and extension as it has them."""

    key: str
    direction: CallType
    number: str | None
    extension: str | None
    date: datetime
    is_answered: bool


def note(call: Ended) -> UUID | None:
    """Note a missed call, and returns its id; an answered one becomes a call when its recording was fetched.

    An outgoing call that nobody answered was missed by nobody of the house.
    """
    if call.is_answered:
        _remember(call)
        return None
    if call.direction == "outgoing":
        return None
    told = missed.Missed(call.key, call.direction, phones.known(call.number), extension(call.extension), call.date)
    return missed.receive(told)


def _remember(call: Ended) -> None:
    """Until the recording is fetched; where none ever is, nobody needs it."""
    if settings().recording_hosts:
        told = {"phone": phones.known(call.number), "extension": extension(call.extension), "date": call.date}
        with db.unit_of_work() as session:
            awaited.tell(session, ToldCall(key=call.key, type=call.direction, **told))


def expect(key: str, call_key: str, maker: Maker, location: str) -> None:
    """Have a recording fetched, once, as soon as its call is told of; nothing where no host is allowed."""
    if settings().recording_hosts:
        with db.unit_of_work() as session:
            awaited.expect(session, key, call_key, maker, location)


def extension(number: str | None) -> str | None:
    """An internal number; None where it is none."""
    return number if number and re.fullmatch(phones.EXTENSION, number, re.ASCII) else None


def same(secret: SecretStr, sent: str) -> None:
    """Raises SignatureInvalid where a secret is not what was sent, also where none is set."""
    known = secret.get_secret_value()
    if not known or not hmac.compare_digest(known.encode(), sent.encode()):
        raise SignatureInvalid


def parsed(shape: type[Shape], document: str) -> Shape:
    """A JSON document of this shape. Raises EventNotUnderstood, which names fields and no values."""
    try:
        return shape.model_validate_json(document)
    except ValidationError as error:
        wrong = {".".join(map(str, problem["loc"])) or "json" for problem in error.errors()}
        raise EventNotUnderstood(reason=", ".join(sorted(wrong))) from None
