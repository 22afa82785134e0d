"""From the commit of an upload to the start of its first stage, idle; from stage to stage with a thousand waiting."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from uuid import UUID

from benchmarks.installation import Installation
from benchmarks.recordings import SAMPLE
from benchmarks.report import Line, limit, percentile

RECORDING = SAMPLE.with_name("ru-wrong-number.wav")
CALLS = 20
WAITING = 1000
MOST_MS = 150
SECTION = "queue"


def measure(here: Installation) -> Iterator[Line]:
    for worker in ("speech", "analysis"):
        here.resume(worker)
    yield limit(SECTION, "commit to the first stage, idle, p95", "ms", [_idle(here)], MOST_MS)
    what = f"one stage's end to the next one's start, {WAITING} waiting, p95"
    yield limit(SECTION, what, "ms", [_busy(here)], MOST_MS)


def _idle(here: Installation) -> float:
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
    return percentile(waited, 0.95)


def _busy(here: Installation) -> float:
    """Between the stages of calls that go before a thousand others."""
    here.pause("speech")
    waiting = _backlog(here)
    http = here.client()
    try:
        calls = [here.uploaded(http, RECORDING) for _ in range(CALLS)]
        here.resume("speech")
        for call_id in calls:
            here.processed(http, call_id)
    finally:
        here.pause("speech")
        here.sql("DELETE FROM calls WHERE id = ANY(%s)", waiting)
        here.resume("speech")
    stages = here.sql(
        "SELECT extract(epoch FROM created_at) * 1000, elapsed_ms FROM stage_outputs WHERE call_id = ANY(%s) "
        "AND stage NOT IN ('analyse', 'publish') ORDER BY created_at",
        [UUID(call_id) for call_id in calls],
    )
    gaps = [float(begun) - took - float(ended) for (ended, _), (begun, took) in pairwise(stages)]
    return percentile([max(gap, 0.1) for gap in gaps], 0.95)


def _backlog(here: Installation) -> list[UUID]:
    """Calls whose turn comes a day from now."""
    rows = here.sql(
        "INSERT INTO calls (id, type, status, manager_id, date) SELECT gen_random_uuid(), 'incoming', 'in-progress', "
        "(SELECT id FROM users LIMIT 1), now() FROM generate_series(1, %s) RETURNING id",
        WAITING,
    )
    ids = [row[0] for row in rows]
    here.sql(
        "INSERT INTO pipelines (call_id, state, stage, turn_at, rung_at) "
        "SELECT unnest(%s::uuid[]), 'waiting', 'decode', now() + interval '1 day', now() + interval '1 day'",
        ids,
    )
    return ids
