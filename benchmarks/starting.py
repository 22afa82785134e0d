"""Memory of the idle stack, and how long a start takes."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.installation import Installation
from installer import stack


def memory_notes(here: Installation) -> list[str]:
    """One line: idle memory (proportional set size) of each process and of the whole stack."""
    sizes = {state["name"]: here.memory_mb(state["name"]) for state in stack.status(here.site.data_dir)}
    told = ", ".join(f"{name} {size:.0f}" for name, size in sorted(sizes.items(), key=lambda item: -item[1]))
    return [f"Idle memory in MB: {told}; together {sum(sizes.values()):.0f}."]


def start_notes(folder: Path, port: int) -> list[str]:
    """One line: from nothing to ready, and from stopped to ready."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        stack.up(folder, port, lambda _: None)
        times.append(time.perf_counter() - began)
        stack.down(folder)
    return [f"Start until the API is ready: {times[0]:.1f} s with an empty data folder, {times[1]:.1f} s after a stop."]
