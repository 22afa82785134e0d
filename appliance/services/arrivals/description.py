"""What is known of a recording before anybody hears it: by its name, and by the call detail records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from appliance import logs
from appliance.config import settings
from appliance.engines.roles import Channel
from appliance.errors import ApplianceError
from appliance.models.calls import CallType
from appliance.services import phones
from appliance.services.arrivals import cdr, mixmonitor
from appliance.services.calls import Upload

log = logs.get(__name__)

NOBODY = "Не определён"
"""The manager of calls whose extension is not known."""


class NameNotUnderstood(ApplianceError):
    code = "name_not_understood"
    status = 422
    ru = "Имя файла не похоже на имя записи Asterisk: неизвестно, кто кому звонил"
    en = "The file's name is not one of Asterisk's: it does not say who called whom"


class CallWithinTheHouse(ApplianceError):
    code = "call_within_the_house"
    status = 422
    ru = "Разговор между внутренними номерами: клиента в нём нет"
    en = "A call between two extensions: there is no client in it"


@dataclass(frozen=True, slots=True)
class Description:
    direction: CallType
    phone: str | None
    extension: str | None
    started: datetime

    def upload(self, file: BinaryIO, path: Path, arrival: str) -> Upload:
        """The same with the recording itself."""
        return Upload(
            file=file,
            path=path,
            direction=self.direction,
            manager_name=NOBODY,
            extension=self.extension,
            phone=self.phone,
            date=self.started,
            arrival=arrival,
            manager_channel=self.manager_channel,
        )

    @property
    def manager_channel(self) -> Channel | None:
        """The manager's channel of a stereo recording: the caller's, or the other one where the client called."""
        caller = settings().watch_caller_channel
        if caller == "unknown":
            return None
        if self.direction == "outgoing":
            return caller
        return "left" if caller == "right" else "right"


def described(name: str) -> Description:
    """What a recording's name tells, and where CDRs are at hand, they. Raises the refusals above."""
    said = mixmonitor.parse(name, ZoneInfo(settings().site_timezone))
    if said is None:
        raise NameNotUnderstood
    direction, number, extension = said.direction, said.number, said.extension
    record = _record(said.uniqueid)
    if record is not None:
        direction = direction or mixmonitor.direction_of(record.caller, record.dialled)
        outgoing = direction == "outgoing"
        extension = (record.caller_peer if outgoing else record.answering_peer) or extension
        number = phones.known(number) or (record.dialled if outgoing else record.caller)
    if direction is None:
        raise CallWithinTheHouse
    return Description(direction, phones.known(number), extension, said.started)


def _record(uniqueid: str) -> cdr.Record | None:
    if not settings().watch_cdr_file:
        return None
    try:
        return cdr.records(Path(settings().watch_cdr_file)).get(uniqueid)
    except OSError as error:
        # A name alone says enough of most calls; the queue's are nobody's then.
        log.warning("call_detail_records_unreadable", error=type(error).__name__)
        return None
