"""Each worker of this machine says that it is alive: the time of a file of its own, which API and commands look at."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

from appliance.config import settings

FOLDER = "alive"
BEAT_S = 5.0
SILENT_S = 45.0
"""Nine beats: a machine that is busy with all its cores may leave a thread without its turn for seconds."""


def keep(name: str, stop: threading.Event) -> None:
    """Beat in the background until `stop` is set, or the process ends or freezes."""
    threading.Thread(target=_beat, args=(name, stop), name="alive", daemon=True).start()


def _beat(name: str, stop: threading.Event) -> None:
    while not stop.is_set():
        with suppress(OSError):  # a full disk is told elsewhere
            file = _file(name)
            file.parent.mkdir(exist_ok=True)
            file.touch()
        stop.wait(BEAT_S)


def _file(name: str) -> Path:
    return settings().data_dir / FOLDER / name


def silent() -> list[str]:
    """Workers that this machine should have and that were not heard of for SILENT_S."""
    wanted = settings().node_workers if settings().node_name else ("speech", "analysis", "housekeeping")
    return [name for name in wanted if _age_s(name) > SILENT_S]


def _age_s(name: str) -> float:
    try:
        return time.time() - _file(name).stat().st_mtime
    except OSError:
        return float("inf")
