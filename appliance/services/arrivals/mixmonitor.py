"""Names that Asterisk's MixMonitor gives to recordings, as FreePBX and Issabel configure it.

`KIND-DIALLED-CALLER-YYYYMMDD-HHMMSS-UNIQUEID.wav`, for example `out-74951234567-101-20240101-120000-1704100800.1.wav`.
The kinds: `out` leaves by a trunk; `in`, `external`, `q` (queue) and `rg` (ring group) come from outside; `exten`,
`internal` and `force` tell by their parties.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from appliance.models.calls import CallType
from appliance.services.phones import EXTENSION

NAME = re.compile(
    r"(?P<kind>[a-z]+)-(?P<dialled>[^-]*)-(?P<caller>[^-]*)-(?P<when>\d{8}-\d{6})-(?P<uniqueid>.+)\.\w+",
    re.ASCII | re.IGNORECASE,
)

DIRECTIONS: dict[str, CallType] = {
    "out": "outgoing",
    "in": "incoming",
    "external": "incoming",
    "q": "incoming",
    "rg": "incoming",
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a name says. `direction` is None between two extensions; `extension` where no manager is named."""

    direction: CallType | None
    number: str
    extension: str | None
    started: datetime
    uniqueid: str


def is_extension(party: str) -> bool:
    """Whether a party is one of the house."""
    return re.fullmatch(EXTENSION, party) is not None


def parse(name: str, zone: ZoneInfo) -> Recorded | None:
    """What a file's name says of its call, or None where it is no name of MixMonitor's."""
    found = NAME.fullmatch(name)
    if found is None:
        return None
    try:
        started = datetime.strptime(found["when"], "%Y%m%d-%H%M%S").replace(tzinfo=zone)
    except ValueError:
        return None
    dialled, caller, kind = found["dialled"], found["caller"], found["kind"].lower()
    direction = DIRECTIONS.get(kind) or direction_of(caller, dialled)
    number, ours = (dialled, caller) if direction == "outgoing" else (caller, dialled)
    # A queue's or a ring group's number looks like an extension and is nobody's.
    extension = ours if is_extension(ours) and kind not in {"q", "rg"} else None
    return Recorded(direction, number, extension, started, found["uniqueid"])


def direction_of(caller: str, dialled: str) -> CallType | None:
    """Who called whom, by who is one of the house."""
    if is_extension(caller):
        return None if is_extension(dialled) else "outgoing"
    return "incoming"
