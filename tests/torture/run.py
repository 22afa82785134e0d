"""A torture: load and faults at once, an end to the faults, and the verdict."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from tests.own_stack import Own, own_stack
from tests.torture.faults import Faults
from tests.torture.load import SECRET, Load
from tests.torture.model import language_model
from tests.torture.verdict import Verdict, judge

REPORT_S = 15.0

PROGRESS_WITHIN_S = 60.0
"""Whatever strikes at random lets a call be answered in between: a slow machine would never come to an end."""

RESERVE_MB = 150
"""Free space that is kept on the small disk: a checkpoint's worth of PostgreSQL's log."""


def torture(
    folder: Path,
    calls: int,
    seed: int,
    *,
    outage_s: float,
    disk: Path | None,
    say: Callable[[str], object],
    chosen: Callable[[str], bool] = lambda _: True,
    pause_s: tuple[float, float] = (1, 6),
) -> Verdict:
    """Send `calls` calls while every chosen fault of the matrix strikes once and others at random; count.

    The faults' order and the calls are the seed's; when what strikes is the machine's.
    """
    # A short queue keeps uploads coming, and being turned away, from the beginning to the end.
    settings = {"INGEST_SECRET": SECRET, "QUEUE_LIMIT": "12", "DISK_RESERVE_MB": str(RESERVE_MB)}
    with language_model(folder / "model-unwell") as model, own_stack(folder, **settings, **model.settings) as own:
        load = Load(own, seed, calls)
        faults = Faults(own, load, model, random.Random(seed), outage_s, disk)
        load.start()
        done = threading.Event()
        watching = threading.Thread(target=_report, args=(own, load, done, say), daemon=True)
        watching.start()
        try:
            _strike(faults, load, say, chosen, pause_s)
            faults.heal()
            say(f"{_now()}  the faults are over; waiting for the end of every call")
            verdict = judge(own, load, within_s=120 + 60 * len(load.told))
        finally:
            load.gives_up.set()
            done.set()
            faults.heal_quietly()
        say(f"answers that said come again: {dict(load.put_off.most_common())}")
        say(f"slowest 503: {load.slowest_503_s:.1f} s")
        return verdict


def _strike(
    faults: Faults,
    load: Load,
    say: Callable[[str], object],
    chosen: Callable[[str], bool],
    pause_s: tuple[float, float],
) -> None:
    matrix = [(name, fault) for name, fault in faults.matrix().items() if chosen(name)]
    faults.rng.shuffle(matrix)
    for number, (name, fault) in enumerate(matrix, 1):
        time.sleep(faults.rng.uniform(*pause_s))
        began = time.monotonic()
        fault()
        say(f"{_now()}  {number}/{len(matrix)} {name} ({time.monotonic() - began:.0f} s)")
    load.may_end.set()
    while not load.is_over():
        before = load.answered
        time.sleep(faults.rng.uniform(*pause_s))
        until = time.monotonic() + PROGRESS_WITHIN_S
        while load.answered == before and not load.is_over() and time.monotonic() < until:
            time.sleep(0.2)
        name, fault = faults.rng.choice(faults.sudden())
        fault()
        say(f"{_now()}  {name}")


def _now() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S")


def _report(own: Own, load: Load, done: threading.Event, say: Callable[[str], object]) -> None:
    while not done.wait(REPORT_S):
        try:
            states = dict(own.query("SELECT state, count(*) FROM pipelines GROUP BY 1"))
        except psycopg.OperationalError:
            states = {"database": "away"}
        taken = sum(bool(one.ids) for one in load.told.values())
        say(f"{_now()}  {len(load.told)} sent, {taken} accepted; {states}")
