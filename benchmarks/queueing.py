"""From the commit of an upload to the start of its first stage, with idle workers."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.installation import Installation
from benchmarks.recordings import SAMPLE
from benchmarks.report import Line, limit, percentile

RECORDING = SAMPLE.with_name("ru-wrong-number.wav")
CALLS = 20
MOST_MS = 150


def measure(here: Installation) -> Iterator[Line]:
    for worker in ("speech", "analysis"):
        here.resume(worker)
    http = here.client()
    here.processed(http, here.uploaded(http, RECORDING))
    waited = []
    for _ in range(CALLS):
        call_id = here.uploaded(http, RECORDING)
        here.processed(http, call_id)
        row = here.sql(
            "SELECT extract(epoch FROM o.created_at - c.created_at) * 1000 - o.elapsed_ms FROM stage_outputs o "
            "JOIN calls c ON c.id = o.call_id WHERE o.call_id = %s AND o.stage = 'decode'",
            call_id,
        )[0]
        waited.append(max(float(row[0]), 0.1))
    yield limit("queue", "commit to the first stage, idle, p95", "ms", [percentile(waited, 0.95)], MOST_MS)
