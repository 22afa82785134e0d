"""Move calls on through the pipeline."""

from __future__ import annotations

from functools import lru_cache

from appliance.config import settings
from appliance.pipeline import reanalysis, runner
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.stage import Queue
from appliance.tasks import node, queue


@lru_cache
def equipment() -> Equipment:
    """The engines of this process."""
    return Equipment(settings())


def advance(name: Queue) -> None:
    """Run stages of this queue, of the call whose turn it is each time, until nothing is due; ring for the next queue.

    Calls that are analysed anew come when no fresh call is due, one at a time.
    May run with nothing to do: a bell says that somebody waits, the rows say who is first.
    """
    while node.may_work():
        if (ran := runner.run_next(name, equipment())) is not None:
            if ran.following is not None and ran.following != name:
                queue.ring(ran.call_id, ran.following)
        elif name != "analysis" or not reanalysis.run_next(equipment()):
            return
