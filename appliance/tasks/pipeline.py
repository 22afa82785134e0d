"""Move calls on through the pipeline."""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

from appliance.config import settings
from appliance.pipeline import runner
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.stage import Queue
from appliance.tasks import queue


@lru_cache
def equipment() -> Equipment:
    """The engines of this process."""
    return Equipment(settings())


def advance(call_id: UUID, name: Queue) -> None:
    """Run the stages of a call that belong to this queue, one after the other, then ring for the next queue.

    May run twice for the same call or too late: the claim decides.
    """
    following: Queue | None = name
    while following == name:
        following = runner.run_next(call_id, name, equipment())
    if following is not None:
        queue.ring(call_id, following)
