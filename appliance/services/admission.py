"""Whether there is room for one more recording: on the disk and in the queue."""

from __future__ import annotations

import shutil

from sqlalchemy import func, select

from appliance.config import settings
from appliance.models import Pipeline
from appliance.services import failures
from appliance.store import db, objects


def check_disk(wanted_bytes: int = 0) -> None:
    """Raises DiskFull where less than DISK_RESERVE_MB would be left: the database must be able to write on."""
    free = shutil.disk_usage(settings().data_dir).free
    if free - wanted_bytes < settings().disk_reserve_mb * 2**20:
        raise failures.DiskFull


def check_queue() -> None:
    """Raises QueueFull where QUEUE_LIMIT calls wait or are worked on."""
    with db.unit_of_work() as session:
        open_calls = select(func.count()).where(Pipeline.state.in_(("waiting", "running")))
        if (session.scalar(open_calls) or 0) >= settings().queue_limit:
            raise failures.QueueFull(headers={"Retry-After": "60"})


def check_store() -> None:
    """Raises ObjectStoreUnavailable where the store is known to be away: nothing that is sent could be kept."""
    objects.expect()
