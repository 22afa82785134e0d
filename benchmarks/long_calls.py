"""Long calls: the memory that they take, and whether a short one that comes meanwhile has to wait for them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.installation import Installation
from benchmarks.recordings import long_recording
from benchmarks.report import Line, limit, paired

MINUTES, MINUTES_FULL = 10, 60
MOST_UPLOADED = 55
"""An hour put together of pieces, each with its encoder's padding, is longer than an upload may be."""

MOST_MEMORY_MB = 1500

HEARING = """
import sys
from pathlib import Path

from appliance.config import Settings
from appliance.pipeline.assign_roles import AssignRoles
from appliance.pipeline.diarize import Diarize
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.offline import processed
from appliance.pipeline.transcribe import Transcribe

equipment = Equipment(Settings.offline().model_copy(update={"data_dir": Path(sys.argv[2])}), stored=False)
with processed(Path(sys.argv[1]), (Transcribe(), Diarize(), AssignRoles()), equipment) as context:
    assert context.outputs["diarize"]["segments"]
print(Path("/proc/self/status").read_text())
"""


def measure(folder: Path, here: Installation, *, full: bool) -> Iterator[Line]:
    minutes = MINUTES_FULL if full else MINUTES
    for layout in ("stereo", "mono") if full else ("stereo",):
        long, short = (long_recording(folder, length * 60, layout=layout) for length in (minutes, 1))
        what = f"peak memory of the speech stages, {minutes} min of {layout} mp3"
        peaks = [_memory_mb(recording, folder / "heard") for recording in (long, short)]
        yield limit("long", what, "MB", peaks[:1], MOST_MEMORY_MB)
        yield paired("long", what, "1 min", "MB", [(peaks[0], peaks[1])])
    yield _overtaking(folder, here, min(minutes, MOST_UPLOADED))


def _memory_mb(recording: Path, home: Path) -> float:
    """The most that a process of its own held in memory, from the recording to who said what."""
    command = [sys.executable, "-c", HEARING, str(recording), str(home)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM:")) / 1024


def _overtaking(folder: Path, here: Installation, minutes: int) -> Line:
    """A call of a minute that is uploaded while the long one is being recognised, against the same one alone."""
    http, recording = here.client(), long_recording(folder, 60)
    here.processed(http, here.uploaded(http, recording))  # loads what is loaded late
    began = time.perf_counter()
    here.processed(http, here.uploaded(http, recording))
    alone_s = time.perf_counter() - began
    long = here.uploaded(http, long_recording(folder, minutes * 60))
    while len(here.sql("SELECT 1 FROM stage_steps WHERE call_id = %s", long)) < 3:
        time.sleep(0.1)
    began = time.perf_counter()
    here.processed(http, here.uploaded(http, recording))
    short_s = time.perf_counter() - began
    (stage,) = here.sql("SELECT stage FROM pipelines WHERE call_id = %s", long)[0]
    if stage != "transcribe":
        raise AssertionError(f"the long call is already at {stage}: nothing was overtaken")
    here.processed(http, long)
    whole_s = time.perf_counter() - began
    what = f"1 min uploaded while {minutes} min are recognised, which took {whole_s:.0f} s more"
    return paired("long", what, "alone", "s", [(short_s, alone_s)])
