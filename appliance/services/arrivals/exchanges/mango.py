"""MANGO OFFICE: events of its API Realtime ("API MANGO OFFICE, Виртуальная АТС", version 1.9, sections 1.3 and 3.1).

It posts to the address that its cabinet holds, with the event's name behind it, three form fields: `vpbx_api_key`,
`json` and `sign`, which is SHA-256 in hexadecimal of the key, the JSON as it was sent, and the salt that both know.
https://www.mango-office.ru/upload/api/MangoOffice_VPBX_API_v1.9.pdf
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urljoin
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr

from appliance.config import settings
from appliance.models.calls import CallType
from appliance.services.arrivals import guarded
from appliance.services.arrivals.exchanges import ending

SUMMARY, RECORDED = "events/summary", "events/record/added"
DIRECTIONS: dict[int, CallType] = {1: "incoming", 2: "outgoing"}
"""0 is a call within the house."""


class Party(BaseModel):
    number: ending.Text | None = None
    extension: ending.Text | None = None


class Summary(BaseModel):
    """`events/summary` (section 3.1.6): a call has ended. Times: seconds since 1970. `to`: whoever answered, or the
    first who did not.
    """

    entry_id: str = Field(min_length=1, max_length=200)
    call_direction: Literal[0, 1, 2]
    from_: Party = Field(alias="from")
    to: Party
    create_time: int = Field(ge=0, lt=2**40)
    entry_result: Literal[0, 1]


class Recorded(BaseModel):
    """`events/record/added` (section 3.1.8): a recording lies in the cloud storage, ready to be asked for."""

    entry_id: str = Field(min_length=1, max_length=200)
    recording_id: str = Field(min_length=1, max_length=200)


def receive(name: str, key: str, document: str, sign: str) -> UUID | None:
    """Take one event; those that say nothing of an ended call or its recording are passed over. Returns a call's id.

    Raises SignatureInvalid, EventNotUnderstood.
    """
    check(key, document, sign)
    if name.strip("/") == RECORDED:
        told = ending.parsed(Recorded, document)
        ending.expect(f"mango:{told.recording_id}", f"mango:{told.entry_id}", "mango", told.recording_id)
    if name.strip("/") != SUMMARY:
        return None
    ended = _ended(ending.parsed(Summary, document))
    return ending.note(ended) if ended else None


def request_for(recording_id: str) -> guarded.Request:
    """`queries/recording/post` (section 3.5.1): answered with a redirect to the file, which lives for a short while."""
    document = json.dumps({"recording_id": recording_id, "action": "download"})
    key, salt = settings().mango_api_key.get_secret_value(), settings().mango_api_salt.get_secret_value()
    form = {"vpbx_api_key": key, "sign": signed(key, document, salt), "json": document}
    return guarded.Request(urljoin(settings().mango_api_url, "queries/recording/post"), form)


def check(key: str, document: str, sign: str) -> None:
    """Raises SignatureInvalid, also where MANGO_API_KEY or MANGO_API_SALT is not set."""
    ending.same(settings().mango_api_key, key)
    salt = settings().mango_api_salt.get_secret_value()
    ending.same(SecretStr(salt and signed(key, document, salt)), sign.lower())


def signed(key: str, document: str, salt: str) -> str:
    """The field `sign`."""
    return hashlib.sha256(f"{key}{document}{salt}".encode()).hexdigest()


def _ended(told: Summary) -> ending.Ended | None:
    direction = DIRECTIONS.get(told.call_direction)
    if direction is None:
        return None
    theirs, ours = (told.to, told.from_) if direction == "outgoing" else (told.from_, told.to)
    return ending.Ended(
        key=f"mango:{told.entry_id}",
        direction=direction,
        number=theirs.number,
        extension=ours.extension,
        date=datetime.fromtimestamp(told.create_time, UTC),
        is_answered=told.entry_result == 1,
    )
