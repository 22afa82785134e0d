"""From upload to event, against the sum of what the stages themselves took on the same call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.installation import Installation
from benchmarks.recordings import long_recording
from benchmarks.report import Line, limit, paired

LENGTHS_S = {30: 3, 180: 3}
"""Seconds of sound, and how many calls of that length are measured."""

ALLOWED = 1.10
ALLOWED_SHORT_S = 1.0


def measure(folder: Path, here: Installation, *, full: bool) -> Iterator[Line]:
    http = here.client()
    here.processed(http, here.uploaded(http, long_recording(folder, 30)))  # the first call loads what is loaded late
    for seconds, calls in (LENGTHS_S | ({3600: 1} if full else {})).items():
        recording = long_recording(folder, seconds)
        pairs = []
        for _ in range(calls):
            began = time.perf_counter()
            call_id = here.uploaded(http, recording)
            here.processed(http, call_id)
            whole_s = time.perf_counter() - began
            row = here.sql("SELECT sum(elapsed_ms) FROM stage_outputs WHERE call_id = %s", call_id)[0]
            pairs.append((whole_s, float(row[0]) / 1000))
        if seconds < 180:
            added = [whole - stages for whole, stages in pairs]
            yield limit("pipeline", f"added to the stages of a {seconds} s call", "s", added, ALLOWED_SHORT_S)
        else:
            what = f"a call of {seconds // 60} min, upload to event"
            yield paired("pipeline", what, "its stages alone", "s", pairs, target=1 / ALLOWED)
