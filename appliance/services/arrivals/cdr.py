"""Asterisk's call detail records as CSV: the file that `cdr_csv` (Master.csv) or `cdr_custom` keeps appending to.

The order of the fields is theirs (asterisk.org, Call Detail Records); `loguniqueid=yes` must be set in cdr.conf.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from appliance.services.phones import EXTENSION

CSV = (
    *("accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata"),
    *("start", "answer", "end", "duration", "billsec", "disposition", "amaflags", "uniqueid", "userfield"),
)
CUSTOM = (
    *("clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata"),
    *("start", "answer", "end", "duration", "billsec", "disposition", "amaflags", "accountcode", "uniqueid"),
    "userfield",
)
DISPOSITIONS = {"ANSWERED", "NO ANSWER", "BUSY", "FAILED", "CONGESTION"}

LATEST_BYTES = 16 * 2**20
"""How much of the end of the file is read: some 60,000 calls, weeks of a dealership."""

PEER = re.compile(rf"\w+/({EXTENSION})[-@]", re.ASCII)
"""The extension in a channel's name: SIP/101-0000002a, PJSIP/101-0000002a, Local/101@from-queue-0000002a;1."""


@dataclass(frozen=True, slots=True)
class Record:
    """One leg of a call."""

    uniqueid: str
    caller: str
    dialled: str
    caller_peer: str | None
    answering_peer: str | None
    is_answered: bool
    application: str
    started: datetime
    ended: datetime
    """Both by the exchange's own clock, without a zone."""


def records(path: Path) -> dict[str, Record]:
    """The newest calls by their unique id. Where a call rang at several phones, the leg that was answered."""
    return {
        uniqueid: next((leg for leg in reversed(found) if leg.is_answered), found[0])
        for uniqueid, found in legs(path).items()
    }


def legs(path: Path) -> dict[str, list[Record]]:
    """The newest calls by their unique id, each with its legs as they were written."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - LATEST_BYTES))
        if size > LATEST_BYTES:
            file.readline()
        text = file.read().decode("utf-8", "replace")
    found: dict[str, list[Record]] = {}
    for record in parse(text.splitlines()):
        found.setdefault(record.uniqueid, []).append(record)
    return found


def parse(lines: Iterable[str]) -> Iterator[Record]:
    """Each line that is a record; a header, damaged and half-written lines are passed over."""
    for row in csv.reader(line.replace("\0", "") for line in lines):
        names = _layout(row)
        if names is None:
            continue
        field = dict(zip(names, row, strict=False))
        try:
            started, ended = (datetime.fromisoformat(field[name]) for name in ("start", "end"))
        except ValueError:
            continue
        yield Record(
            uniqueid=field["uniqueid"],
            caller=field["src"],
            dialled=field["dst"],
            caller_peer=_peer(field["channel"]),
            answering_peer=_peer(field["dstchannel"]),
            is_answered=field["disposition"] == "ANSWERED",
            application=field["lastapp"],
            started=started.replace(tzinfo=None),
            ended=ended.replace(tzinfo=None),
        )


def _layout(row: list[str]) -> tuple[str, ...] | None:
    if len(row) < 17 or not row[16]:
        return None
    return next((names for names in (CSV, CUSTOM) if row[names.index("disposition")] in DISPOSITIONS), None)


def _peer(channel: str) -> str | None:
    found = PEER.match(channel)
    return found[1] if found else None
