"""Processes of this machine that are down, or that end and are started again and again, as supervisor's log tells."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from appliance.config import settings

LOG = Path("log") / "supervisord.log"
TAIL_BYTES = 128 * 1024

RECENTLY_S = 600.0
YOUNG_S = 60.0
OFTEN = 3
"""Ends within RECENTLY_S: one is an accident that was mended, three are a process that cannot go on."""

LINE = re.compile(
    r"^(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ \w+ "
    r"(?P<what>supervisord started|spawned: '|success: |exited: |stopped: |gave up: )(?P<name>[\w-]+)?"
)


@dataclass(frozen=True, slots=True)
class Troubles:
    """Names of processes. down: ended, or given up, and not started since. restarting: ended OFTEN lately.

    young: started so lately that nothing need be heard of it yet.
    """

    down: list[str]
    restarting: list[str]
    young: frozenset[str]


def troubles() -> Troubles:
    """Of this machine's tree since supervisor was started; none where its log cannot be read."""
    state: dict[str, str] = {}
    ends: Counter[str] = Counter()
    started: dict[str, str] = {}
    for line in _tail():
        if not (found := LINE.match(line)):
            continue
        what, name = found["what"].split(":")[0], found["name"] or ""
        if what == "supervisord started":
            state.clear()
            ends.clear()
            continue
        state[name] = what
        if what == "spawned":
            started[name] = found["at"]
        if what == "exited" and _age_s(found["at"]) < RECENTLY_S:
            ends[name] += 1
    down = sorted(name for name, what in state.items() if what in {"exited", "gave up"})
    restarting = sorted(name for name, times in ends.items() if times >= OFTEN)
    return Troubles(down, restarting, frozenset(name for name, at in started.items() if _age_s(at) < YOUNG_S))


def _age_s(at: str) -> float:
    return time.time() - datetime.fromisoformat(at).astimezone().timestamp()


def _tail() -> list[str]:
    try:
        with (settings().data_dir / LOG).open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - TAIL_BYTES))
            return log.read().decode(errors="replace").splitlines()
    except OSError:
        return []
