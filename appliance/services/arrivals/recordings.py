"""Recordings that exchanges name are fetched in the background, each once, and become calls like uploads.

The rows of `awaited_recordings` are the queue: one that is claimed comes due again when its time is over, so a process
that dies loses nothing, and what is met a second time is found by its key among the arrivals.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from appliance import logs
from appliance.config import settings
from appliance.errors import ApplianceError
from appliance.models.awaited import Maker
from appliance.services import admission, calls
from appliance.services.arrivals import guarded
from appliance.services.arrivals.description import NOBODY
from appliance.services.arrivals.exchanges import bitrix24, mango, uis
from appliance.store import arrivals, audit, awaited, db

log = logs.get(__name__)

CLAIM_S = guarded.WITHIN_S * 2
FIRST_PAUSE_S, LONGEST_PAUSE_S, ATTEMPTS = 30.0, 3600.0, 15
"""Half a minute, doubled each time up to an hour: an exchange may be away for a night's shift."""

SOURCES: dict[Maker, Callable[[str], guarded.Request]] = {
    "mango": mango.request_for,
    "uis": uis.request_for,
    "bitrix24": bitrix24.request_for,
}


def watch(stop: threading.Event) -> None:
    """Fetch what is due until `stop` is set."""
    log.info("recordings_fetched_from", hosts=list(settings().recording_hosts))
    while not stop.is_set():
        try:
            while not stop.is_set() and fetch_next():
                pass
        except Exception as error:  # noqa: BLE001 - the database or the store may be away for a while
            log.warning("fetching_failed", error=type(error).__name__)
        stop.wait(settings().housekeeping_interval_s)


def fetch_next() -> bool:
    """Fetch the recording whose turn it is; whether there was one. Raises what is no fault of the recording."""
    admission.check_disk(settings().upload_max_bytes)
    admission.check_queue()
    with db.unit_of_work() as session:
        due = awaited.claim(session, CLAIM_S)
        if due is None:
            return False
        known = arrivals.call_of(session, due.key)
        if known:
            awaited.done(session, due.key)
            return True
    try:
        _fetch(due)
    except guarded.FetchFailed as failure:
        _again(due, failure.code)
    except guarded.FetchRefused as refusal:
        _give_up(due, refusal.code)
    except ApplianceError as refusal:
        if refusal.status >= 500:
            _again(due, refusal.code)
            raise
        _give_up(due, refusal.code)
    return True


def _fetch(due: awaited.Due) -> None:
    request = SOURCES[due.maker](due.location)
    with db.unit_of_work() as session:  # before anything leaves
        audit.append(session, "recording_requested", details={"host": urlsplit(request.url).hostname})
    spool = settings().data_dir / "spool"
    with (
        tempfile.NamedTemporaryFile(dir=spool if spool.is_dir() else None) as made,
        Path(made.name).open("r+b") as file,
    ):
        guarded.save(request, file)
        file.flush()
        upload = calls.Upload(
            file=file,
            path=Path(made.name),
            direction=due.direction,
            manager_name=NOBODY,
            extension=due.extension,
            phone=due.phone,
            date=due.date,
            arrival=due.key,
        )
        call_id = calls.receive(None, upload)
    with db.unit_of_work() as session:
        awaited.done(session, due.key)
    log.info("recording_fetched", maker=due.maker, call_id=str(call_id), attempt=due.attempt)


def _again(due: awaited.Due, code: str) -> None:
    if due.attempt >= ATTEMPTS:
        _give_up(due, code)
        return
    pause_s = min(FIRST_PAUSE_S * 2 ** (due.attempt - 1), LONGEST_PAUSE_S)
    log.info("recording_not_fetched_yet", maker=due.maker, code=code, attempt=due.attempt)
    with db.unit_of_work() as session:
        awaited.postpone(session, due.key, code, pause_s)


def _give_up(due: awaited.Due, code: str) -> None:
    log.warning("recording_given_up", maker=due.maker, code=code, attempt=due.attempt)
    with db.unit_of_work() as session:
        awaited.give_up(session, due.key, code)
