"""Missed calls that only the call detail records know of: nobody answered, so nothing was recorded."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance import logs
from appliance.config import settings
from appliance.services import phones
from appliance.services.arrivals import cdr, missed, mixmonitor

log = logs.get(__name__)

OVER_S = 120.0
"""After the last leg's end: by then a queue has rung everywhere it would, and every leg is written."""

LOOK_BACK = timedelta(days=7)
"""What happened earlier is history: the first look at an old file must not fill the list with it."""


class Unanswered:
    """The records' file, and what of it was noted since the start; across starts the arrivals keep calls apart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: set[str] = set()
        self._size = -1
        self._again_at = 0.0

    def look(self) -> None:
        """Note what was missed. Raises what is no fault of a call; it is noted at the next look."""
        try:
            size = self.path.stat().st_size
        except OSError as error:
            log.warning("call_detail_records_unreadable", error=type(error).__name__)
            return
        if size == self._size and time.monotonic() < self._again_at:
            return
        for call in self._missed():
            missed.receive(call)
            self._known.add(call.key)
        self._size, self._again_at = size, time.monotonic() + OVER_S

    def _missed(self) -> Iterable[missed.Missed]:
        zone = ZoneInfo(settings().site_timezone)
        now = datetime.now(zone).replace(tzinfo=None)
        for uniqueid, legs in cdr.legs(self.path).items():
            key, started, ended = f"cdr:{uniqueid}", min(leg.started for leg in legs), max(leg.ended for leg in legs)
            settled = (now - ended).total_seconds() > OVER_S and now - started < LOOK_BACK
            if settled and key not in self._known and was_missed(legs):
                rang = [leg.answering_peer for leg in legs if leg.answering_peer]
                yield missed.Missed(
                    key=key,
                    direction="incoming",
                    phone=phones.known(legs[0].caller),
                    extension=rang[0] if len(set(rang)) == 1 else None,
                    date=started.replace(tzinfo=zone),
                )


def was_missed(legs: list[cdr.Record]) -> bool:
    """It came from outside, somebody's telephone rang or a queue held it, and nobody of the house took it.

    A queue, a menu and a mailbox answer by themselves: ANSWERED alone does not say that a person did.
    """
    first = legs[0]
    if mixmonitor.direction_of(first.caller, first.dialled) != "incoming" or first.caller_peer:
        return False
    if any(leg.is_answered and leg.answering_peer and leg.application != "VoiceMail" for leg in legs):
        return False
    return any(leg.answering_peer or leg.application == "Queue" for leg in legs)
