"""What a further machine does beside working: it says that it is there, and works only while it fits the database."""

from __future__ import annotations

import threading
import time

from appliance import __version__, logs
from appliance.config import settings
from appliance.pipeline.stage import Queue
from appliance.store import db, nodes
from appliance.store.nodes import ReleaseDiffers
from appliance.tasks import housekeeping

log = logs.get(__name__)

BEAT_S = 5.0
TIDY_S = 3600.0


def check_release() -> None:
    """Raises ReleaseDiffers where this release must not write into the database."""
    with db.unit_of_work() as session:
        theirs = nodes.schema(session)
    if theirs != nodes.expected_schema():
        raise ReleaseDiffers(theirs=theirs, ours=nodes.expected_schema(), version=__version__)


def may_work() -> bool:
    """Asked before each call: the first machine may have been upgraded since this process started."""
    if not settings().node_name:
        return True
    try:
        check_release()
    except ReleaseDiffers as error:
        log.error("node_release_differs", reason=str(error))  # noqa: TRY400 - no trace helps
        return False
    return True


def keep_in_touch(queue: Queue, stop: threading.Event) -> None:
    """Say now and then that this worker is there, and take away what calls left that ended elsewhere."""
    tidy_at = time.monotonic()
    while not stop.is_set():
        try:
            with db.unit_of_work() as session:
                if not nodes.beat(session, settings().node_name, queue, __version__):
                    log.error("node_removed", node=settings().node_name)
            if queue == "speech" and time.monotonic() >= tidy_at:
                housekeeping.clean_scratch()
                tidy_at = time.monotonic() + TIDY_S
        except Exception as error:  # noqa: BLE001 - the network may be away for a while
            log.warning("node_not_heard", error=type(error).__name__)
        stop.wait(BEAT_S)
